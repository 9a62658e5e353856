/**
 * A layer over any block device that makes chosen calls fail or wait: the fault laboratory of
 * tests, of lab mode and of benches.
 *
 * Fault model: a fault has a kind (read, write or flush error, or a stall of any call), may let the
 * first N matching calls pass, then hits a number of calls or all of them, everywhere or only where
 * a call touches a range. A failed call changes nothing beneath; a stalled one goes on after its
 * time or when the faults are cleared.
 * The state lives in shared memory, so one switch reaches the handles of every thread.
 */

import { CodedError } from "../../common/errors.ts";
import {
  type AllocationRun,
  type BlockDevice,
  type SyncCalls,
  syncCallsOf,
} from "../block-device.ts";
import { DeviceLayer } from "./device-layer.ts";

export type FaultKind = "read-error" | "write-error" | "flush-error" | "stall";
const KINDS: readonly FaultKind[] = ["read-error", "write-error", "flush-error", "stall"];

const WORDS = 8;
const ARMED = 0;
const PASS = 1;
const HITS = 2;
const STALL_MS = 3;
/** Range in units of 512 bytes. */
const RANGE_LO = 4;
const RANGE_HI = 5;
const SECTOR = 512;
const FOREVER = 0x7fffffff;

export interface Fault {
  readonly kind: FaultKind;
  readonly after: number;
  readonly count: number | null;
  readonly range: { readonly offset: number; readonly length: number } | null;
  readonly stallMs: number;
}

/** The switches of one device's faults, one of each kind, shared by all its handles. */
export class FaultSwitch {
  readonly words: Int32Array;

  constructor(buffer: SharedArrayBuffer = new SharedArrayBuffer(WORDS * 4 * KINDS.length)) {
    this.words = new Int32Array(buffer);
  }

  get buffer(): SharedArrayBuffer {
    return this.words.buffer as SharedArrayBuffer;
  }

  arm(fault: Fault): void {
    const base = KINDS.indexOf(fault.kind) * WORDS;
    const put = (word: number, value: number) => Atomics.store(this.words, base + word, value);
    put(ARMED, 0);
    put(PASS, fault.after);
    put(HITS, fault.count ?? FOREVER);
    put(STALL_MS, fault.stallMs);
    put(RANGE_LO, fault.range === null ? 0 : Math.floor(fault.range.offset / SECTOR));
    put(
      RANGE_HI,
      fault.range === null
        ? FOREVER
        : wordOf(Math.ceil((fault.range.offset + fault.range.length) / SECTOR)),
    );
    put(ARMED, 1);
  }

  disarmAll(): void {
    for (let kind = 0; kind < KINDS.length; kind++) {
      Atomics.store(this.words, kind * WORDS + ARMED, 0);
      Atomics.notify(this.words, kind * WORDS + ARMED);
    }
  }

  /** Resolves after the time, or as soon as the faults are cleared; keeps no thread alive. */
  async stalled(ms: number): Promise<void> {
    const words = this.words as Int32Array<SharedArrayBuffer>;
    const wait = Atomics.waitAsync(words, KINDS.indexOf("stall") * WORDS + ARMED, 1, ms);
    if (wait.async) await wait.value;
  }

  /** True while a stall may hit: the device must not be called synchronously. */
  get mayStall(): boolean {
    return this.#mayHit("stall");
  }

  #mayHit(kind: FaultKind): boolean {
    const base = KINDS.indexOf(kind) * WORDS;
    return (
      Atomics.load(this.words, base + ARMED) === 1 && Atomics.load(this.words, base + HITS) > 0
    );
  }

  /** True while an error of a write may hit. */
  get mayFailWrites(): boolean {
    return this.#mayHit("write-error");
  }

  get mayFailFlushes(): boolean {
    return this.#mayHit("flush-error");
  }

  get stallMs(): number {
    return Atomics.load(this.words, KINDS.indexOf("stall") * WORDS + STALL_MS);
  }

  /** Whether this call is hit, counting it. */
  hits(kind: FaultKind, offset: number, length: number): boolean {
    const base = KINDS.indexOf(kind) * WORDS;
    const { words } = this;
    if (Atomics.load(words, base + ARMED) === 0) return false;
    const lo = Atomics.load(words, base + RANGE_LO) * SECTOR;
    const hi = Atomics.load(words, base + RANGE_HI);
    if (offset + length <= lo || (hi !== FOREVER && offset >= hi * SECTOR)) return false;
    if (Atomics.load(words, base + PASS) > 0 && Atomics.sub(words, base + PASS, 1) > 0)
      return false;
    const left = Atomics.load(words, base + HITS);
    if (left === FOREVER) return true;
    return left > 0 && Atomics.sub(words, base + HITS, 1) > 0;
  }
}

/** Waits; injected, so that simulated time works too. */
export type Delay = (ms: number) => Promise<void>;

export class FaultDevice extends DeviceLayer {
  readonly #faults: FaultSwitch;
  readonly #delay: Delay;
  readonly #sync: SyncCalls;

  constructor(inner: BlockDevice, faults: FaultSwitch, delay: Delay) {
    super(inner);
    this.#faults = faults;
    this.#delay = delay;
    this.#sync = {
      read: (target, offset) => {
        // What is not at hand is counted when it is read.
        if (!syncCallsOf(inner).read(target, offset)) return false;
        this.#fail("read-error", "read", offset, target.length);
        return true;
      },
      write: (source, offset) => {
        this.#fail("write-error", "write", offset, lengthOf(source));
        syncCallsOf(inner).write(source, offset);
      },
      flush: () => {
        this.#fail("flush-error", "flush", 0, this.inner.sizeBytes);
        syncCallsOf(inner).flush();
      },
    };
  }

  override get sync(): SyncCalls | null {
    return this.#faults.mayStall || this.inner.sync === null ? null : this.#sync;
  }

  override async read(target: Uint8Array, offset: number): Promise<void> {
    await this.#stall(offset, target.length);
    this.#fail("read-error", "read", offset, target.length);
    return this.inner.read(target, offset);
  }

  override async write(source: readonly Uint8Array[], offset: number): Promise<void> {
    await this.#stall(offset, lengthOf(source));
    this.#fail("write-error", "write", offset, lengthOf(source));
    return this.inner.write(source, offset);
  }

  override writeBeside(source: readonly Uint8Array[], offset: number): Promise<void> | null {
    // A call that is to be hit is counted once, by the other calls.
    if (this.#faults.mayStall || this.#faults.mayFailWrites) return null;
    return super.writeBeside(source, offset);
  }

  override writeDurable(source: Uint8Array, offset: number): Promise<void> | null {
    const { mayStall, mayFailWrites, mayFailFlushes } = this.#faults;
    return mayStall || mayFailWrites || mayFailFlushes ? null : super.writeDurable(source, offset);
  }

  override async zero(offset: number, length: number, mayUnmap: boolean): Promise<void> {
    await this.#stall(offset, length);
    this.#fail("write-error", "zero", offset, length);
    return this.inner.zero(offset, length, mayUnmap);
  }

  override async allocation(offset: number, length: number): Promise<readonly AllocationRun[]> {
    await this.#stall(offset, length);
    this.#fail("read-error", "allocation", offset, length);
    return this.inner.allocation(offset, length);
  }

  override async flush(): Promise<void> {
    await this.#stall(0, this.sizeBytes);
    this.#fail("flush-error", "flush", 0, this.sizeBytes);
    return this.inner.flush();
  }

  async #stall(offset: number, length: number): Promise<void> {
    if (this.#faults.hits("stall", offset, length)) await this.#delay(this.#faults.stallMs);
  }

  #fail(kind: FaultKind, verb: string, offset: number, length: number): void {
    if (!this.#faults.hits(kind, offset, length)) return;
    throw new CodedError("HAL_IO_ERROR", `${this.name}: ${verb} failed (EIO, injected fault)`);
  }
}

/** A sector as one word; what is beyond 1 TiB is as far as a word goes. */
const wordOf = (sector: number): number => Math.min(sector, 0x7fff_ffff);

const lengthOf = (pieces: readonly Uint8Array[]): number =>
  pieces.reduce((total, piece) => total + piece.length, 0);
