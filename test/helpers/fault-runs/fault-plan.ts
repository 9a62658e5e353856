/**
 * What happens to the boards of a run, by seed: a list of faults, each with what it hits, how long
 * it lasts and how long after it the next one waits. Pure.
 */
import { Prng } from "../../../src/common/prng.ts";
import type { BoardsKind } from "./fault-boards.ts";

/** One thing that happens, and ends after `ms`. */
export type Fault =
  | { readonly kind: "kill"; readonly board: number; readonly ms: number }
  /** All at once; started again in this order, so many milliseconds apart. */
  | {
      readonly kind: "kill-all";
      readonly order: readonly number[];
      readonly apartMs: number;
      readonly ms: number;
    }
  /** Ended by SIGTERM, as a reboot does. */
  | { readonly kind: "reboot"; readonly board: number; readonly ms: number }
  | { readonly kind: "stop"; readonly board: number; readonly ms: number }
  | { readonly kind: "cut-all"; readonly board: number; readonly ms: number }
  | { readonly kind: "cut-etcd"; readonly board: number; readonly ms: number }
  | {
      readonly kind: "cut-peer";
      readonly board: number;
      readonly peer: number;
      readonly ms: number;
    }
  /** What `board` sends does not arrive; what it is sent does. */
  | {
      readonly kind: "cut-one-way";
      readonly board: number;
      readonly peer: number | null;
      readonly ms: number;
    }
  | {
      readonly kind: "bad-link";
      readonly board: number;
      readonly delayMs: number;
      readonly lostPerMille: number;
      readonly resetPerMille: number;
      readonly ms: number;
    }
  | { readonly kind: "disk-gone"; readonly board: number; readonly ms: number }
  | {
      readonly kind: "disk-fault";
      readonly board: number;
      readonly fault: "read-error" | "write-error" | "flush-error" | "stall";
      readonly count: number;
      readonly stallMs: number;
      readonly ms: number;
    }
  | { readonly kind: "etcd-kill"; readonly isLeader: boolean; readonly ms: number }
  | { readonly kind: "etcd-majority"; readonly ms: number }
  | { readonly kind: "etcd-stop"; readonly ms: number }
  | { readonly kind: "etcd-full"; readonly ms: number }
  | { readonly kind: "settings-full"; readonly board: number; readonly ms: number }
  | {
      readonly kind: "clock-jump";
      readonly board: number;
      readonly seconds: number;
      readonly ms: number;
    };

export type FaultKind = Fault["kind"];

/** Faults that begin together, and the pause after the last one has ended. */
export interface PlanStep {
  readonly faults: readonly Fault[];
  readonly pauseMs: number;
}

export interface FaultPlan {
  readonly seed: number;
  readonly steps: readonly PlanStep[];
  /** As FaultBoardsOptions. */
  readonly bitmapChunkBytes?: number;
}

export interface PlanOptions {
  readonly kind: BoardsKind;
  readonly boards: number;
  readonly etcdMembers: number;
  /** How long faults go on, with their pauses. */
  readonly ms: number;
  /** What this machine cannot do. */
  readonly without: readonly FaultKind[];
}

/** How often each is drawn. */
const WEIGHTS: Readonly<Record<FaultKind, number>> = {
  kill: 6,
  "kill-all": 2,
  reboot: 2,
  stop: 5,
  "cut-all": 4,
  "cut-etcd": 4,
  "cut-peer": 4,
  "cut-one-way": 3,
  "bad-link": 4,
  "disk-gone": 3,
  "disk-fault": 4,
  "etcd-kill": 4,
  "etcd-majority": 2,
  "etcd-stop": 2,
  "etcd-full": 1,
  "settings-full": 1,
  "clock-jump": 1,
};

/** What needs links between boards. */
const OF_OWN_DISKS: readonly FaultKind[] = ["cut-peer"];
/** A member that is lost: one at a time, with whole copies elsewhere. */
const OF_DISKS: readonly FaultKind[] = ["disk-gone", "disk-fault"];

const SECOND = 1000;
/** What an administrator may ask for. The usual ones are larger than the array of most runs. */
const BITMAP_CHUNKS = [64 * 1024, 256 * 1024, 4 * 1024 * 1024];

export function planFaults(seed: number, options: PlanOptions): FaultPlan {
  const prng = new Prng(seed);
  const steps: PlanStep[] = [];
  for (let left = options.ms; left > 0; ) {
    const step = drawStep(prng, options);
    steps.push(step);
    left -= step.pauseMs + Math.max(...step.faults.map(({ ms }) => ms));
  }
  const isUsual = prng.chance(1, 4);
  return { seed, steps, ...(isUsual ? {} : { bitmapChunkBytes: prng.pick(BITMAP_CHUNKS) }) };
}

const drawStep = (prng: Prng, options: PlanOptions): PlanStep => {
  const first = drawFault(prng, options, []);
  const others = prng.chance(1, 4) ? [drawFault(prng, options, [first])] : [];
  return { faults: [first, ...others], pauseMs: prng.between(2 * SECOND, 12 * SECOND) };
};

const drawFault = (prng: Prng, options: PlanOptions, beside: readonly Fault[]): Fault => {
  const { without, kind, etcdMembers } = options;
  const isOut = (fault: FaultKind): boolean =>
    without.includes(fault) ||
    (kind === "shared" && OF_OWN_DISKS.includes(fault)) ||
    (etcdMembers < 3 && fault === "etcd-stop") ||
    // Of two things at once one may be anything that leaves the processes and disks alone.
    (beside.length > 0 && (fault === "kill-all" || OF_DISKS.includes(fault)));
  const kinds = (Object.keys(WEIGHTS) as FaultKind[]).filter((fault) => !isOut(fault));
  let drawn = prng.below(kinds.reduce((sum, fault) => sum + WEIGHTS[fault], 0));
  for (const fault of kinds) {
    drawn -= WEIGHTS[fault];
    if (drawn < 0) return shape(prng, fault, options, beside);
  }
  throw new Error("nothing was drawn");
};

const shape = (
  prng: Prng,
  kind: FaultKind,
  { boards }: PlanOptions,
  beside: readonly Fault[],
): Fault => {
  const hit = beside.flatMap((fault) => ("board" in fault ? [fault.board] : []));
  const free = Array.from({ length: boards }, (_, at) => at).filter((at) => !hit.includes(at));
  const board = prng.pick(free);
  const peer = (board + prng.between(1, boards)) % boards;
  const between = (lo: number, hi: number): number => prng.between(lo * SECOND, hi * SECOND);
  switch (kind) {
    case "kill":
    case "reboot":
      return { kind, board, ms: between(1, 20) };
    case "kill-all": {
      const order = prng.shuffle(Array.from({ length: boards }, (_, at) => at));
      return { kind, order, apartMs: prng.below(6 * SECOND), ms: between(1, 4) };
    }
    case "stop":
      return { kind, board, ms: between(3, 31) };
    case "cut-all":
    case "cut-etcd":
      return { kind, board, ms: between(3, 25) };
    case "cut-peer":
      return { kind, board, peer, ms: between(3, 25) };
    case "cut-one-way":
      return { kind, board, peer: prng.chance(1, 2) ? peer : null, ms: between(3, 25) };
    case "bad-link": {
      const [delayMs, lostPerMille] = [prng.pick([0, 20, 100, 300]), prng.pick([5, 20, 100])];
      const resetPerMille = prng.pick([0, 0, 2, 10]);
      return { kind, board, delayMs, lostPerMille, resetPerMille, ms: between(5, 20) };
    }
    case "disk-gone":
      return { kind, board, ms: between(2, 12) };
    case "disk-fault": {
      const fault = prng.pick(["read-error", "write-error", "flush-error", "stall"] as const);
      const count = prng.pick([1, 20, 1000]);
      return { kind, board, fault, count, stallMs: prng.pick([50, 500, 4000]), ms: between(3, 12) };
    }
    case "etcd-kill":
      return { kind, isLeader: prng.chance(2, 3), ms: between(1, 15) };
    case "etcd-majority":
      return { kind, ms: between(2, 20) };
    case "etcd-stop":
      return { kind, ms: between(3, 20) };
    case "etcd-full":
      return { kind, ms: between(2, 8) };
    case "settings-full":
      return { kind, board, ms: between(3, 10) };
    case "clock-jump": {
      const seconds = prng.pick([-86_400, -30, 30, 86_400, 30 * 86_400]);
      return { kind, board, seconds, ms: between(2, 8) };
    }
  }
};

/** One line that says what happens. */
export function describeFault(fault: Fault): string {
  const { kind, ms, ...rest } = fault;
  const words = Object.entries(rest).map(([name, value]) => {
    const isBoard = name === "board" || name === "peer";
    return isBoard && typeof value === "number" ? `${name} ${value + 1}` : `${name} ${value}`;
  });
  return [kind, ...words, `for ${(ms / SECOND).toFixed(1)} s`].join(" ");
}

/** What happens and to what, a line each. */
export function describePlan({ steps, bitmapChunkBytes }: FaultPlan): string[] {
  const chunk =
    bitmapChunkBytes === undefined ? "of the usual size" : `of ${bitmapChunkBytes} bytes`;
  const faults = steps.flatMap((step) => step.faults);
  return [`bitmap chunks ${chunk}`, ...faults.map(describeFault)];
}
