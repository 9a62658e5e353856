/** Faults laid over members in lab mode, by device. */

import type { DeviceService } from "./device-service.ts";
import type { MemberFault, StorageEngine } from "./engine.ts";

/** A fault with the id of its device, null when the device is gone. */
export interface LabFault {
  readonly deviceId: string | null;
  readonly fault: MemberFault;
}

/** The fault lab. Calls that change something fail with HAL_LAB_MODE_OFF outside lab mode. */
export class LabFaults {
  readonly #engine: StorageEngine;
  readonly #devices: DeviceService;

  constructor(engine: StorageEngine, devices: DeviceService) {
    this.#engine = engine;
    this.#devices = devices;
  }

  list(): LabFault[] {
    return this.#engine
      .faults()
      .map((fault) => ({ deviceId: this.#devices.idOf(fault.path), fault }));
  }

  /** Lays a fault over a device. */
  async set(deviceKey: string, fault: Omit<MemberFault, "path">): Promise<LabFault> {
    const { record } = this.#devices.find(deviceKey);
    const placed: MemberFault = { ...fault, path: record.path };
    await this.#engine.setFault(placed);
    return { deviceId: record.id, fault: placed };
  }

  /** Lifts every fault of a device, or of all devices. */
  async clear(deviceKey: string | null): Promise<void> {
    const paths =
      deviceKey === null
        ? this.#engine.faults().map((fault) => fault.path)
        : [this.#devices.find(deviceKey).record.path];
    for (const path of new Set(paths)) {
      await this.#engine.clearFaults(path);
    }
  }
}
