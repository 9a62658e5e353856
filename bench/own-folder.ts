/**
 * A folder of a program that runs for long, and the processes that it starts: neither outlives it,
 * however it ends. Ctrl-C reaches a script twice, from the terminal and from npm: the first signal
 * counts.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { constants } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { atMost } from "../src/common/at-most-driver.ts";

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
/** What is registered ends by itself within this, else its processes are ended. */
const ENDS_MS = 30_000;
/** From the request to end until a process is killed, and from then until it is given up. */
const TERM_MS = 10_000;
const KILL_MS = 5000;
const LOOK_MS = 20;

export interface OwnFolder {
  readonly path: string;
  /** Registers what must end before the folder is removed. */
  onEnd(end: () => Promise<void>): void;
}

/** Runs the body with a new folder `prefix`… in `parent`. A signal ends the whole program. */
export async function inOwnFolder<T>(
  prefix: string,
  parent: string,
  body: (folder: OwnFolder) => Promise<T>,
): Promise<T> {
  const path = mkdtempSync(join(parent, prefix));
  const ends: (() => Promise<void>)[] = [];
  const endAll = async (): Promise<void> => {
    const asked = Promise.allSettled(ends.splice(0).map((end) => end()));
    await atMost<unknown>(asked, ENDS_MS, null);
    await endProcesses();
    rmSync(path, { recursive: true, force: true, maxRetries: 5 });
  };
  let isEnding = false;
  const onSignal = (signal: (typeof SIGNALS)[number]): void => {
    if (isEnding) return;
    isEnding = true;
    void endAll().finally(() => process.exit(128 + constants.signals[signal]));
  };
  for (const signal of SIGNALS) process.on(signal, onSignal);
  try {
    return await body({ path, onEnd: (end) => void ends.push(end) });
  } finally {
    // A signal ends the program: what fails meanwhile fails because of it.
    if (isEnding) await new Promise(() => {});
    await endAll();
    for (const signal of SIGNALS) process.off(signal, onSignal);
  }
}

/** Every process that this one has started, and those that they have: none that is a zombie. */
function startedProcesses(): number[] {
  const children = new Map<number, number[]>();
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const [state, parent] = stateOf(name);
    if (state === "Z") continue;
    children.set(parent, [...(children.get(parent) ?? []), Number(name)]);
  }
  const found = [process.pid];
  for (const pid of found) found.push(...(children.get(pid) ?? []));
  return found.slice(1);
}

/** State and parent. Source: proc(5), /proc/PID/stat. */
function stateOf(pid: string): readonly [string, number] {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    const [state = "Z", parent = "0"] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return [state, Number(parent)];
  } catch {
    return ["Z", 0];
  }
}

/** Asks all of them to end, then kills those that do not. */
async function endProcesses(): Promise<void> {
  const began = performance.now();
  const asked = new Set<number>();
  for (;;) {
    const left = startedProcesses();
    const waited = performance.now() - began;
    if (left.length === 0 || waited > TERM_MS + KILL_MS) return;
    for (const pid of left) {
      if (waited > TERM_MS) kill(pid, "SIGKILL");
      else if (!asked.has(pid)) kill(pid, "SIGTERM");
      asked.add(pid);
    }
    await pause(LOOK_MS);
  }
}

function kill(pid: number, signal: "SIGTERM" | "SIGKILL"): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It has ended meanwhile.
  }
}
