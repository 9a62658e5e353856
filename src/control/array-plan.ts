/** Checks an order to create an array against the devices, before anything is written. */

import { CodedError } from "../common/errors.ts";
import type { DeviceView } from "./device-service.ts";

/** An order to create an array; devices by id or path, in raid slot order, then spares. */
export interface CreateOrder {
  readonly name: string;
  readonly level: "raid1";
  readonly devices: readonly string[];
  readonly raidDevices: number | null;
  readonly bitmap: "internal" | "none";
  readonly bitmapChunkBytes: number | null;
  readonly metadata: "1.0" | "1.1" | "1.2";
  readonly sizeBytes: number | null;
  readonly assumeClean: boolean;
  readonly force: boolean;
}

/** What an order would make. */
export interface ArrayPlan {
  readonly name: string;
  readonly level: "raid1";
  readonly raidDevices: number;
  /** Raid slots for which no device is given. */
  readonly emptySlots: number;
  /** Size of the smallest device; the array is a little smaller. */
  readonly smallestDeviceBytes: number;
  readonly hasInitialResync: boolean;
  readonly devices: readonly { readonly view: DeviceView; readonly role: string }[];
}

const refuseTwice = (views: readonly DeviceView[]): void => {
  const seen = new Set<string>();
  for (const { record, file } of views) {
    const identity = file?.identity ?? record.path;
    if (seen.has(identity)) {
      throw new CodedError("CONTROL_DEVICE_TWICE", `${record.id} is named twice`, {
        remedy: "give each device once",
        details: { device: record.id },
      });
    }
    seen.add(identity);
  }
};

/** Refuses a device that may not be taken. `force` takes devices that hold other content. */
export function refuseUnfit(view: DeviceView, force: boolean): void {
  const why = view.reasons.map((reason) => reason.message).join("; ");
  const details = { device: view.record.id, path: view.record.path, state: view.state };
  const name = `device ${view.record.id}`;
  switch (view.state) {
    case "free":
      return;
    case "foreign":
      if (force) {
        return;
      }
      throw new CodedError("CONTROL_DEVICE_NOT_CLEAN", `${name}: ${why}`, {
        remedy: "its content would be lost: ask with force if that is wanted",
        details: { ...details, signatures: view.probe?.signatures ?? [] },
      });
    case "in-use":
    case "spare":
    case "failed":
      throw new CodedError("CONTROL_DEVICE_IN_USE", `${name}: ${why}`, {
        remedy: "choose another device, or remove this one from its array first",
        details,
      });
    case "missing":
      throw new CodedError("CONTROL_DEVICE_MISSING", `${name}: ${why}`, {
        remedy: "bring the device back, or choose another",
        details,
      });
    case "unusable":
      throw new CodedError("CONTROL_DEVICE_UNUSABLE", `${name}: ${why}`, {
        remedy: "choose another device",
        details,
      });
  }
}

/** The plan of an order over freshly read devices. Errors: the codes above. */
export function planCreate(order: CreateOrder, views: readonly DeviceView[]): ArrayPlan {
  refuseTwice(views);
  for (const view of views) {
    refuseUnfit(view, order.force);
  }
  const raidDevices = order.raidDevices ?? Math.max(2, views.length);
  return {
    name: order.name,
    level: order.level,
    raidDevices,
    emptySlots: Math.max(0, raidDevices - views.length),
    smallestDeviceBytes: Math.min(...views.map((view) => view.probe?.sizeBytes ?? 0)),
    hasInitialResync: !order.assumeClean && views.length > 1,
    devices: views.map((view, index) => ({
      view,
      role: index < raidDevices ? `raid slot ${index}` : "spare",
    })),
  };
}
