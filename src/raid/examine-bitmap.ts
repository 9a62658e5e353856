/**
 * `mdadm --examine-bitmap` of a member: the same lines in the same order and wording.
 * Source: mdadm bitmap.c ExamineBitmap; compared with mdadm 4.2 line by line.
 */

import {
  BITMAP_STALE,
  BITMAP_SUPERBLOCK_BYTES,
  type BitmapSuperblock,
  bitmapChunks,
  bitmapClusterName,
  bitmapSlotBytes,
} from "./bitmap-superblock.ts";
import type { ReportLine } from "./examine-lines.ts";
import { humanChunk, humanSize } from "./human-size.ts";
import type { ByteRange } from "./probe.ts";
import { SECTOR_BYTES } from "./superblock-fields.ts";
import { uuidToMdadmText } from "./uuid.ts";

/** One bitmap slot as read: its superblock and how many of its bits are set. */
export interface ExaminedSlot {
  readonly superblock: BitmapSuperblock;
  readonly chunks: number;
  readonly dirty: number;
}

/** Byte ranges of the slots of a bitmap that starts at `offset`, one for an array of one board. */
export function bitmapSlotRanges(bitmap: BitmapSuperblock, offset: number): readonly ByteRange[] {
  const length = bitmapSlotBytes(bitmapChunks(bitmap.syncSize, bitmap.chunkBytes));
  const slots = Math.max(bitmap.nodes, 1);
  return Array.from({ length: slots }, (_, slot) => ({ offset: offset + slot * length, length }));
}

/** Set bits among the first `chunks` bits of a slot's bytes, its superblock included. */
export function countDirtyChunks(slot: Uint8Array, chunks: number): number {
  let dirty = 0;
  for (let byteIndex = 0; byteIndex * 8 < chunks; byteIndex += 1) {
    let byte = slot[BITMAP_SUPERBLOCK_BYTES + byteIndex] ?? 0;
    const valid = chunks - byteIndex * 8;
    if (valid < 8) byte &= (1 << valid) - 1;
    for (; byte !== 0; byte &= byte - 1) dirty += 1;
  }
  return dirty;
}

/**
 * The report on one member's bitmap. `slots` holds at least one slot. `is090`: beside a 0.90
 * superblock, where mdadm prints the UUID as four words.
 */
export function examineBitmap(
  path: string,
  slots: readonly ExaminedSlot[],
  is090: boolean,
): readonly ReportLine[] {
  const [first] = slots;
  if (first === undefined) return [];
  const { superblock } = first;
  const isClustered = superblock.nodes > 0;
  return [
    line("Filename", path),
    line("Magic", "6d746962"),
    line("Version", String(superblock.version)),
    line("UUID", uuidToMdadmText(is090 ? swapWords(superblock.uuid) : superblock.uuid)),
    ...(isClustered ? [] : eventLines(superblock)),
    ...settingLines(superblock),
    ...(isClustered ? clusterLines(slots) : [bitLine(first)]),
  ];
}

function line(label: string, value: string): ReportLine {
  return { label, value };
}

function swapWords(uuid: Uint8Array): Uint8Array {
  return uuid.map((_, index) => uuid[index ^ 3] ?? 0);
}

function eventLines(superblock: BitmapSuperblock): readonly ReportLine[] {
  return [
    line("Events", String(superblock.events)),
    line("Events Cleared", String(superblock.eventsCleared)),
    line("State", bitmapStateName(superblock.state)),
  ];
}

function settingLines(superblock: BitmapSuperblock): readonly ReportLine[] {
  const { chunkBytes, daemonSleepSeconds, writeBehind, syncSize } = superblock;
  const mode = writeBehind === 0 ? "Normal" : `Allow write behind, max ${writeBehind}`;
  return [
    line("Chunksize", humanChunk(chunkBytes)),
    line("Daemon", `${daemonSleepSeconds}s flush period`),
    line("Write Mode", mode),
    line("Sync Size", `${Math.floor(syncSize / 2)}${humanSize(syncSize * SECTOR_BYTES)}`),
  ];
}

function clusterLines(slots: readonly ExaminedSlot[]): readonly ReportLine[] {
  const [first] = slots;
  if (first === undefined) return [];
  return [
    line("Cluster nodes", String(first.superblock.nodes)),
    line("Cluster name", bitmapClusterName(first.superblock).padEnd(64)),
    ...slots.flatMap((slot, index) => [
      line("Node Slot", String(index)),
      ...eventLines(slot.superblock),
      bitLine(slot),
    ]),
  ];
}

function bitLine({ chunks, dirty }: ExaminedSlot): ReportLine {
  const percent = ((100 * dirty) / Math.max(chunks, 1)).toFixed(1);
  return line("Bitmap", `${chunks} bits (chunks), ${dirty} dirty (${percent}%)`);
}

/** mdadm's words for a bitmap's state. */
export function bitmapStateName(state: number): string {
  if (state === 0) return "OK";
  return state === BITMAP_STALE ? "Out of date" : "Unknown";
}
