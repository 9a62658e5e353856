/**
 * A node's own locks as the array's cluster uses them: one on each resource, made in NL when it is
 * first needed and only converted from then on, as md-cluster does. Calls for one resource are made
 * one after the other.
 */
import { assert } from "../../common/assert.ts";
import {
  DLM_LKF_CANCEL,
  DLM_LKF_CONVERT,
  DLM_LKF_EXPEDITE,
  DLM_LKF_FORCEUNLOCK,
  DLM_LKF_NOQUEUE,
  DLM_LKF_VALBLK,
} from "../dlm/lock-flags.ts";
import { type LockMode, MODE_NAMES, NL } from "../dlm/lock-mode.ts";
import type { AstStatus } from "../dlm/lock-resource.ts";
import type { NodeEffect } from "./node-events.ts";

export interface LockAnswer {
  readonly status: AstStatus;
  /** What the caller's buffer received, or null. */
  readonly lvb: string | null;
}

export interface Conversion {
  /** Fail with EAGAIN instead of waiting. */
  readonly isNoQueue?: boolean;
  /** The value block to write, or a buffer to read into; without it the block stays as it is. */
  readonly lvb?: string;
}

/** Most calls that wait for one resource. Choice: a recovery and some calls of the array. */
const WAITING_MAX = 16;

interface Work extends Conversion {
  readonly mode: LockMode;
  readonly then: (answer: LockAnswer) => void;
}

interface Seat {
  /** Null: there is no lock yet. */
  mode: LockMode | null;
  /** The call under way, and since when. */
  work: Work | null;
  since: number;
  isUnlocking: boolean;
  readonly waiting: Work[];
}

/** A call that is not answered yet, for people. */
export interface PendingLock {
  readonly resource: string;
  readonly mode: string;
  readonly since: number;
}

export class LockDesk {
  readonly #emit: (effect: NodeEffect) => void;
  readonly #now: () => number;
  readonly #seats = new Map<string, Seat>();
  #whenUnlocked: (() => void) | null = null;

  constructor(emit: (effect: NodeEffect) => void, now: () => number) {
    this.#emit = emit;
    this.#now = now;
  }

  /** The granted mode; NL without a lock. */
  mode(resource: string): LockMode {
    return this.#seats.get(resource)?.mode ?? NL;
  }

  get pending(): readonly PendingLock[] {
    return [...this.#seats].flatMap(([resource, { work, since }]) =>
      work === null ? [] : [{ resource, mode: MODE_NAMES[work.mode] ?? "", since }],
    );
  }

  /** `then` gets what the call ends with: granted, EAGAIN, EDEADLK or ECANCEL. */
  convert(
    resource: string,
    mode: LockMode,
    conversion: Conversion,
    then: (answer: LockAnswer) => void,
  ): void {
    const seat = this.#seat(resource);
    assert(seat.waiting.length < WAITING_MAX, `too many calls wait for the lock ${resource}`);
    seat.waiting.push({ ...conversion, mode, then });
    if (seat.work === null) this.#next(resource, seat);
  }

  /** Takes back what waits for a grant: it ends with ECANCEL, or is granted after all. */
  cancel(resource: string): void {
    if (this.#seats.get(resource)?.work !== null)
      this.#emit({ type: "unlock", resource, flags: DLM_LKF_CANCEL });
  }

  onAst(resource: string, answer: LockAnswer): void {
    const seat = this.#seats.get(resource);
    if (seat === undefined) return;
    if (seat.isUnlocking) {
      if (answer.status === "EUNLOCK") this.#unlocked(resource);
      return;
    }
    const { work } = seat;
    if (work === null) return;
    if (seat.mode === null) {
      // The lock is made; now the conversion that it was made for.
      seat.mode = NL;
      this.#convertNow(resource, seat, work);
      return;
    }
    if (answer.status === "granted") seat.mode = work.mode;
    seat.work = null;
    work.then(answer);
    if (seat.work === null && !seat.isUnlocking) this.#next(resource, seat);
  }

  /** Gives all locks up, whatever they wait for; `then` when none is left. */
  unlockAll(then: () => void): void {
    this.#whenUnlocked = then;
    for (const [resource, seat] of this.#seats) {
      seat.isUnlocking = true;
      seat.waiting.length = 0;
      this.#emit({ type: "unlock", resource, flags: DLM_LKF_FORCEUNLOCK });
    }
    this.#tellWhenUnlocked();
  }

  #seat(resource: string): Seat {
    const known = this.#seats.get(resource);
    if (known !== undefined) return known;
    const seat = { mode: null, work: null, since: 0, isUnlocking: false, waiting: [] };
    this.#seats.set(resource, seat);
    return seat;
  }

  #next(resource: string, seat: Seat): void {
    const work = seat.waiting.shift();
    if (work === undefined) return;
    seat.work = work;
    seat.since = this.#now();
    if (seat.mode !== null) this.#convertNow(resource, seat, work);
    else {
      const { lvb = null } = work;
      const flags = DLM_LKF_EXPEDITE | (lvb === null ? 0 : DLM_LKF_VALBLK);
      this.#emit({ type: "lock", resource, mode: NL, flags, lvb });
    }
  }

  #convertNow(resource: string, seat: Seat, work: Work): void {
    const { mode, isNoQueue = false, lvb = null } = work;
    if (mode === NL && seat.mode === NL) {
      // Nothing to ask the DLM for.
      seat.work = null;
      work.then({ status: "granted", lvb: null });
      if (seat.work === null) this.#next(resource, seat);
      return;
    }
    let flags = DLM_LKF_CONVERT;
    if (lvb !== null) flags |= DLM_LKF_VALBLK;
    if (isNoQueue) flags |= DLM_LKF_NOQUEUE;
    this.#emit({ type: "lock", resource, mode, flags, lvb });
  }

  #unlocked(resource: string): void {
    this.#seats.delete(resource);
    this.#tellWhenUnlocked();
  }

  #tellWhenUnlocked(): void {
    if (this.#seats.size > 0 || this.#whenUnlocked === null) return;
    const then = this.#whenUnlocked;
    this.#whenUnlocked = null;
    then();
  }
}
