/**
 * A network of its own for a few boards: a network namespace for each, joined by a bridge, with an
 * address on it for this process. Links are cut by taking them down; where the kernel has netem, tc
 * makes them slow and lossy. Needs root.
 */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { toolPath } from "../../../scripts/test-tools.ts";
import { atEnd } from "./end-with-us.ts";

const HOST = 254;
const NETS = 200;

const run = (args: readonly string[]): { readonly ok: boolean; readonly said: string } => {
  const [command = "", ...rest] = args;
  const { status, stderr } = spawnSync(command, rest, {
    encoding: "utf8",
    env: { ...process.env, PATH: toolPath() },
  });
  return { ok: status === 0, said: (stderr ?? "").trim() };
};

const mustRun = (...args: string[]): void => {
  const { ok, said } = run(args);
  if (!ok) throw new Error(`${args.join(" ")}: ${said}`);
};

/** Why this machine has no such networks; undefined: it has. */
export function whyNoNamespaces(): string | undefined {
  if (process.getuid?.() !== 0) return "network namespaces need root";
  const probe = new Namespaces(1, "p");
  try {
    probe.make();
    return undefined;
  } catch (error) {
    return `no network namespaces: ${error instanceof Error ? error.message : String(error)}`;
  } finally {
    probe.close();
  }
}

/** Why this kernel cannot delay and lose packets; undefined: it can. */
export function whyNoNetem(): string | undefined {
  const none = whyNoNamespaces();
  if (none !== undefined) return none;
  const probe = new Namespaces(1, "p");
  try {
    probe.make();
    const { ok, said } = probe.shape(0, ["delay", "1ms"]);
    return ok ? undefined : `tc has no netem (sch_netem): ${said}`;
  } finally {
    probe.close();
  }
}

/** Interfaces and namespaces are named by the process that made them. */
const NAME = /^sf([1-9]\d*)[a-z]\d*$/;

/** Of these names those whose makers are gone: killed, they took nothing away. */
export const leftOvers = (
  names: readonly string[],
  isAlive: (pid: number) => boolean,
): readonly string[] => {
  const ours = names.filter((name) => NAME.test(name));
  return [...new Set(ours)].filter((name) => !isAlive(Number(NAME.exec(name)?.[1])));
};

const linesOf = (...args: string[]): readonly string[] => {
  const env = { ...process.env, PATH: toolPath() };
  return (spawnSync("ip", args, { encoding: "utf8", env }).stdout ?? "").split("\n");
};

/** `sf12b0 (id: 3)` of namespaces, `7: sf12b0@if2: <…` of interfaces. */
const namesIn = (lines: readonly string[]): readonly string[] =>
  lines.flatMap((line) => /\bsf\d+[a-z]\d*\b/.exec(line)?.[0] ?? []);

const isProcess = (pid: number): boolean => existsSync(`/proc/${pid}`);

/** What tests that were killed have left. */
const removeLeftOvers = (): void => {
  for (const space of leftOvers(namesIn(linesOf("netns", "list")), isProcess)) {
    // Boards of then.
    for (const pid of linesOf("netns", "pids", space)) if (pid !== "") killQuietly(Number(pid));
    run(["ip", "netns", "del", space]);
  }
  for (const link of leftOvers(namesIn(linesOf("-o", "link", "show")), isProcess))
    run(["ip", "link", "del", link]);
};

const killQuietly = (pid: number): void => {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It has ended by itself.
  }
};

export class Namespaces {
  readonly #count: number;
  readonly #name: string;
  #forget: () => void = () => undefined;
  readonly #net = `10.77.${process.pid % NETS}`;

  /** `letter`: another one for each that this process has. */
  constructor(count: number, letter = "b") {
    this.#count = count;
    // Names of interfaces have 15 characters at most.
    this.#name = `sf${process.pid}${letter}`;
  }

  make(): void {
    removeLeftOvers();
    this.#forget = atEnd(() => this.close());
    const bridge = this.#name;
    mustRun("ip", "link", "add", bridge, "type", "bridge");
    mustRun("ip", "address", "add", `${this.#net}.${HOST}/24`, "dev", bridge);
    mustRun("ip", "link", "set", bridge, "up");
    for (let at = 0; at < this.#count; at++) {
      const space = this.#space(at);
      mustRun("ip", "netns", "add", space);
      const peer = ["peer", "name", "eth0", "netns", space];
      mustRun("ip", "link", "add", this.#link(at), "type", "veth", ...peer);
      mustRun("ip", "link", "set", this.#link(at), "master", bridge, "up");
      const inside = ["ip", "-n", space];
      mustRun(...inside, "address", "add", `${this.host(at)}/24`, "dev", "eth0");
      for (const device of ["lo", "eth0"]) mustRun(...inside, "link", "set", device, "up");
    }
  }

  /** Address of a board. */
  host(at: number): string {
    return `${this.#net}.${at + 1}`;
  }

  /** What a command begins with that runs in a board's namespace. */
  prefix(at: number): readonly string[] {
    return ["ip", "netns", "exec", this.#space(at)];
  }

  /** Nothing goes to or from the board, or all does again. */
  setCut(at: number, isCut: boolean): void {
    mustRun("ip", "link", "set", this.#link(at), isCut ? "down" : "up");
  }

  /** What a board sends goes through netem with these words; none: as it is. */
  shape(at: number, words: readonly string[]): { readonly ok: boolean; readonly said: string } {
    const inside = ["tc", "-n", this.#space(at), "qdisc"];
    if (words.length === 0) return run([...inside, "del", "dev", "eth0", "root"]);
    return run([...inside, "replace", "dev", "eth0", "root", "netem", ...words]);
  }

  /** Takes everything away, also what was made by half. */
  close(): void {
    this.#forget();
    for (let at = 0; at < this.#count; at++) {
      run(["ip", "link", "del", this.#link(at)]);
      run(["ip", "netns", "del", this.#space(at)]);
    }
    run(["ip", "link", "del", this.#name]);
  }

  #space(at: number): string {
    return `${this.#name}${at}`;
  }

  #link(at: number): string {
    return `${this.#name}${at}`;
  }
}
