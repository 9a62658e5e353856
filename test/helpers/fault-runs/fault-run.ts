/**
 * One randomised run: boards as real processes, clients on all of them that check what they read,
 * and what a seed's plan has happen to them. Then everything is mended; the boards must come back
 * to full redundancy by themselves, and what was acknowledged be there, the same on all members.
 */
import { appendFileSync, cpSync, existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { Prng } from "../../../src/common/prng.ts";
import { eventually } from "../timeout.ts";
import { ClusterWatch } from "./cluster-watch.ts";
import { ARRAY, type BoardsKind, CLUSTER_PREFIX, FaultBoards } from "./fault-boards.ts";
import { FaultLoad, type LongestHold } from "./fault-load.ts";
import { describePlan, type FaultKind, type FaultPlan, planFaults } from "./fault-plan.ts";
import { compareLegs } from "./leg-compare.ts";
import type { Namespaces } from "./namespaces.ts";
import { FAKETIME_LIBRARY, Nemesis } from "./nemesis.ts";
import { mountSmall, unmountSmall } from "./small-mount.ts";

const WRITES_FIRST = 100;
const FLOW_MS = 60_000;
const WHOLE_MS = 240_000;
const CLEAN_MS = 60_000;
const WATCH_MS = 400;
const PROBLEMS_MAX = 20;
const TELL_MS = 3000;
/** Of what a client waits: longer than anything here may take. */
const CLIENT_LIMIT_MS = 180_000;
const SETTINGS_MIB = 48;
/** etcd lays out a log of 64 MiB at a time, and the next one beside it. */
const ETCD_MIB = 320;

export interface FaultRunOptions {
  readonly seed: number;
  readonly kind: BoardsKind;
  readonly boards: number;
  readonly etcdMembers: number;
  /** How long things happen. */
  readonly ms: number;
  readonly sizeMib: number;
  /** Where the run's folder is made. */
  readonly parent?: string;
  /** Told what happens as it does. */
  readonly say?: (line: string) => void;
  /** Another plan than the seed's. */
  readonly plan?: FaultPlan;
  /** Keeps the files of a good run as well. */
  readonly isKept?: boolean;
  /** A network of their own; whoever made it takes it away. */
  readonly namespaces?: Namespaces;
}

export interface FaultRunReport {
  readonly seed: number;
  /** Null: the run's files are gone. */
  readonly folder: string | null;
  readonly happened: readonly string[];
  readonly problems: readonly string[];
  readonly writes: number;
  readonly reads: number;
  readonly moves: number;
  /** Requests that clients gave up; reads that saw another copy of an unfinished write. */
  readonly givenUp: number;
  readonly changes: number;
  readonly fences: number;
  readonly longestWrite: LongestHold;
  readonly longestRead: LongestHold;
  /** From the end of the last fault to a whole array at rest. */
  readonly wholeMs: number | null;
  readonly seconds: number;
}

/** What this machine cannot do, with the reason. */
export function missingFaults(): ReadonlyMap<FaultKind, string> {
  const missing = new Map<FaultKind, string>();
  if (!existsSync(FAKETIME_LIBRARY)) missing.set("clock-jump", "libfaketime is not installed");
  const probe = mkdtempSync(join(tmpdir(), "sfm-"));
  if (mountSmall(probe, 1)) unmountSmall(probe);
  else
    for (const kind of ["etcd-full", "settings-full"] as const)
      missing.set(kind, "no tmpfs may be mounted");
  rmSync(probe, { recursive: true, force: true });
  return missing;
}

/** Runs one seed. Never rejects for what it finds. */
export async function faultRun(options: FaultRunOptions): Promise<FaultRunReport> {
  const run = new FaultRun(options);
  return await run.run();
}

class FaultRun {
  readonly #options: FaultRunOptions;
  readonly #folder: string;
  readonly #mounts: string[] = [];
  readonly #problems: string[] = [];
  readonly #plan: FaultPlan;
  readonly #began = performance.now();
  #boards: FaultBoards | null = null;
  #load: FaultLoad | null = null;
  #nemesis: Nemesis | null = null;
  #watch: ClusterWatch | null = null;
  #isOver = false;
  #wholeMs: number | null = null;
  #watching: Promise<void> = Promise.resolve();

  constructor(options: FaultRunOptions) {
    this.#options = options;
    this.#folder = mkdtempSync(join(options.parent ?? tmpdir(), "sfr-"));
    const { seed, kind, boards, etcdMembers, ms } = options;
    const without = [...missingFaults().keys()];
    this.#plan = options.plan ?? planFaults(seed, { kind, boards, etcdMembers, ms, without });
  }

  async run(): Promise<FaultRunReport> {
    try {
      await this.#start();
      await this.#underFaults();
      await this.#mend();
      await this.#check();
    } catch (error) {
      this.#problem(error instanceof Error ? describeError(error) : String(error));
    } finally {
      if (this.#isWrong) await this.#tellBoards();
      await this.#end();
    }
    return this.#report();
  }

  // --- phases -----------------------------------------------------------------------------------

  async #start(): Promise<void> {
    const { seed, kind, boards, etcdMembers, sizeMib, namespaces } = this.#options;
    const { bitmapChunkBytes } = this.#plan;
    const prng = new Prng(seed).fork();
    this.#mountWhatFills();
    const started = await FaultBoards.start({
      ...{ kind, boards, etcdMembers, sizeMib, folder: this.#folder, prng },
      ...(namespaces === undefined ? {} : { namespaces }),
      ...(bitmapChunkBytes === undefined ? {} : { bitmapChunkBytes }),
      onExit: (board, why) => {
        this.#note(`${board.name} ended by itself: ${why}`);
        if (!this.#isOver && !this.#mayEnd) this.#problem(`${board.name} ended by itself: ${why}`);
        void this.#nemesis?.revive(board.at);
      },
    });
    this.#boards = started;
    this.#nemesis = new Nemesis(started, (text) => this.#note(text));
    await started.untilWhole(FLOW_MS);
    const { config } = await started.array(0);
    const load = new FaultLoad({
      ...{ seed, export: ARRAY, sizeBytes: config.size, limitMs: CLIENT_LIMIT_MS },
      paths: started.boards.map(({ name, socket }) => ({ board: name, socket })),
      note: (text) => this.#note(text),
    });
    this.#load = load;
    this.#watch = new ClusterWatch(CLUSTER_PREFIX, {
      onFenced: (board, openedBefore, now) => {
        this.#note(`a session of ${board} is over`);
        load.history.fenced(board, openedBefore, now);
      },
      onProblem: (text) => this.#problem(text),
    });
    this.#watching = this.#watchKeys();
    load.start();
  }

  async #underFaults(): Promise<void> {
    await this.#untilFlowing("writes flow at first");
    for (const step of this.#plan.steps) {
      if (this.#load?.problems.length !== 0) return;
      await this.#nemesis?.step(step);
    }
  }

  /** Nothing is broken any more: writes flow through every board, all copies become equal. */
  async #mend(): Promise<void> {
    const boards = this.#boards;
    if (boards === null || this.#load === null) return;
    const began = performance.now();
    this.#note("all is mended");
    for (const at of boards.etcd.numbers) boards.etcd.run(at);
    for (const at of boards.numbers) await this.#nemesis?.revive(at);
    await this.#untilFlowing("writes flow after all is mended");
    await boards.readmit();
    await boards.untilWhole(WHOLE_MS);
    this.#wholeMs = performance.now() - began;
    this.#note(`whole after ${(this.#wholeMs / 1000).toFixed(1)} s`);
  }

  async #check(): Promise<void> {
    const boards = this.#boards;
    const load = this.#load;
    if (boards === null || load === null) return;
    await load.stop();
    await boards.untilWhole(WHOLE_MS);
    load.history.settled();
    for (const { name, socket } of boards.boards)
      for (const problem of await load.check({ board: name, socket })) this.#problem(problem);
    await this.#checkLegs(boards, load);
  }

  async #checkLegs(boards: FaultBoards, load: FaultLoad): Promise<void> {
    const legs = await eventually("every bit is cleared", CLEAN_MS, async () => {
      const report = await compareLegs(boards.memberFiles);
      if (report.dirtyBits > 0) throw new Error(`${report.dirtyBits} bits are set`);
      return report;
    });
    const allowed = new Set<number>();
    for (let block = 0; block < load.history.size; block++)
      if (load.history.mayDiffer(block)) allowed.add(load.offset(block));
    for (const { offset, files } of legs.differences)
      if (!allowed.has(offset)) this.#problem(`at ${offset} differ ${files.join(" and ")}`);
    if (allowed.size > 0) this.#note(`${allowed.size} blocks may differ: two boards wrote them`);
  }

  async #untilFlowing(what: string): Promise<void> {
    const load = this.#load;
    if (load === null) return;
    const target = load.history.counts.writes + WRITES_FIRST;
    const since = performance.now();
    await eventually(what, FLOW_MS, () => {
      if (load.problems.length > 0) return true;
      const isEverywhere = load.lastWrites.every((at) => at > since);
      return isEverywhere && load.history.counts.writes >= target;
    });
  }

  async #end(): Promise<void> {
    this.#isOver = true;
    this.#nemesis?.finish();
    await this.#watching;
    for (const board of this.#boards?.boards ?? []) if (board.isStopped) board.signal("SIGCONT");
    await Promise.race([this.#load?.stop(), pause(1000)]);
    try {
      await this.#boards?.stop();
    } catch (error) {
      this.#note(`the end: ${String(error)}`);
    }
    this.#problems.push(...(this.#load?.problems ?? []));
    const isKept = this.#isKept;
    for (const folder of this.#mounts) {
      if (isKept) cpSync(folder, `${folder}-kept`, { recursive: true });
      unmountSmall(folder);
    }
    if (isKept) writeFileSync(join(this.#folder, "problems.txt"), this.#problems.join("\n"));
    else rmSync(this.#folder, { recursive: true, force: true, maxRetries: 5 });
  }

  get #isWrong(): boolean {
    return this.#problems.length + (this.#load?.problems.length ?? 0) > 0;
  }

  get #isKept(): boolean {
    return this.#options.isKept === true || this.#problems.length > 0;
  }

  // --- besides ----------------------------------------------------------------------------------

  /** Whether a board may end by itself: of a full disk under its settings it may. */
  get #mayEnd(): boolean {
    return this.#plan.steps.some(({ faults }) =>
      faults.some(({ kind }) => kind === "settings-full"),
    );
  }

  #mountWhatFills(): void {
    const faults = this.#plan.steps.flatMap((step) => step.faults);
    const small = (folder: string, mib: number): void => {
      if (mountSmall(folder, mib)) this.#mounts.push(folder);
    };
    if (faults.some(({ kind }) => kind === "etcd-full"))
      for (let at = 0; at < this.#options.etcdMembers; at++)
        small(join(this.#folder, `etcd${at + 1}`), ETCD_MIB);
    const filled = faults.flatMap((fault) => (fault.kind === "settings-full" ? [fault.board] : []));
    for (const at of new Set(filled)) small(join(this.#folder, `data${at + 1}`), SETTINGS_MIB);
  }

  /** What each board says of itself, and etcd's keys, beside the logs. */
  async #tellBoards(): Promise<void> {
    for (const board of this.#boards?.boards ?? [])
      for (const path of [`/arrays/${ARRAY}`, "/dlm", "/devices", "/peers", "/health"]) {
        const told = await Promise.race([
          board.ask("GET", path),
          pause(TELL_MS, "no answer"),
        ]).catch((error) => String(error));
        const file = join(this.#folder, `${board.name}-says.txt`);
        appendFileSync(file, `${path} ${JSON.stringify(told, null, 1)}\n`);
      }
    const keys = (await this.#boards?.etcd.list(CLUSTER_PREFIX).catch(() => [])) ?? [];
    const lines = keys.map(
      (key) => `${key.key} ${key.createRevision} ${key.modRevision} ${key.value}`,
    );
    writeFileSync(join(this.#folder, "keys.txt"), lines.join("\n"));
  }

  async #watchKeys(): Promise<void> {
    while (!this.#isOver) {
      const asked = performance.now();
      try {
        const keys = await this.#boards?.etcd.list(CLUSTER_PREFIX);
        this.#watch?.seen(keys ?? [], asked);
      } catch {
        // etcd is away just now.
      }
      await pause(WATCH_MS);
    }
  }

  #note(text: string): void {
    const seconds = ((performance.now() - this.#began) / 1000).toFixed(2).padStart(7);
    const line = `${seconds} ${text}`;
    appendFileSync(join(this.#folder, "run.log"), `${new Date().toISOString()} ${line}\n`);
    this.#options.say?.(line);
  }

  #problem(text: string): void {
    if (this.#problems.includes(text)) return;
    this.#note(`WRONG: ${text}`);
    if (this.#problems.length < PROBLEMS_MAX) this.#problems.push(text);
  }

  #report(): FaultRunReport {
    const { counts } = this.#load?.history ?? { counts: null };
    const none: LongestHold = { ms: 0, what: "none" };
    return {
      seed: this.#options.seed,
      folder: this.#isKept ? this.#folder : null,
      happened: describePlan(this.#plan),
      problems: this.#problems,
      writes: counts?.writes ?? 0,
      reads: counts?.reads ?? 0,
      moves: counts?.moves ?? 0,
      givenUp: this.#load?.failures.length ?? 0,
      changes: counts?.changes ?? 0,
      fences: this.#watch?.fences ?? 0,
      longestWrite: this.#load?.longestWrite ?? none,
      longestRead: this.#load?.longestRead ?? none,
      wholeMs: this.#wholeMs,
      seconds: (performance.now() - this.#began) / 1000,
    };
  }
}

const describeError = (error: Error): string => {
  const cause = error.cause instanceof Error ? `: ${error.cause.message}` : "";
  return `${error.message}${cause}`;
};
