/** Opens a member the way every thread does: the file or device, then the layers over it. */

import { statSync } from "node:fs";
// Imported: Node looks the global up anew, through a getter, at every use.
import { performance } from "node:perf_hooks";
import { CodedError } from "../common/errors.ts";
import type { BlockDevice } from "../hal/block-device.ts";
import { AdaptiveDevice } from "../hal/layers/adaptive-device.ts";
import { FaultDevice, FaultSwitch } from "../hal/layers/fault-device.ts";
import { type DeviceGate, GatedDevice } from "../hal/layers/gated-device.ts";
import { RevocableDevice } from "../hal/layers/revocable-device.ts";
import { DirectDevice } from "../hal/linux/direct-device.ts";
import { FileBlockDevice } from "../hal/linux/file-block-device.ts";
import type { MemberClaim } from "../hal/linux/member-claim.ts";

/** A member to open: its path, and the switches of its faults in lab mode. */
export interface MemberTicket {
  readonly path: string;
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

/** Device and inode: one store under two names is one. */
const storeOf = (path: string): string => {
  const stat = statSync(path, { throwIfNoEntry: false });
  return stat === undefined ? path : `${stat.dev}:${stat.ino}:${stat.rdev}`;
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

export interface OpenMemberOptions {
  /** Done by one thread of a member only. */
  readonly claim?: MemberClaim | null;
  /** Of a node of a cluster: when it may do I/O. */
  readonly gate?: DeviceGate | null;
  /** Of the array's thread, which reads each byte once: nothing is left in the page cache. */
  readonly isUncached?: boolean;
  readonly direct?: DirectUse | null;
}

/** That a member is to be used past the page cache. */
export interface DirectUse {
  /** Bytes of the member that hold the array's content; nothing else is touched by the handle. */
  readonly range: { readonly from: number; readonly to: number };
  /** It cannot be: it is used through the page cache. HAL_NOT_DIRECT. */
  readonly onRefused: (error: CodedError) => void;
}

/** Errors: HAL_DEVICE_OWES, and those of FileBlockDevice.open. */
export const openMember = async (
  ticket: MemberTicket,
  mode: "read" | "write",
  { claim = null, gate = null, isUncached = false, direct = null }: OpenMemberOptions,
): Promise<RevocableDevice> => {
  const key = storeOf(ticket.path);
  await awaitOwing(ticket.path);
  const options = { mode, isUncached, ...(claim === null ? {} : { claim }) };
  const file = await FileBlockDevice.open(ticket.path, options);
  const store = direct === null ? file : await pastPageCache(file, direct);
  const adaptive = new AdaptiveDevice(store, () => performance.now());
  const faulty = withFaults(adaptive, ticket.faults);
  const gated = gate === null ? faulty : new GatedDevice(faulty, gate);
  const device = new RevocableDevice(gated, () => Date.now());
  handles.set(device, key);
  return device;
};

const pastPageCache = async (file: FileBlockDevice, use: DirectUse): Promise<BlockDevice> => {
  try {
    return await DirectDevice.over(file, { range: use.range });
  } catch (error) {
    if (!(error instanceof CodedError)) throw error;
    use.onRefused(error);
    return file;
  }
};

const withFaults = (device: BlockDevice, faults: SharedArrayBuffer | null): BlockDevice => {
  if (faults === null) return device;
  const faultSwitch = new FaultSwitch(faults);
  return new FaultDevice(device, faultSwitch, (ms) => faultSwitch.stalled(ms));
};
