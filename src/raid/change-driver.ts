/**
 * Makes a planned change on open members: each step on all of them at once, durable everywhere
 * before the next one. A member that fails is left behind, with fewer events than the others, as
 * long as these can do without it.
 */

import { CodedError } from "../common/errors.ts";
import type { BlockDevice } from "../hal/block-device.ts";
import type { MemberOp } from "./array-messages.ts";
import { syncSizeOf } from "./assembly-bitmap.ts";
import { bitmapChunks, bitmapSlotBytes, decodeBitmapSuperblock } from "./bitmap-superblock.ts";
import type { ChangeMember, ChangePhase, ChangePlan } from "./change-types.ts";
import { readRange } from "./content-driver.ts";
import { bitmapSuperblockRange } from "./probe.ts";
import { SECTOR_BYTES, type Superblock } from "./superblock-fields.ts";

/** Most bytes of a member's bitmaps that are read: 64 slots of 1 MiB. */
const BITMAP_AREA_MAX = 64 * 1024 * 1024;

/** A member to change, open for writing. */
export interface ChangeDevice {
  readonly id: number;
  readonly path: string;
  readonly device: BlockDevice;
}

export interface MemberFailure {
  readonly id: number;
  readonly path: string;
  readonly message: string;
}

export interface ChangeOutcome {
  /** Members that failed and were left behind: stale from now on. */
  readonly failed: readonly MemberFailure[];
}

/**
 * Reads what planning needs of a member: all of its bitmap slots, from where `freshest` says.
 * Never rejects for what cannot be read.
 */
export const readChangeMember = async (
  { id, path, device }: ChangeDevice,
  superblock: Superblock,
  freshest: Superblock,
): Promise<ChangeMember> => ({
  id,
  path,
  superblock,
  bitmapArea: await readBitmapSlots(device, superblock, freshest),
  deviceSectors: Math.floor(device.sizeBytes / SECTOR_BYTES),
});

const readBitmapSlots = async (
  device: BlockDevice,
  { superOffset }: Superblock,
  freshest: Superblock,
): Promise<Uint8Array | null> => {
  const range = bitmapSuperblockRange({ ...freshest, superOffset });
  if (range === null) return null;
  const head = await readRange(device, range.offset, range.length);
  const decoded = head === null ? null : decodeBitmapSuperblock(head, freshest.setUuid);
  if (decoded?.ok !== true) return null;
  const { nodes, chunkBytes } = decoded.value;
  const slotBytes = bitmapSlotBytes(bitmapChunks(syncSizeOf(freshest), chunkBytes));
  const length = Math.max(nodes, 1) * slotBytes;
  return length > BITMAP_AREA_MAX ? null : readRange(device, range.offset, length);
};

/**
 * Runs a plan. `survives`: whether the array can do without the members that failed so far.
 * Errors: RAID_CHANGE_INCOMPLETE when it cannot; what was done so far is safe, and the change may
 * be asked for again once the members work.
 */
export const runChange = async (
  { phases, seal }: ChangePlan,
  devices: readonly ChangeDevice[],
  survives: (failed: ReadonlySet<number>) => boolean,
): Promise<ChangeOutcome> => {
  const failures = new Map<number, MemberFailure>();
  for (const phase of phases) await runPhase(phase, devices, failures, survives);
  if (failures.size > 0) {
    for (const phase of seal) await runPhase(phase, devices, failures, survives);
  }
  return { failed: [...failures.values()] };
};

const runPhase = async (
  { ops }: ChangePhase,
  devices: readonly ChangeDevice[],
  failures: Map<number, MemberFailure>,
  survives: (failed: ReadonlySet<number>) => boolean,
): Promise<void> => {
  const working = devices.filter(({ id }) => ops.has(id) && !failures.has(id));
  const results = await Promise.all(working.map((entry) => runOps(entry, ops.get(entry.id) ?? [])));
  for (const failure of results) if (failure !== null) failures.set(failure.id, failure);
  if (failures.size > 0 && !survives(new Set(failures.keys()))) throw incomplete(failures);
};

const runOps = async (
  { id, path, device }: ChangeDevice,
  ops: readonly MemberOp[],
): Promise<MemberFailure | null> => {
  try {
    for (const op of ops) {
      if (op.type === "flush") await device.flush();
      else await device.write([op.data], op.offset);
    }
    return null;
  } catch (error) {
    if (error instanceof CodedError) return { id, path, message: error.message };
    throw error;
  }
};

const incomplete = (failures: ReadonlyMap<number, MemberFailure>): CodedError => {
  const texts = [...failures.values()].map(({ message }) => message);
  return new CodedError("RAID_CHANGE_INCOMPLETE", `the change stopped: ${texts.join("; ")}`, {
    remedy: "the array is safe as it is; repair the members, then ask for the change again",
    details: { members: [...failures.values()].map(({ path, message }) => ({ path, message })) },
  });
};
