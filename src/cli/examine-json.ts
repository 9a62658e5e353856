/**
 * The reports of `examine` and `examine-bitmap` for programs: bytes, RFC 3339 times, snake_case.
 */

import { type BitmapSuperblock, bitmapClusterName } from "../raid/bitmap-superblock.ts";
import { bitmapStateName, type ExaminedSlot } from "../raid/examine-bitmap.ts";
import { levelName } from "../raid/examine-lines.ts";
import {
  arraySizeBytes,
  describeRole,
  describeRoles,
  deviceFlags,
  unusedSpace,
} from "../raid/examine-superblock.ts";
import { formatRaid10Layout } from "../raid/raid10-layout.ts";
import type { ParsedSuperblock } from "../raid/superblock.ts";
import { memberRole, superblockMinor, superblockName } from "../raid/superblock.ts";
import type { Superblock, SuperblockTime } from "../raid/superblock-fields.ts";
import {
  MD_FEATURE_BAD_BLOCKS,
  MD_FEATURE_BITMAP_OFFSET,
  MD_FEATURE_RECOVERY_OFFSET,
  SECTOR_BYTES,
} from "../raid/superblock-fields.ts";
import { uuidToMdadmText } from "../raid/uuid.ts";

/** The superblock of one member as plain values. */
export function superblockJson(
  parsed: ParsedSuperblock,
  bitmap: BitmapSuperblock | null,
  deviceSectors: number,
): Record<string, unknown> {
  return { ...arrayJson(parsed.value, bitmap), ...memberJson(parsed, bitmap, deviceSectors) };
}

function arrayJson(sb: Superblock, bitmap: BitmapSuperblock | null): Record<string, unknown> {
  return {
    metadata: `1.${superblockMinor(sb)}`,
    feature_map: sb.featureMap,
    array_uuid: uuidToMdadmText(sb.setUuid),
    name: superblockName(sb),
    cluster_name: bitmap !== null && bitmap.nodes > 0 ? bitmapClusterName(bitmap) : null,
    created_at: timeText(sb.ctime),
    level: levelName(sb.level),
    raid_devices: sb.raidDisks,
    array_size_bytes: arraySizeBytes(sb),
    used_dev_size_bytes: sb.size * SECTOR_BYTES,
    layout: sb.level === 10 ? formatRaid10Layout(sb.layout) : null,
    chunk_size_bytes: sb.chunkSize === 0 ? null : sb.chunkSize * SECTOR_BYTES,
  };
}

function memberJson(
  parsed: ParsedSuperblock,
  bitmap: BitmapSuperblock | null,
  deviceSectors: number,
): Record<string, unknown> {
  const sb = parsed.value;
  const { before, after } = unusedSpace(sb, bitmap, deviceSectors);
  const hasBitmap = (sb.featureMap & MD_FEATURE_BITMAP_OFFSET) !== 0;
  const isRebuilding = (sb.featureMap & MD_FEATURE_RECOVERY_OFFSET) !== 0;
  const role = memberRole(sb, sb.devNumber);
  return {
    avail_dev_size_bytes: sb.dataSize * SECTOR_BYTES,
    data_offset_bytes: sb.dataOffset * SECTOR_BYTES,
    super_offset_bytes: sb.superOffset * SECTOR_BYTES,
    recovery_offset_bytes: isRebuilding ? sectorsOrNull(sb.recoveryOffset) : null,
    unused_before_bytes: before * SECTOR_BYTES,
    unused_after_bytes: after * SECTOR_BYTES,
    state: sb.resyncOffset === "none" ? "clean" : "active",
    resync_offset_bytes: sectorsOrNull(sb.resyncOffset),
    device_uuid: uuidToMdadmText(sb.deviceUuid),
    device_number: sb.devNumber,
    bitmap_offset_bytes: hasBitmap ? sb.bitmapOffset * SECTOR_BYTES : null,
    flags: deviceFlags(sb),
    updated_at: timeText(sb.utime),
    bad_block_log:
      sb.bblogSize === 0 || sb.bblogOffset === 0
        ? null
        : {
            offset_bytes: sb.bblogOffset * SECTOR_BYTES,
            entries: (sb.bblogSize * SECTOR_BYTES) / 8,
            bad_blocks_present: (sb.featureMap & MD_FEATURE_BAD_BLOCKS) !== 0,
          },
    checksum: parsed.storedChecksum.toString(16),
    checksum_correct: parsed.storedChecksum === parsed.computedChecksum,
    events: sb.events,
    role: role.type,
    raid_slot: role.type === "slot" ? role.raidSlot : null,
    device_role: describeRole(sb),
    array_state: describeRoles(sb),
  };
}

/** The bitmap of one member as plain values. `slots` holds at least one. */
export function bitmapJson(slots: readonly ExaminedSlot[]): Record<string, unknown> {
  const superblock = slots[0]?.superblock;
  if (superblock === undefined) return {};
  return {
    version: superblock.version,
    uuid: uuidToMdadmText(superblock.uuid),
    chunk_size_bytes: superblock.chunkBytes,
    delay_seconds: superblock.daemonSleepSeconds,
    write_behind: superblock.writeBehind,
    sync_size_bytes: superblock.syncSize * SECTOR_BYTES,
    nodes: superblock.nodes,
    cluster_name: superblock.nodes > 0 ? bitmapClusterName(superblock) : null,
    slots: slots.map(({ superblock: { events, eventsCleared, state }, chunks, dirty }) => ({
      events,
      events_cleared: eventsCleared,
      state: bitmapStateName(state),
      chunks,
      dirty_chunks: dirty,
    })),
  };
}

function sectorsOrNull(sectors: number | "none"): number | null {
  return sectors === "none" ? null : sectors * SECTOR_BYTES;
}

/** RFC 3339; null for a time beyond what a Date holds. */
function timeText(time: SuperblockTime): string | null {
  const date = new Date(time.seconds * 1000);
  return Number.isNaN(date.getTime()) ? null : date.toISOString().replace(".000Z", "Z");
}
