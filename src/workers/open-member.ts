/** Opens a member the way every thread does: its store, then the layers over it. */

// Imported: Node looks the global up anew, through a getter, at every use.
import { performance } from "node:perf_hooks";
import { CodedError } from "../common/errors.ts";
import type { BlockDevice } from "../hal/block-device.ts";
import { AdaptiveDevice } from "../hal/layers/adaptive-device.ts";
import { FaultDevice, FaultSwitch } from "../hal/layers/fault-device.ts";
import { type DeviceGate, GatedDevice } from "../hal/layers/gated-device.ts";
import { RevocableDevice } from "../hal/layers/revocable-device.ts";
import {
  isPeer,
  type OpenStoreOptions,
  openStore,
  type StoreTicket,
  storeOf,
} from "./open-store.ts";

/** A member to open: where it is, and the switches of its faults in lab mode. */
export interface MemberTicket extends StoreTicket {
  readonly faults: SharedArrayBuffer | null;
}

/** Handles of this thread that are not known to be closed, and the stores they lead to. */
const handles = new Map<RevocableDevice, string>();

/** Late answers are waited for this long, milliseconds. Choice: a healthy drive is quicker. */
const LATE_MS = 2000;

/** True when the device owes nothing, or has answered everything soon. */
export const answersSoon = async (device: RevocableDevice): Promise<boolean> => {
  if (device.owesSince === null) return true;
  const late = Promise.withResolvers<undefined>();
  const timer = setTimeout(late.resolve, LATE_MS, undefined);
  await Promise.race([device.answered(), late.promise]);
  clearTimeout(timer);
  return device.owesSince === null;
};

/**
 * Null once every handle of this thread that was given up has been answered, of the store at `path`
 * or of any (null); else, after a while, what may still reach a store.
 */
export const owed = async (path: string | null): Promise<string | null> => {
  const key = path === null ? null : storeOf(path);
  const asked = [...handles].filter(
    ([device, store]) => device.isRevoked && !device.isClosed && (key === null || store === key),
  );
  const isAnswered = await Promise.all(asked.map(([device]) => answersSoon(device)));
  const late = asked.find((_, index) => isAnswered[index] === false);
  return late === undefined ? null : `${late[0].name} has not answered calls from before`;
};

/** Resolves once nothing that was given up may still reach the store at `path`, however late. */
export const settled = async (path: string): Promise<void> => {
  while ((await owed(path)) !== null);
};

/**
 * A write that nobody waits for any more may still reach the store: it is not opened again before.
 * Errors: HAL_DEVICE_OWES.
 */
const awaitOwing = async (path: string): Promise<void> => {
  for (const device of handles.keys()) if (device.isClosed) handles.delete(device);
  if ((await owed(path)) === null) return;
  throw new CodedError("HAL_DEVICE_OWES", `${path}: has not answered calls from before`, {
    remedy: "wait until the device answers, or restart the board without it",
  });
};

export interface OpenMemberOptions extends OpenStoreOptions {
  /** Of a node of a cluster: when it may do I/O. */
  readonly gate?: DeviceGate | null;
}

/** Errors: HAL_DEVICE_OWES, and those of openStore. */
export const openMember = async (
  ticket: MemberTicket,
  mode: "read" | "write",
  { gate = null, ...options }: OpenMemberOptions,
): Promise<RevocableDevice> => {
  const key = storeOf(ticket.path);
  await awaitOwing(ticket.path);
  const store = await openStore(ticket, mode, options);
  // A peer's disk has no synchronous calls to leave out while it is slow.
  const quick = isPeer(ticket.path) ? store : new AdaptiveDevice(store, () => performance.now());
  const faulty = withFaults(quick, ticket.faults);
  const gated = gate === null ? faulty : new GatedDevice(faulty, gate);
  const device = new RevocableDevice(gated, () => Date.now());
  handles.set(device, key);
  return device;
};

const withFaults = (device: BlockDevice, faults: SharedArrayBuffer | null): BlockDevice => {
  if (faults === null) return device;
  const faultSwitch = new FaultSwitch(faults);
  return new FaultDevice(device, faultSwitch, (ms) => faultSwitch.stalled(ms));
};
