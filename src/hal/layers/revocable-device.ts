/**
 * A layer that knows what its device owes: since when the oldest asynchronous call waits, and how
 * to do without the answer. A system call cannot be taken back; `revoke` ends the calls for whoever
 * made them and refuses later ones, while the device may still carry the old ones out.
 *
 * So after HAL_NO_ANSWER the buffer of a read may still be written, and a write may still reach the
 * device, with whatever its buffer holds by then: nobody may trust what is there before
 * `owesSince` is null again and it was copied anew.
 */

import { CodedError } from "../../common/errors.ts";
import type { AllocationRun, BlockDevice, SyncCalls } from "../block-device.ts";
import { DeviceLayer } from "./device-layer.ts";

/** A device that owes an answer for longer is not called synchronously, milliseconds. Choice. */
const SILENT_MS = 1000;
/** A device that took so long for a read is left alone, then asked by one read. Choice. */
const DOUBT_MIN_MS = 10_000;
const DOUBT_MAX_MS = 60_000;

interface Call {
  readonly began: number;
  readonly isRead: boolean;
  readonly giveUp: (error: CodedError) => void;
}

export class RevocableDevice extends DeviceLayer {
  readonly #nowMs: () => number;
  /** In order of their beginning. */
  readonly #calls = new Set<Call>();
  #revoked: CodedError | null = null;
  #isClosed = false;
  /** How long it is left alone after a read that took long; 0: it is trusted. */
  #doubtMs = 0;
  #doubtedUntil = 0;
  #whenIdle: PromiseWithResolvers<undefined> | null = null;

  /** `nowMs`: milliseconds since the epoch. */
  constructor(inner: BlockDevice, nowMs: () => number) {
    super(inner);
    this.#nowMs = nowMs;
  }

  /** The device itself if it is one already, else with this layer over it. */
  static over(device: BlockDevice, nowMs: () => number): RevocableDevice {
    return device instanceof RevocableDevice ? device : new RevocableDevice(device, nowMs);
  }

  /** When the oldest call that is not answered began; null when none waits. */
  get owesSince(): number | null {
    for (const { began } of this.#calls) return began;
    return null;
  }

  /**
   * True while it owes an answer for long, or did lately: whoever has a choice does not ask it. A
   * device whose every read takes seconds would else be trusted again with each answer.
   */
  get isSilent(): boolean {
    if (this.#calls.size === 0 && this.#doubtMs === 0) return false;
    const now = this.#nowMs();
    const since = this.owesSince;
    return (since !== null && now - since >= SILENT_MS) || this.#isDoubted(now);
  }

  /** Left alone for a while, then while one read shows how long it takes. */
  #isDoubted(now: number): boolean {
    if (this.#doubtMs === 0) return false;
    const left = this.#doubtedUntil - now;
    // A clock that was set back must not make it last.
    if (left > 0 && left <= DOUBT_MAX_MS) return true;
    return [...this.#calls].some(({ isRead }) => isRead);
  }

  #judge({ began }: Call): void {
    const now = this.#nowMs();
    if (now - began < SILENT_MS) {
      if (began >= this.#doubtedUntil) this.#doubtMs = 0;
      return;
    }
    // Reads that waited side by side are one sign.
    const isAgain = this.#doubtMs > 0 && began >= this.#doubtedUntil;
    if (this.#doubtMs === 0) this.#doubtMs = DOUBT_MIN_MS;
    else if (isAgain) this.#doubtMs = Math.min(2 * this.#doubtMs, DOUBT_MAX_MS);
    this.#doubtedUntil = now + this.#doubtMs;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  get isRevoked(): boolean {
    return this.#revoked !== null;
  }

  /** Ends every call under way, and each later one, with HAL_NO_ANSWER. */
  revoke(reason: string): void {
    if (this.#revoked !== null) return;
    const error = new CodedError("HAL_NO_ANSWER", `${this.name}: ${reason}`);
    this.#revoked = error;
    for (const { giveUp } of this.#calls) giveUp(error);
  }

  /** Takes the revocation back, unless a call that it ended may yet be carried out. */
  restore(): void {
    if (this.#calls.size === 0) this.#revoked = null;
  }

  override get sync(): SyncCalls | null {
    return this.#revoked !== null || this.isSilent ? null : this.inner.sync;
  }

  override read(target: Uint8Array, offset: number): Promise<void> {
    return this.#run(() => this.inner.read(target, offset), true);
  }

  override write(source: readonly Uint8Array[], offset: number): Promise<void> {
    return this.#run(() => this.inner.write(source, offset));
  }

  override writeBeside(source: readonly Uint8Array[], offset: number): Promise<void> | null {
    if (this.#revoked !== null || this.isSilent) return null;
    const written = super.writeBeside(source, offset);
    return written === null ? null : this.#run(() => written);
  }

  override writeDurable(source: Uint8Array, offset: number): Promise<void> | null {
    if (this.#revoked !== null) return null;
    const written = super.writeDurable(source, offset);
    return written === null ? null : this.#run(() => written);
  }

  override zero(offset: number, length: number, mayUnmap: boolean): Promise<void> {
    return this.#run(() => this.inner.zero(offset, length, mayUnmap));
  }

  override allocation(offset: number, length: number): Promise<readonly AllocationRun[]> {
    return this.#run(() => this.inner.allocation(offset, length));
  }

  override flush(): Promise<void> {
    return this.#run(() => this.inner.flush());
  }

  /** Resolves once the device owes nothing, which may be never. */
  async answered(): Promise<void> {
    while (this.#calls.size > 0) {
      this.#whenIdle ??= Promise.withResolvers<undefined>();
      await this.#whenIdle.promise;
    }
  }

  /** AFTER the device has answered everything: a late call must not meet another file's handle. */
  override async close(): Promise<void> {
    await this.answered();
    await this.inner.close();
    this.#isClosed = true;
  }

  #run<T>(begin: () => Promise<T>, isRead = false): Promise<T> {
    if (this.#revoked !== null) return Promise.reject(this.#revoked);
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    const call = { began: this.#nowMs(), isRead, giveUp: reject };
    this.#calls.add(call);
    const end = (): void => {
      this.#calls.delete(call);
      if (isRead) this.#judge(call);
      if (this.#calls.size > 0) return;
      this.#whenIdle?.resolve(undefined);
      this.#whenIdle = null;
    };
    begin().then(
      (value) => {
        end();
        resolve(value);
      },
      (error: unknown) => {
        end();
        reject(error);
      },
    );
    return promise;
  }
}
