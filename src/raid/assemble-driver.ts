/**
 * Assembly at the edge: reads superblocks and bitmaps from open devices, asks assembly.ts what
 * they make, and starts the array machine. Writes nothing.
 */

import { assert } from "../common/assert.ts";
import { CodedError, fromPlainError, type PlainError } from "../common/errors.ts";
import type { BlockDevice } from "../hal/block-device.ts";
import type { OpenMember } from "./array-driver.ts";
import type { ArrayMachine } from "./array-machine.ts";
import type { ArrayOptions } from "./array-options.ts";
import { type AfterChange, legOf, type StartMember, startArray } from "./array-start.ts";
import { SECTOR } from "./array-state.ts";
import { assemble } from "./assembly.ts";
import { syncSizeOf } from "./assembly-bitmap.ts";
import { refusalToRun } from "./assembly-runnable.ts";
import type { AssemblyCandidate, AssemblyMember, AssemblyStart } from "./assembly-types.ts";
import { rangesFromRuns } from "./bad-block-list.ts";
import type { BadRange } from "./bad-block-table.ts";
import { badBlockRange, decodeBadBlocks } from "./bad-blocks.ts";
import { bitmapChunks, bitmapSlotBytes, decodeBitmapSuperblock } from "./bitmap-superblock.ts";
import { readCandidate } from "./candidate-driver.ts";
import type { ToldByCluster } from "./cluster-sync-state.ts";
import { readRange } from "./content-driver.ts";
import {
  behindText,
  type CopiesRule,
  type ForcedStart,
  firstUpdateOf,
  forcedStart,
} from "./copies-rule.ts";
import { knownFailures } from "./known-failures.ts";
import { bitmapSuperblockRange } from "./probe.ts";
import { unsettledCopies } from "./settled-copies-driver.ts";
import type { SharedArrayState } from "./shared-state.ts";
import type { Superblock } from "./superblock-fields.ts";

/** Source: drivers/md/md.c DEFAULT_SAFEMODE_DELAY, (200 * HZ) / 1000 + 1 jiffies. */
const SAFE_MODE_MS = 204;
/** Largest bitmap area read: 2^20 bits. Source: mdadm reserves at most 256 sectors. */
const BITMAP_AREA_MAX = 4 * 1024 * 1024;

export interface AssembleDevice {
  readonly path: string;
  readonly device: BlockDevice;
}

export interface AssembleOptions {
  readonly readOnly: boolean;
  /** I/O workers that will use the array. */
  readonly workers: number;
  readonly now: number;
  /** Bytes per second. */
  readonly syncSpeedMin: number;
  readonly syncSpeedMax: number;
  /** Milliseconds that a member may owe an answer before it is failed; none: no limit. */
  readonly answerLimitMs?: number | null;
  /** As ArrayOptions.linkShare. */
  readonly linkShare?: number | null;
  /** As ArrayOptions.windowBytes. */
  readonly windowBytes?: number;
  /**
   * Of a node that has joined the array's cluster: its name, the number of the node's bitmap, and
   * whether other nodes run the array.
   */
  readonly cluster?: {
    readonly name: string;
    readonly slot: number;
    readonly isRunElsewhere: boolean;
  } | null;
  /** Of a node that begins to run the array; `doubt`: where nothing is known of its copies. */
  readonly copies?: CopiesRule & { readonly doubt: PlainError | null };
  readonly afterChange?: AfterChange;
  /** Of an array that was running: what its cluster has told it. */
  readonly told?: ToldByCluster;
  /** It was running a moment ago and goes on changed. */
  readonly isChanged?: boolean;
}

/** A leg for the I/O workers to open. */
export interface AssembledLeg {
  /** Number of the leg in the shared state. */
  readonly leg: number;
  readonly path: string;
  readonly dataOffset: number;
}

export interface AssembledArray {
  readonly machine: ArrayMachine;
  readonly shared: SharedArrayState;
  readonly setUuid: Uint8Array;
  readonly members: ReadonlyMap<number, OpenMember>;
  readonly legs: readonly AssembledLeg[];
  readonly hasBitmap: boolean;
  /** Events of the superblocks that it starts from. */
  readonly events: number;
  /** It starts from older copies than the cluster knows of. */
  readonly forced: ForcedStart | null;
  /** Members that take no part, each with its reason. */
  readonly leftOut: readonly AssemblyMember[];
}

/** A whole bitmap slot of a member, or null when there is none or it cannot be read. */
export const readBitmapArea = async (
  device: BlockDevice,
  sb: Superblock,
  slot = 0,
): Promise<Uint8Array | null> => {
  const range = bitmapSuperblockRange(sb);
  if (range === null) return null;
  const head = await readRange(device, range.offset, range.length);
  const decoded = head === null ? null : decodeBitmapSuperblock(head, sb.setUuid);
  if (decoded?.ok !== true) return null;
  const bytes = bitmapSlotBytes(bitmapChunks(syncSizeOf(sb), decoded.value.chunkBytes));
  return bytes > BITMAP_AREA_MAX ? null : readRange(device, range.offset + slot * bytes, bytes);
};

/** All bitmap slots of a member, as readBitmapArea; none when it has no sound bitmap. */
export const readBitmapAreas = async (
  device: BlockDevice,
  sb: Superblock,
): Promise<(Uint8Array | null)[]> => {
  const range = bitmapSuperblockRange(sb);
  const head = range === null ? null : await readRange(device, range.offset, range.length);
  const decoded = head === null ? null : decodeBitmapSuperblock(head, sb.setUuid);
  if (decoded?.ok !== true) return [];
  const areas: (Uint8Array | null)[] = [];
  for (let slot = 0; slot < Math.max(1, decoded.value.nodes); slot++)
    areas.push(await readBitmapArea(device, sb, slot));
  return areas;
};

/**
 * The member's bad-block list, bytes behind its data offset. A list that cannot be understood makes
 * all of the data suspect.
 */
export const readBadBlocks = async (device: BlockDevice, sb: Superblock): Promise<BadRange[]> => {
  const range = badBlockRange(sb);
  if (range === null) return [];
  const page = await readRange(device, range.offset, range.length);
  const runs = page === null ? null : decodeBadBlocks(page, sb.bblogShift);
  return runs === null ? [[0, sb.size * SECTOR]] : rangesFromRuns(runs, sb.dataOffset);
};

const refuse = (
  code: string,
  message: string,
  remedy: string,
  members: readonly AssemblyMember[],
): never => {
  const list = members.map(({ path, reason, text }) => ({ path, reason, text }));
  throw new CodedError(code, message, { remedy, details: { members: list } });
};

const placementOf = ({ placement }: AssemblyMember): StartMember["placement"] | null => {
  switch (placement.type) {
    case "in-sync":
      return { type: "in_sync", raidSlot: placement.raidSlot };
    case "rebuilding": {
      const { raidSlot, recoveryOffset, guided, isReplacement } = placement;
      const recoveredBytes = recoveryOffset * SECTOR;
      return { type: "rebuilding", raidSlot, recoveredBytes, guided, isReplacement };
    }
    case "spare":
      return { type: "spare" };
    default:
      return null;
  }
};

/** Errors: RAID_*, CLUSTER_* with `details.members`; `copies.doubt`. */
const refuseToRun = (verdict: AssemblyStart, options: AssembleOptions): void => {
  const { cluster = null, readOnly, copies } = options;
  const unrunnable = refusalToRun(verdict, {
    readOnly,
    cluster: cluster?.name ?? null,
    ...(cluster === null ? {} : { slot: cluster.slot }),
    // An array that ran here a moment ago knows what the others do.
    isRunElsewhere: cluster?.isRunElsewhere === true && options.isChanged !== true,
    ...(copies === undefined ? {} : { copies }),
  });
  if (unrunnable !== null)
    refuse(unrunnable.code, unrunnable.message, unrunnable.remedy, verdict.members);
  const { doubt = null } = copies ?? {};
  if (doubt !== null && copies?.newest === null && !copies.isForced) throw fromPlainError(doubt);
};

/**
 * What the devices make. A node that begins to run a clustered array goes by copies that are on
 * their media for certain. Errors: as `assembleDevices`.
 */
const judgeDevices = async (
  devices: readonly AssembleDevice[],
  options: AssembleOptions,
): Promise<AssemblyStart> => {
  let candidates: AssemblyCandidate[] = [];
  for (const { path, device } of devices) candidates.push(await readCandidate(path, device));
  for (;;) {
    const verdict = assemble(candidates);
    if (verdict.verdict === "refuse") {
      const message = `${verdict.message}${behindText(verdict, options.copies?.newest ?? null)}`;
      return refuse(verdict.code, message, verdict.remedy, verdict.members);
    }
    refuseToRun(verdict, options);
    const unsettled = options.copies === undefined ? [] : await unsettledCopies(devices, verdict);
    if (unsettled.length === 0) return verdict;
    candidates = candidates.map((one, at) =>
      unsettled.includes(at) ? { ...one, isUnsettled: true } : one,
    );
  }
};

/**
 * Starts the array the devices make. Devices that take no part stay open; `leftOut` names them.
 * Errors: RAID_* with `details.members`, a reason per device.
 */
export const assembleDevices = async (
  devices: readonly AssembleDevice[],
  options: AssembleOptions,
): Promise<AssembledArray> => {
  const verdict = await judgeDevices(devices, options);
  const { cluster = null, copies } = options;
  const forced = copies === undefined ? null : forcedStart(verdict, copies);
  const isBegin = copies !== undefined && options.isChanged !== true;
  const { bitmap, shape } = verdict;
  const superblock =
    bitmap.state === "usable" || bitmap.state === "stale" ? bitmap.superblock : null;
  const members = await startMembers(devices, verdict, cluster?.slot ?? 0);
  const { raidDisks } = shape.freshest;
  const blocks = members.map(({ device }) => device.logicalBlockSize);
  const started = startArray({
    ...options,
    ...(cluster === null ? {} : { slot: cluster.slot }),
    logicalBlockBytes: Math.max(512, ...blocks),
    members: members.map(({ member }) => member),
    freshest: shape.freshest,
    bitmap: superblock,
    bitmapStale: bitmap.state === "stale",
    firstUpdate: isBegin ? firstUpdateOf(verdict, forced) : null,
    options: machineOptions(options),
  });
  // One that was running lists those that it knows.
  if (cluster !== null && options.isChanged !== true)
    for (const failed of knownFailures(verdict)) started.machine.listFaulty([failed], failed.id);
  return {
    ...started,
    setUuid: shape.freshest.setUuid,
    hasBitmap: superblock !== null,
    events: shape.freshest.events,
    forced,
    members: new Map(
      members.map(({ member, device }) => [member.id, { path: member.path, device }]),
    ),
    legs: members.flatMap(({ member: { path, placement, superblock: sb } }) =>
      placement.type === "spare"
        ? []
        : [{ leg: legOf(placement, raidDisks), path, dataOffset: sb.dataOffset * SECTOR }],
    ),
    leftOut: verdict.members.filter((member) => placementOf(member) === null),
  };
};

const machineOptions = (options: AssembleOptions): ArrayOptions => ({
  safeModeMs: SAFE_MODE_MS,
  answerLimitMs: options.answerLimitMs ?? null,
  linkShare: options.linkShare,
  windowBytes: options.windowBytes,
});

const startMembers = async (
  devices: readonly AssembleDevice[],
  verdict: AssemblyStart,
  slot: number,
): Promise<{ readonly member: StartMember; readonly device: BlockDevice }[]> => {
  const list: { readonly member: StartMember; readonly device: BlockDevice }[] = [];
  for (const [id, assembled] of verdict.members.entries()) {
    const placement = placementOf(assembled);
    const device = devices[id]?.device;
    if (placement === null || assembled.superblock === null) continue;
    assert(device !== undefined, "assembly answers for the devices it was given");
    const bitmapArea =
      placement.type === "spare" ? null : await readBitmapArea(device, assembled.superblock, slot);
    const { path, superblock } = assembled;
    const badBlocks = await readBadBlocks(device, superblock);
    list.push({ member: { id, path, superblock, placement, bitmapArea, badBlocks }, device });
  }
  return list;
};
