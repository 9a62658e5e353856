/** A layer over a block device that changes nothing: layers override what they are about. */

import type { CodedError } from "../../common/errors.ts";
import type { AllocationRun, BlockDevice, SyncCalls } from "../block-device.ts";

export class DeviceLayer implements BlockDevice {
  protected readonly inner: BlockDevice;

  constructor(inner: BlockDevice) {
    this.inner = inner;
  }

  get name(): string {
    return this.inner.name;
  }

  get sizeBytes(): number {
    return this.inner.sizeBytes;
  }

  get logicalBlockSize(): number {
    return this.inner.logicalBlockSize;
  }

  get readOnly(): boolean {
    return this.inner.readOnly;
  }

  get punches(): boolean {
    return this.inner.punches;
  }

  get zeroesFast(): boolean {
    return this.inner.zeroesFast;
  }

  get gone(): Promise<CodedError> | null {
    return this.inner.gone ?? null;
  }

  get sync(): SyncCalls | null {
    return this.inner.sync;
  }

  read(target: Uint8Array, offset: number): Promise<void> {
    return this.inner.read(target, offset);
  }

  write(source: readonly Uint8Array[], offset: number): Promise<void> {
    return this.inner.write(source, offset);
  }

  writeBeside(source: readonly Uint8Array[], offset: number): Promise<void> | null {
    return this.inner.writeBeside?.(source, offset) ?? null;
  }

  writeDurable(source: Uint8Array, offset: number): Promise<void> | null {
    return this.inner.writeDurable?.(source, offset) ?? null;
  }

  zero(offset: number, length: number, mayUnmap: boolean): Promise<void> {
    return this.inner.zero(offset, length, mayUnmap);
  }

  allocation(offset: number, length: number): Promise<readonly AllocationRun[]> {
    return this.inner.allocation(offset, length);
  }

  flush(): Promise<void> {
    return this.inner.flush();
  }

  measure(): void | Promise<void> {
    return this.inner.measure?.();
  }

  close(): Promise<void> {
    return this.inner.close();
  }
}
