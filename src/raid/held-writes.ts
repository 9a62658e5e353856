/**
 * Writes of one I/O worker that wait for the cluster's sake, and who waits for writes: a node that
 * is about to resync a range asks the others to hold their writes there and to let those under way
 * end (`drain`).
 */

import type { HoldReason } from "./hold-status.ts";
import type { SharedArrayState } from "./shared-state.ts";
import { type WriteRequest, writesOverlap } from "./write-request.ts";

interface Held {
  readonly reason: HoldReason;
  readonly since: number;
}

export class HeldWrites {
  readonly #state: SharedArrayState;
  readonly #worker: number;
  readonly #held = new Map<WriteRequest, Held>();

  constructor(state: SharedArrayState, worker: number) {
    this.#state = state;
    this.#worker = worker;
  }

  /** `now`: milliseconds of the monotonic clock. */
  hold(request: WriteRequest, reason: HoldReason, now: number): void {
    this.#held.set(request, { reason, since: now });
    this.#state.holds.began(this.#worker, reason);
  }

  /** The write waits no longer. */
  release(request: WriteRequest, now: number): void {
    const held = this.#held.get(request);
    if (held === undefined) return;
    this.#held.delete(request);
    this.#state.holds.ended(this.#worker, now - held.since);
  }

  /** Those that wait for a range; they wait no longer. */
  releaseRanges(now: number): WriteRequest[] {
    const ranged = [...this.#held].flatMap(([request, { reason }]) =>
      reason === "range" ? [request] : [],
    );
    for (const request of ranged) this.release(request, now);
    return ranged;
  }

  /** True when an overlapping write that arrived before waits. */
  isAhead(request: WriteRequest): boolean {
    if (this.#held.size === 0) return false;
    for (const other of this.#held.keys())
      if (other.order < request.order && writesOverlap(other, request)) return true;
    return false;
  }
}

interface Drain {
  readonly from: number;
  readonly to: number;
  readonly done: () => void;
}

export class WriteDrains {
  readonly #writes: ReadonlySet<WriteRequest>;
  #waiting: Drain[] = [];

  /** `writes`: those that did not end in the turn they began in. */
  constructor(writes: ReadonlySet<WriteRequest>) {
    this.#writes = writes;
  }

  /** `done` once no write to a member is under way in bytes `[from, to)` of the array. */
  drain(from: number, to: number, done: () => void): void {
    this.#waiting.push({ from, to, done });
    this.look();
  }

  /** A write to a member has ended. */
  look(): void {
    if (this.#waiting.length === 0) return;
    const waiting = this.#waiting;
    this.#waiting = waiting.filter((drain) => this.#isBusy(drain));
    for (const drain of waiting) {
      if (this.#waiting.includes(drain)) continue;
      for (const write of this.#writes) if (touches(write, drain)) write.isOvertaken = true;
      drain.done();
    }
  }

  #isBusy(drain: Drain): boolean {
    for (const write of this.#writes)
      if (write.legsPending > 0 && touches(write, drain)) return true;
    return false;
  }
}

const touches = ({ offset, length }: WriteRequest, { from, to }: Drain): boolean =>
  offset < to && from < offset + length;
