/**
 * The etcd of fault runs: members as processes of their own, TLS for clients, and proxies in front
 * of each, for clients and for the other members, so that any link of it can be cut.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, mkdirSync, openSync, readFileSync } from "node:fs";
import { Agent, request } from "node:https";
import { setPriority } from "node:os";
import { join } from "node:path";
import { toolPath } from "../../../scripts/test-tools.ts";
import type { Prng } from "../../../src/common/prng.ts";
import { eventually } from "../timeout.ts";
import type { CertificateFiles } from "./certificates.ts";
import { endWithUs } from "./end-with-us.ts";
import { freePort } from "./free-port.ts";
import { LinkProxy, type PlacesByPid } from "./link-proxy.ts";
import type { LinkTable } from "./link-table.ts";
import type { Namespaces } from "./namespaces.ts";

const START_MS = 60_000;
const ANSWER_MS = 2000;
const LOCAL = "127.0.0.1";
const FAVOURED = -10;

export interface FaultEtcdOptions {
  readonly members: number;
  /** Names of the boards: each has proxies of its own. */
  readonly boards: readonly string[];
  readonly folder: string;
  readonly tls: CertificateFiles;
  readonly links: LinkTable;
  readonly places: PlacesByPid;
  readonly prng: Prng;
  /** A network of their own, without proxies. */
  readonly namespaces: Namespaces | null;
}

interface Member {
  readonly name: string;
  readonly folder: string;
  /** Where it listens. */
  readonly host: string;
  readonly prefix: readonly string[];
  readonly clientPort: number;
  readonly peerPort: number;
  /** Where the others, and the boards, reach it. */
  readonly reachedAt: { readonly clientPort: number; readonly peerPort: number };
  /** Ports of the boards' proxies. */
  readonly portsOf: ReadonlyMap<string, number>;
  readonly proxies: readonly LinkProxy[];
  child: ChildProcess | null;
}

/** A key as etcd lists it. */
export interface EtcdKey {
  readonly key: string;
  readonly value: string;
  readonly createRevision: number;
  readonly modRevision: number;
  readonly version: number;
}

export class FaultEtcd {
  readonly #options: FaultEtcdOptions;
  readonly #members: Member[] = [];
  readonly #agent = new Agent({ keepAlive: true });

  private constructor(options: FaultEtcdOptions) {
    this.#options = options;
  }

  static async start(options: FaultEtcdOptions): Promise<FaultEtcd> {
    const etcd = new FaultEtcd(options);
    for (let at = 0; at < options.members; at++) await etcd.#add(at);
    for (const at of etcd.numbers) etcd.run(at);
    await etcd.ready();
    return etcd;
  }

  get numbers(): readonly number[] {
    return [...this.#members.keys()];
  }

  /** Where a board reaches the members. */
  endpoints(board: string): readonly string[] {
    return this.#members.map(({ host, reachedAt, portsOf }) => {
      return `https://${host}:${portsOf.get(board) ?? reachedAt.clientPort}`;
    });
  }

  /** Places by process. */
  get pids(): readonly (readonly [number, string])[] {
    return this.#members.flatMap(({ child, name }) =>
      child?.pid === undefined ? [] : [[child.pid, name] as const],
    );
  }

  isRunning(at: number): boolean {
    return this.#member(at).child !== null;
  }

  folder(at: number): string {
    return this.#member(at).folder;
  }

  /** Starts a member that does not run. */
  run(at: number): void {
    const member = this.#member(at);
    if (member.child !== null) return;
    const { tls, folder } = this.#options;
    const { clientPort, peerPort, reachedAt, host } = member;
    const all = this.#members.map(
      (other) => `${other.name}=http://${other.host}:${other.reachedAt.peerPort}`,
    );
    const log = openSync(join(folder, `${member.name}.log`), "a", 0o600);
    const args = [
      ...["--name", member.name, "--data-dir", join(member.folder, "data")],
      ...["--listen-client-urls", `https://${host}:${clientPort}`],
      ...["--advertise-client-urls", `https://${host}:${reachedAt.clientPort}`],
      ...["--listen-peer-urls", `http://${host}:${peerPort}`],
      ...["--initial-advertise-peer-urls", `http://${host}:${reachedAt.peerPort}`],
      ...["--initial-cluster", all.join(","), "--logger", "zap", "--log-level", "warn"],
      ...["--client-cert-auth", "--trusted-ca-file", tls.ca],
      ...["--cert-file", tls.certificate, "--key-file", tls.key],
    ];
    const [command = "", ...rest] = [...member.prefix, "etcd", ...args];
    const child = spawn(command, rest, {
      stdio: ["ignore", log, log],
      env: { ...process.env, PATH: toolPath(), GOMAXPROCS: "1" },
    });
    closeSync(log);
    endWithUs(child);
    favour(child);
    member.child = child;
    child.once("exit", () => {
      if (member.child === child) member.child = null;
    });
  }

  async kill(at: number): Promise<void> {
    const member = this.#member(at);
    const { child } = member;
    member.child = null;
    if (child === null || child.exitCode !== null || child.signalCode !== null) return;
    const exit = once(child, "exit");
    child.kill("SIGKILL");
    await exit;
  }

  signal(at: number, signal: "SIGSTOP" | "SIGCONT"): void {
    this.#member(at).child?.kill(signal);
  }

  /** Waits until one that runs serves writes. */
  async ready(): Promise<void> {
    await eventually("etcd serves", START_MS, async () => {
      await this.ask("/v3/kv/put", { key: base64("ready"), value: base64("yes") });
      return true;
    });
  }

  /** The member that leads; null: none is known just now. */
  async leader(): Promise<number | null> {
    for (const at of this.numbers) {
      if (!this.isRunning(at)) continue;
      try {
        const status = await this.#post(at, "/v3/maintenance/status", {});
        const header = status["header"] as { readonly member_id: string };
        if (status["leader"] === header.member_id) return at;
      } catch {
        // It does not answer: it does not lead.
      }
    }
    return null;
  }

  /** Lifts an alarm for a full disk; etcd keeps it until it is told. */
  async liftAlarms(): Promise<void> {
    await this.ask("/v3/maintenance/alarm", { action: 2, alarm: 1, memberID: 0 });
  }

  /** All keys with a prefix, as of one revision. */
  async list(prefix: string): Promise<readonly EtcdKey[]> {
    const end = Buffer.from(prefix);
    end.writeUInt8((end.at(-1) ?? 0) + 1, end.length - 1);
    const reply = await this.ask("/v3/kv/range", {
      key: base64(prefix),
      range_end: end.toString("base64"),
    });
    return ((reply["kvs"] ?? []) as Readonly<Record<string, string>>[]).map((kv) => ({
      key: Buffer.from(kv["key"] ?? "", "base64").toString(),
      value: Buffer.from(kv["value"] ?? "", "base64").toString(),
      createRevision: Number(kv["create_revision"]),
      modRevision: Number(kv["mod_revision"]),
      version: Number(kv["version"]),
    }));
  }

  /** Asks one member after the other, past the proxies. Errors: the last one's. */
  async ask(path: string, body: unknown): Promise<Readonly<Record<string, unknown>>> {
    let last: unknown = new Error("no member of etcd runs");
    for (const at of this.numbers) {
      if (!this.isRunning(at)) continue;
      try {
        return await this.#post(at, path, body);
      } catch (error) {
        last = error;
      }
    }
    throw last;
  }

  async stop(): Promise<void> {
    await Promise.all(this.numbers.map((at) => this.kill(at)));
    this.#agent.destroy();
    for (const { proxies } of this.#members) for (const proxy of proxies) await proxy.close();
  }

  async #add(at: number): Promise<void> {
    const { folder, links, places, prng, namespaces } = this.#options;
    const name = `etcd${at + 1}`;
    const [clientPort, peerPort] = [await freePort(), await freePort()];
    const own = join(folder, name);
    mkdirSync(own, { recursive: true, mode: 0o700 });
    const member = { name, folder: own, clientPort, peerPort, child: null };
    if (namespaces !== null) {
      const reachedAt = { clientPort, peerPort };
      const [host, prefix] = [namespaces.host(at), namespaces.prefix(at)];
      this.#members.push({ ...member, host, prefix, reachedAt, portsOf: new Map(), proxies: [] });
      return;
    }
    const proxy = (port: number, from: string | null): Promise<LinkProxy> =>
      LinkProxy.start({
        ...{ place: name, from, links, places, prng: prng.fork() },
        listen: { host: LOCAL, port: 0 },
        target: { host: LOCAL, port },
      });
    const peers = await proxy(peerPort, null);
    const proxies = [peers];
    const portsOf = new Map<string, number>();
    for (const board of this.#options.boards) {
      const own = await proxy(clientPort, board);
      proxies.push(own);
      portsOf.set(board, own.port);
    }
    const reachedAt = { clientPort, peerPort: peers.port };
    this.#members.push({ ...member, host: LOCAL, prefix: [], reachedAt, portsOf, proxies });
  }

  #member(at: number): Member {
    const member = this.#members[at];
    if (member === undefined) throw new Error(`there is no member ${at} of etcd`);
    return member;
  }

  async #post(at: number, path: string, body: unknown): Promise<Readonly<Record<string, unknown>>> {
    const { tls } = this.#options;
    const { host, clientPort } = this.#member(at);
    const sent = request({
      ...{ host, port: clientPort, path, method: "POST", agent: this.#agent },
      ca: readFileSync(tls.ca),
      cert: readFileSync(tls.certificate),
      key: readFileSync(tls.key),
      signal: AbortSignal.timeout(ANSWER_MS),
    });
    const answered = once(sent, "response");
    sent.end(JSON.stringify(body));
    const [response] = await answered;
    const chunks: Buffer[] = [];
    for await (const chunk of response) chunks.push(chunk as Buffer);
    const reply = JSON.parse(Buffer.concat(chunks).toString()) as Readonly<Record<string, unknown>>;
    if (response.statusCode !== 200) throw new Error(`etcd: ${JSON.stringify(reply)}`);
    return reply;
  }
}

/** Elections are for what the plan does, not for a busy machine, where this process may say so. */
const favour = ({ pid }: ChildProcess): void => {
  try {
    if (pid !== undefined) setPriority(pid, FAVOURED);
  } catch {
    // It has the priority of all.
  }
};

const base64 = (text: string): string => Buffer.from(text).toString("base64");
