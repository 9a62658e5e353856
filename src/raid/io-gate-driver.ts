/**
 * The node's permission to do I/O, as an I/O worker looks at it: the array thread moves the time
 * that it lasts (`SharedArrayState.gateUntil`) with each confirmation that the cluster's store has
 * committed. Behind a closed gate requests wait: the node cannot know whether others have gone on
 * without it. They go on when the gate opens for the same session; they fail, and are never carried
 * out, when the node was expelled, or when they have waited for too long.
 * An array that is in no cluster has no gate.
 */

import { GATE_EXPELLED, type SharedArrayState } from "./shared-state.ts";
import { IO_EIO, IO_OK, type IoCompletion } from "./write-request.ts";

/** The monotonic clock that all threads of the process share. */
export interface IoClock {
  /** Milliseconds. */
  now(): number;
  /** Acts once, after so many milliseconds; what it returns takes that back. */
  after(ms: number, act: () => void): () => void;
}

/** A request waits no longer behind a closed gate. Choice: below the limits of NBD and iSCSI. */
export const GATE_WAIT_MS = 60_000;
/** Requests that wait in one worker. Choice: clients' own limits are far below. */
export const GATE_WAITING_MAX = 16_384;
/** Between looks while something waits. */
const LOOK_MS = 50;

interface Parked {
  readonly since: number;
  readonly go: IoCompletion;
}

export class IoGate {
  readonly #state: SharedArrayState;
  readonly #clock: IoClock;
  #parked: Parked[] = [];
  #isLooking = false;

  constructor(state: SharedArrayState, clock: IoClock) {
    this.#state = state;
    this.#clock = clock;
  }

  /** True while the node may do I/O: ask right BEFORE each submission, in the same turn. */
  get isOpen(): boolean {
    const until = this.#state.gateUntil;
    return until === 0 || this.#clock.now() < until;
  }

  now(): number {
    return this.#clock.now();
  }

  /**
   * `go(IO_OK)` once the gate is open: at the next look, or now; `go(errno)` when it will not open
   * for this request. `since`: when it began to wait.
   */
  pass(go: IoCompletion, since: number = this.#clock.now()): void {
    const errno = this.#verdict(since);
    if (errno !== null) return go(errno);
    if (this.#parked.length >= GATE_WAITING_MAX) return go(IO_EIO);
    this.#parked.push({ since, go });
    this.#lookLater();
  }

  /** What waits looks again, in order. */
  look(): void {
    const parked = this.#parked;
    this.#parked = [];
    for (const { since, go } of parked) this.pass(go, since);
  }

  #verdict(since: number): number | null {
    if (this.isOpen) return IO_OK;
    if (this.#state.gateUntil === GATE_EXPELLED) return IO_EIO;
    return this.#clock.now() - since >= GATE_WAIT_MS ? IO_EIO : null;
  }

  #lookLater(): void {
    if (this.#isLooking) return;
    this.#isLooking = true;
    this.#clock.after(LOOK_MS, () => {
      this.#isLooking = false;
      this.look();
    });
  }
}
