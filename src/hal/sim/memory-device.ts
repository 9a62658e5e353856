/** A member in memory: as quick as the page cache, gone with the process. For tests and benches. */

import { CodedError } from "../../common/errors.ts";
import type { AllocationRun, BlockDevice, SyncCalls } from "../block-device.ts";
import { checkRange } from "../device-range.ts";
import { zeroRuns } from "./zero-runs.ts";

const LOGICAL_BLOCK = 512;

export interface MemoryDeviceOptions {
  readonly readOnly?: boolean;
  /** Without synchronous calls, as a member behind a network has none. */
  readonly isSlow?: boolean;
  /** What `punches` says; true unless told otherwise. */
  readonly punches?: boolean;
  /** What `zeroesFast` says; true unless told otherwise. */
  readonly zeroesFast?: boolean;
}

export class MemoryDevice implements BlockDevice {
  readonly name: string;
  readonly logicalBlockSize = LOGICAL_BLOCK;
  readonly readOnly: boolean;
  readonly punches: boolean;
  readonly zeroesFast: boolean;
  readonly sync: SyncCalls | null;
  /** The content; several handles may share it. */
  readonly bytes: Uint8Array;
  #open = true;

  constructor(name: string, bytes: Uint8Array, options: MemoryDeviceOptions = {}) {
    this.name = name;
    this.bytes = bytes;
    this.readOnly = options.readOnly ?? false;
    this.punches = !this.readOnly && (options.punches ?? true);
    this.zeroesFast = !this.readOnly && (options.zeroesFast ?? true);
    const calls: SyncCalls = {
      read: (target, offset) => {
        this.#read(target, offset);
        return true;
      },
      write: (source, offset) => this.#write(source, offset),
      flush: () => this.#check(0, 0),
    };
    this.sync = options.isSlow === true ? null : calls;
  }

  get sizeBytes(): number {
    return this.bytes.length;
  }

  async read(target: Uint8Array, offset: number): Promise<void> {
    this.#read(target, offset);
  }

  async write(source: readonly Uint8Array[], offset: number): Promise<void> {
    this.#write(source, offset);
  }

  async zero(offset: number, length: number, _mayUnmap: boolean): Promise<void> {
    this.#checkWrite(offset, length);
    this.bytes.fill(0, offset, offset + length);
  }

  async allocation(offset: number, length: number): Promise<readonly AllocationRun[]> {
    this.#check(offset, length);
    return zeroRuns(this.bytes, offset, length);
  }

  async flush(): Promise<void> {
    this.#check(0, 0);
  }

  async close(): Promise<void> {
    this.#open = false;
  }

  #read(target: Uint8Array, offset: number): void {
    this.#check(offset, target.length);
    target.set(this.bytes.subarray(offset, offset + target.length));
  }

  #write(source: readonly Uint8Array[], offset: number): void {
    const length = source.reduce((total, piece) => total + piece.length, 0);
    this.#checkWrite(offset, length);
    let at = offset;
    for (const piece of source) {
      this.bytes.set(piece, at);
      at += piece.length;
    }
  }

  #checkWrite(offset: number, length: number): void {
    this.#check(offset, length);
    if (this.readOnly) throw new CodedError("HAL_READ_ONLY", `${this.name}: opened read-only`);
  }

  #check(offset: number, length: number): void {
    if (!this.#open) throw new CodedError("HAL_DEVICE_CLOSED", `${this.name}: closed`);
    checkRange(this, offset, length);
  }
}
