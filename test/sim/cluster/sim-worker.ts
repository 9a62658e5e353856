/**
 * An I/O worker's side of an array, as workers/worker-array.ts has it: its I/O path, its port to
 * and from the array thread, and the requests that wait while the array is being changed.
 */

import type { BlockDevice } from "../../../src/hal/block-device.ts";
import type { ArrayEvent } from "../../../src/raid/array-messages.ts";
import type { AssembledLeg } from "../../../src/raid/assemble-driver.ts";
import { ArrayIo } from "../../../src/raid/io-driver.ts";
import type { SharedArrayState } from "../../../src/raid/shared-state.ts";
import { Channel } from "../scheduler.ts";
import type { NodeClock } from "./timeline.ts";

/** What it needs of its node. */
export interface WorkerHome {
  readonly clock: NodeClock;
  /** Resolves when a message has come to the other thread. */
  readonly turn: () => Promise<void>;
  readonly waitForRegion: () => Promise<void>;
  /** Seconds since the epoch. */
  readonly seconds: () => number;
  readonly open: (path: string, worker: number) => BlockDevice;
  readonly dispatch: (event: ArrayEvent) => void;
}

export class SimWorker {
  readonly #home: WorkerHome;
  readonly #worker: number;
  readonly #toArray: Channel;
  readonly #fromArray: Channel;
  #io: ArrayIo;
  /** Requests that came while the array is being changed, else null. */
  #held: ((io: ArrayIo) => void)[] | null = null;

  constructor(
    home: WorkerHome,
    worker: number,
    state: SharedArrayState,
    legs: readonly AssembledLeg[],
  ) {
    this.#home = home;
    this.#worker = worker;
    this.#toArray = new Channel(home.turn);
    this.#fromArray = new Channel(home.turn);
    this.#io = this.#makeIo(state, legs);
  }

  /** The I/O path as it is now; another one after each change of the array. */
  get io(): ArrayIo {
    return this.#io;
  }

  /** Runs the request at once, or when the change under way is done. */
  submit(request: (io: ArrayIo) => void): void {
    if (this.#held === null) request(this.#io);
    else this.#held.push(request);
  }

  /** A message of the array thread. */
  tell(act: (io: ArrayIo) => void): void {
    this.#fromArray.post(() => act(this.#io));
  }

  /** A message of the array thread; resolves there when it is carried out. */
  ask(act: (worker: SimWorker) => Promise<void>): Promise<void> {
    return new Promise((resolve) => {
      this.#fromArray.post(() => void act(this).then(() => this.#toArray.post(resolve)));
    });
  }

  /** No request begins any more; resolves when those under way have ended. */
  async hold(): Promise<void> {
    this.#held = [];
    await this.#io.close();
  }

  /** The array as it is after a change. */
  renew(state: SharedArrayState, legs: readonly AssembledLeg[]): void {
    this.#io = this.#makeIo(state, legs);
  }

  release(): void {
    const held = this.#held ?? [];
    this.#held = null;
    for (const request of held) request(this.#io);
  }

  async close(): Promise<void> {
    this.release();
    await this.#io.close();
  }

  openLeg({ leg, path, dataOffset }: AssembledLeg): void {
    this.#io.openLeg(leg, this.#home.open(path, this.#worker), dataOffset);
  }

  #makeIo(state: SharedArrayState, legs: readonly AssembledLeg[]): ArrayIo {
    const { clock, waitForRegion, seconds, dispatch } = this.#home;
    const worker = this.#worker;
    const tell = (event: ArrayEvent): void => this.#toArray.post(() => dispatch(event));
    const io = new ArrayIo({
      state,
      worker,
      link: {
        intent: (ranges) => tell({ type: "intent", worker, ranges }),
        legReport: (request, leg, kind, message, ranges, span) =>
          tell({ type: "leg-report", worker, request, leg, kind, message, ranges, span }),
        legGone: (leg, message) => tell({ type: "leg-gone", leg, message }),
        readError: (leg, offset, length, message) =>
          tell({ type: "read-error", leg, offset, length, message }),
      },
      seconds,
      clock,
      waitForRegion,
    });
    for (const { leg, path, dataOffset } of legs)
      io.openLeg(leg, this.#home.open(path, worker), dataOffset);
    return io;
  }
}
