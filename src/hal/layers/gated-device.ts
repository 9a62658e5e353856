/**
 * A layer for nodes of a cluster: calls begin only while the node may do I/O. Behind a closed gate
 * they wait; when the node was expelled they fail and are never carried out.
 */

import type { AllocationRun, BlockDevice, SyncCalls } from "../block-device.ts";
import { DeviceLayer } from "./device-layer.ts";

export interface DeviceGate {
  readonly isOpen: boolean;
  /** Resolves when the gate is open. Errors: HAL_EXPELLED. */
  opened(): Promise<void>;
}

export class GatedDevice extends DeviceLayer {
  readonly #gate: DeviceGate;

  constructor(inner: BlockDevice, gate: DeviceGate) {
    super(inner);
    this.#gate = gate;
  }

  override get sync(): SyncCalls | null {
    return this.#gate.isOpen ? this.inner.sync : null;
  }

  override read(target: Uint8Array, offset: number): Promise<void> {
    return this.#pass(() => this.inner.read(target, offset));
  }

  override write(source: readonly Uint8Array[], offset: number): Promise<void> {
    return this.#pass(() => this.inner.write(source, offset));
  }

  override writeBeside(source: readonly Uint8Array[], offset: number): Promise<void> | null {
    return this.#gate.isOpen ? super.writeBeside(source, offset) : null;
  }

  override writeDurable(source: Uint8Array, offset: number): Promise<void> | null {
    return this.#gate.isOpen ? super.writeDurable(source, offset) : null;
  }

  override zero(offset: number, length: number, mayUnmap: boolean): Promise<void> {
    return this.#pass(() => this.inner.zero(offset, length, mayUnmap));
  }

  override allocation(offset: number, length: number): Promise<readonly AllocationRun[]> {
    return this.#pass(() => this.inner.allocation(offset, length));
  }

  override flush(): Promise<void> {
    return this.#pass(() => this.inner.flush());
  }

  async #pass<T>(call: () => Promise<T>): Promise<T> {
    while (!this.#gate.isOpen) await this.#gate.opened();
    return await call();
  }
}
