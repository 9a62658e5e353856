/**
 * Assembly at the edge: reads superblocks and bitmaps from open devices, asks `assembly.ts` what
 * they make, and starts the array machine. Writes nothing.
 */

import { CodedError } from "../common/errors.ts";
import type { BlockDevice } from "../hal/block-device.ts";
import type { ArrayMachine } from "./array-machine.ts";
import { type Placement, startArray, type StartMember } from "./array-start.ts";
import { SECTOR } from "./array-state.ts";
import {
  type BitmapSuperblock,
  bitmapChunks,
  bitmapSlotBytes,
  decodeBitmapSuperblock,
} from "./bitmap-superblock.ts";
import { memberProbeRanges, type ProbedMember, probeMember } from "./probe.ts";
import type { SharedArrayState } from "./shared-state.ts";
import { memberRole } from "./superblock.ts";
import type { Superblock } from "./superblock-fields.ts";

/** Default speed limits and safe-mode delay. Source: drivers/md/md.c sysctl_speed_limit_*, DEFAULT_SAFEMODE_DELAY. */
const SAFE_MODE_MS = 204;

export interface AssembleDevice {
  readonly path: string;
  readonly device: BlockDevice;
}

export interface AssembleOptions {
  readonly readOnly: boolean;
  readonly workers: number;
  readonly now: number;
  readonly syncSpeedMin: number;
  readonly syncSpeedMax: number;
}

export interface AssembledArray {
  readonly machine: ArrayMachine;
  readonly shared: SharedArrayState;
  readonly members: ReadonlyMap<number, { readonly path: string; readonly device: BlockDevice; readonly dataOffset: number }>;
  /** Raid slots that the workers open. */
  readonly legs: readonly { readonly slot: number; readonly path: string; readonly dataOffset: number }[];
}

/** Reads what `probeMember` looks at, then probes. Errors: those of the device. */
export const probeDevice = async (device: BlockDevice): Promise<ProbedMember> => {
  const read = new Map<string, Uint8Array>();
  for (const { offset, length } of memberProbeRanges(device.sizeBytes)) {
    const target = new Uint8Array(length);
    await device.read(target, offset);
    read.set(`${offset}:${length}`, target);
  }
  return probeMember((offset, length) => read.get(`${offset}:${length}`) ?? null, device.sizeBytes);
};

export const assembleDevices = async (
  devices: readonly AssembleDevice[],
  options: AssembleOptions,
): Promise<AssembledArray> => {
  const found: { path: string; device: BlockDevice; sb: Superblock }[] = [];
  for (const { path, device } of devices) {
    const probe = await probeDevice(device);
    const parsed = probe.superblock?.problem === null ? probe.superblock.parsed : null;
    if (parsed !== null && parsed !== undefined) found.push({ path, device, sb: parsed.value });
  }
  const freshest = found
    .filter(({ sb }) => memberRole(sb, sb.devNumber).type === "slot")
    .sort((a, b) => b.sb.events - a.sb.events)[0]?.sb;
  if (freshest === undefined) throw new CodedError("RAID_NO_MEMBERS", "no usable member");
  const members: StartMember[] = [];
  let bitmap: BitmapSuperblock | null = null;
  for (const [id, { path, device, sb }] of found.entries()) {
    if (sb.events + 1 < freshest.events && memberRole(sb, sb.devNumber).type === "slot") continue;
    const role = memberRole(freshest, sb.devNumber);
    let placement: Placement = { type: "spare" };
    if (role.type === "faulty") continue;
    if (role.type === "slot") {
      placement =
        (sb.featureMap & 2) !== 0
          ? {
              type: "rebuilding",
              raidSlot: role.raidSlot,
              recoveredBytes: sb.recoveryOffset === "none" ? 0 : sb.recoveryOffset * SECTOR,
              guided: (sb.featureMap & 0x80) !== 0,
            }
          : { type: "in_sync", raidSlot: role.raidSlot };
    }
    let bitmapArea: Uint8Array | null = null;
    if ((freshest.featureMap & 1) !== 0) {
      const at = (sb.superOffset + sb.bitmapOffset) * SECTOR;
      const head = new Uint8Array(4096);
      await device.read(head, at);
      const decoded = decodeBitmapSuperblock(head, sb.setUuid);
      if (decoded.ok) {
        if (placement.type === "in_sync") bitmap ??= decoded.value;
        bitmapArea = new Uint8Array(bitmapSlotBytes(bitmapChunks(sb.size, decoded.value.chunkBytes)));
        await device.read(bitmapArea, at);
      }
    }
    members.push({ id, path, superblock: sb, placement, bitmapArea });
  }
  const started = startArray({
    ...options,
    members,
    freshest,
    bitmap,
    bitmapStale: bitmap !== null && bitmap.events < freshest.events,
    options: { safeModeMs: SAFE_MODE_MS },
  });
  const open = new Map(
    members.map(({ id, path, superblock }) => [
      id,
      { path, device: found[id]?.device as BlockDevice, dataOffset: superblock.dataOffset * SECTOR },
    ]),
  );
  const legs = members.flatMap(({ path, placement, superblock }) =>
    placement.type === "spare" ? [] : [{ slot: placement.raidSlot, path, dataOffset: superblock.dataOffset * SECTOR }],
  );
  return { ...started, members: open, legs };
};
