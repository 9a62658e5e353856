/**
 * A layer that takes a device out of the synchronous path while it is slow: after a synchronous
 * call that took long (a cold page cache, dirty throttling, a sick drive) `sync` is null for a
 * while, so callers use the asynchronous calls and one slow member never stalls the others.
 */

import { type BlockDevice, type SyncCalls, syncCallsOf } from "../block-device.ts";
import { DeviceLayer } from "./device-layer.ts";

/** A call longer than this is slow, milliseconds. Choice: far above a page-cache copy of 1 MiB. */
const SLOW_MS = 4;
/** Time out of the synchronous path after a slow call, milliseconds. Choice: see bench. */
const COOL_DOWN_MS = 100;

export class AdaptiveDevice extends DeviceLayer {
  readonly #nowMs: () => number;
  readonly #timed: SyncCalls;
  #slowUntil = Number.NEGATIVE_INFINITY;

  /** `nowMs`: a monotonic clock in milliseconds. */
  constructor(inner: BlockDevice, nowMs: () => number) {
    super(inner);
    this.#nowMs = nowMs;
    this.#timed = {
      read: (target, offset) => {
        const began = nowMs();
        const isDone = syncCallsOf(inner).read(target, offset);
        this.#judge(began);
        return isDone;
      },
      write: (source, offset) => {
        const began = nowMs();
        syncCallsOf(inner).write(source, offset);
        this.#judge(began);
      },
      flush: () => syncCallsOf(inner).flush(),
    };
  }

  override get sync(): SyncCalls | null {
    if (this.inner.sync === null) return null;
    if (this.#slowUntil > Number.NEGATIVE_INFINITY && this.#nowMs() < this.#slowUntil) return null;
    return this.#timed;
  }

  #judge(began: number): void {
    const now = this.#nowMs();
    if (now - began > SLOW_MS) this.#slowUntil = now + COOL_DOWN_MS;
  }
}
