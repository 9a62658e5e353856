/** Checks an order to create an array against the devices, before anything is written. */

import { CodedError } from "../common/errors.ts";
import { createOptionsOf } from "../raid/create-options.ts";
import {
  type CreateMember,
  type CreateOptions,
  type CreatePlan,
  planCreate as decideCreate,
} from "../raid/create-plan.ts";
import { formatRaid10Layout } from "../raid/raid10-layout.ts";
import type { DeviceView } from "./device-service.ts";
import type { CreateArrayRequest } from "./engine.ts";
import { refuseFlags } from "./member-flags.ts";
import { layoutWord, survivableFailures } from "./survival.ts";

const SECTOR = 512;

/** An order to create an array. Sizes in bytes; null = mdadm's default. */
export interface CreateOrder {
  readonly name: string;
  readonly level: "raid1" | "raid10";
  /** `n2`, `f2`, `o3` …; raid10 only, as the chunk. */
  readonly layout: string | null;
  readonly chunkBytes: number | null;
  /** Ids or paths in raid slot order, then spares; `missing` leaves a raid slot empty. */
  readonly devices: readonly string[];
  readonly raidDevices: number | null;
  readonly bitmap: "internal" | "clustered" | "none";
  readonly bitmapChunkBytes: number | null;
  /** Slots and cluster name of a clustered bitmap. */
  readonly nodes: number | null;
  readonly clusterName: string | null;
  /** Devices, each one of `devices`. */
  readonly writeMostly: readonly string[];
  readonly failfast: readonly string[];
  readonly metadata: "1.0" | "1.1" | "1.2";
  /** Bytes to use of each member. */
  readonly sizeBytes: number | null;
  readonly assumeClean: boolean;
  readonly force: boolean;
}

/** One position of an order: a device, or an empty raid slot. */
export type OrderedDevice = DeviceView | "missing";

/** What an order would make. Sizes in bytes. */
export interface ArrayPlan {
  readonly order: CreateOrder;
  /** What the engine is to be asked. */
  readonly request: CreateArrayRequest;
  /** The word that creates the layout; null for raid1. */
  readonly layout: string | null;
  readonly chunkBytes: number | null;
  /** Size of the array. */
  readonly sizeBytes: number;
  /** Bytes used of each member. */
  readonly memberBytes: number;
  readonly bitmapChunkBytes: number | null;
  /** Members that may fail, whichever they are. */
  readonly survives: number;
  /** Size of the smallest device. */
  readonly smallestDeviceBytes: number;
  readonly hasInitialResync: boolean;
  readonly devices: readonly { readonly view: DeviceView; readonly role: string }[];
}

/** Word for an empty raid slot. Source: mdadm.8, "missing". */
export const MISSING = "missing";
/** Source: mdadm --nodes defaults to 4. */
const NODES_DEFAULT = 4;
const CLUSTER_NAME_DEFAULT = "satsuma";

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
        remedy: "its content would be lost: ask with force (--force) if that is wanted",
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

/** Devices named by `keys`, which must be among `views`; their paths. */
const pathsAmong = (keys: readonly string[], views: readonly DeviceView[]): string[] =>
  keys.map((key) => {
    const found = views.find(({ record }) => record.id === key || record.path === key);
    if (found === undefined) {
      const message = `device ${key} is not among the devices of the new array`;
      throw new CodedError("CONTROL_MEMBER_NOT_FOUND", message, {
        remedy: "give flags only to devices of the array",
      });
    }
    return found.record.path;
  });

const requestOf = (
  order: CreateOrder,
  slots: readonly OrderedDevice[],
  raidDevices: number,
): CreateArrayRequest => {
  const views = slots.filter((slot): slot is DeviceView => slot !== MISSING);
  const { writeMostly, failfast } = order;
  refuseFlags(order, { writeMostly: writeMostly.length > 0, failfast: failfast.length > 0 });
  return {
    name: order.name,
    level: order.level,
    layout: order.layout,
    chunkBytes: order.chunkBytes,
    members: slots.map((slot) => (slot === MISSING ? MISSING : slot.record.path)),
    raidDevices,
    bitmap: order.bitmap,
    nodes: order.bitmap === "clustered" ? (order.nodes ?? NODES_DEFAULT) : 0,
    clusterName: order.bitmap === "clustered" ? (order.clusterName ?? CLUSTER_NAME_DEFAULT) : "",
    writeMostly: pathsAmong(writeMostly, views),
    failfast: pathsAmong(failfast, views),
    bitmapChunkBytes: order.bitmapChunkBytes,
    metadata: order.metadata,
    assumeClean: order.assumeClean,
    force: order.force,
    sizeBytes: order.sizeBytes,
  };
};

/** Geometry as the engine will decide it; nothing of this identity is ever written. */
const IDENTITY = { homehost: "", setUuid: new Uint8Array(16), createdAt: 0 };

const decide = (
  request: CreateArrayRequest,
  slots: readonly OrderedDevice[],
): { readonly options: CreateOptions; readonly plan: CreatePlan } => {
  const made = createOptionsOf(request, slots.length, IDENTITY);
  if (!made.ok) {
    const { refusal } = made;
    throw new CodedError(refusal.code, refusal.message, { remedy: refusal.remedy });
  }
  const members = slots.map((slot): CreateMember => {
    if (slot === MISSING) {
      return MISSING;
    }
    const { record, probe } = slot;
    const { sizeBytes = 0, logicalBlockSize = 512 } = probe ?? {};
    const deviceUuid = new Uint8Array(16);
    return { path: record.path, sizeBytes, logicalBlockSize, deviceUuid, stale: [] };
  });
  const planned = decideCreate(made.value, members);
  if (!planned.ok) {
    throw new CodedError(planned.code, planned.message, { remedy: planned.remedy });
  }
  return { options: made.value, plan: planned.value };
};

/**
 * The plan of an order over freshly read devices. Errors: the codes above, RAID_FLAG_UNSUPPORTED,
 * and those of raid's planCreate.
 */
export function planCreate(order: CreateOrder, given: readonly OrderedDevice[]): ArrayPlan {
  const views = given.filter((slot): slot is DeviceView => slot !== MISSING);
  refuseTwice(views);
  for (const view of views) {
    refuseUnfit(view, order.force);
  }
  const raidDevices = order.raidDevices ?? Math.max(2, given.length);
  const empty = Math.max(0, raidDevices - given.length);
  const slots = [...given, ...Array<"missing">(empty).fill(MISSING)];
  const request = requestOf(order, slots, raidDevices);
  const { options, plan } = decide(request, slots);
  const layout = options.level === 10 ? formatRaid10Layout(options.layout) : null;
  const held = slots.slice(0, raidDevices).filter((slot) => slot !== MISSING).length;
  return {
    order,
    request,
    layout: layout === null ? null : layoutWord(layout),
    chunkBytes: options.chunkSectors === 0 ? null : options.chunkSectors * SECTOR,
    sizeBytes: plan.arraySectors * SECTOR,
    memberBytes: plan.size * SECTOR,
    bitmapChunkBytes: plan.bitmap?.chunkBytes ?? null,
    survives: survivableFailures({ raidDevices, layout }, (slot) => slots[slot] !== MISSING),
    smallestDeviceBytes: Math.min(...views.map((view) => view.probe?.sizeBytes ?? 0)),
    hasInitialResync: !order.assumeClean && held > 1,
    devices: slots.flatMap((view, index) =>
      view === MISSING
        ? []
        : [{ view, role: index < raidDevices ? `raid slot ${index}` : "spare" }],
    ),
  };
}
