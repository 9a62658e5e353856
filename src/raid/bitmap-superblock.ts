/**
 * Codec of the write-intent bitmap's superblock: the 256 bytes before the bits of each bitmap slot.
 * Versions 3 (host-endian, old), 4 (one board) and 5 (clustered, one slot per node). Decoding never
 * throws and never reads beyond the given bytes; decode then encode gives back the same bytes.
 */

import { equalBytes, toSafeNumber } from "../common/bytes.ts";

/** "bitm" on disk. Source: drivers/md/md-bitmap.h BITMAP_MAGIC. */
export const BITMAP_MAGIC = 0x6d746962;
export const BITMAP_SUPERBLOCK_BYTES = 256;
/** Versions. Source: drivers/md/md-bitmap.h BITMAP_MAJOR_*. */
export const BITMAP_MAJOR_HOSTENDIAN = 3;
export const BITMAP_MAJOR_HI = 4;
export const BITMAP_MAJOR_CLUSTERED = 5;
/** Bits of state. Source: drivers/md/md-bitmap.h enum bitmap_state. */
export const BITMAP_STALE = 0x2;
export const BITMAP_WRITE_ERROR = 0x4;
/** Seconds between two sweeps. Source: mdadm.h DEFAULT_BITMAP_DELAY. */
export const BITMAP_DELAY_DEFAULT_SECONDS = 5;
/** Most writes behind that a counter holds. Source: drivers/md/md-bitmap.h COUNTER_MAX. */
export const WRITE_BEHIND_MAX = 16383;
/** Each slot starts on a multiple of this many bytes. Source: measured on 6.1 and 7.2 kernels. */
export const BITMAP_SLOT_ALIGNMENT_BYTES = 4096;
/** The kernel's recovery map is one machine word. Source: drivers/md/md-cluster.c recovery_map. */
export const BITMAP_NODES_MAX = 64;

/** Byte offsets of the fields. Source: drivers/md/md-bitmap.h bitmap_super_s. */
export const BITMAP_OFFSET = {
  magic: 0,
  version: 4,
  uuid: 8,
  events: 24,
  eventsCleared: 32,
  syncSize: 40,
  state: 48,
  chunkBytes: 52,
  daemonSleep: 56,
  writeBehind: 60,
  sectorsReserved: 64,
  nodes: 68,
  clusterName: 72,
  pad: 136,
} as const;

/** One slot's bitmap superblock. Invariant: `chunkBytes` is a power of two, at least 512. */
export interface BitmapSuperblock {
  readonly version: 3 | 4 | 5;
  /** 16 raw bytes, equal to the array's set_uuid. */
  readonly uuid: Uint8Array;
  /** Array events when this was last written. */
  readonly events: number;
  /** Array events when bits were last allowed to be cleared. */
  readonly eventsCleared: number;
  /** Sectors covered: component size (raid1) or array size (raid10). */
  readonly syncSize: number;
  readonly state: number;
  /** Bytes of the array that one bit covers. */
  readonly chunkBytes: number;
  readonly daemonSleepSeconds: number;
  readonly writeBehind: number;
  readonly sectorsReserved: number;
  /** Bitmap slots of a clustered array; 0 otherwise. */
  readonly nodes: number;
  /** 64 raw bytes; `bitmapClusterName` reads it. */
  readonly clusterName: Uint8Array;
  /** 120 raw bytes that md writes as zeros and does not check. */
  readonly pad: Uint8Array;
}

/** Why bytes are not a bitmap superblock that md would use. */
export type BitmapReason =
  | "truncated"
  | "no-magic"
  | "version"
  | "chunk-size"
  | "daemon-sleep"
  | "write-behind"
  | "nodes"
  | "out-of-range"
  | "uuid";

export type BitmapDecoded =
  | { readonly ok: true; readonly value: BitmapSuperblock }
  | { readonly ok: false; readonly reason: BitmapReason };

/**
 * Decodes a bitmap superblock and applies the kernel's rules; with `setUuid` also that it belongs
 * to that array. Whether its events are too old for the array is the caller's question.
 * Source: drivers/md/md-bitmap.c md_bitmap_read_sb.
 */
export function decodeBitmapSuperblock(bytes: Uint8Array, setUuid?: Uint8Array): BitmapDecoded {
  if (bytes.length < BITMAP_SUPERBLOCK_BYTES) return { ok: false, reason: "truncated" };
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const at = BITMAP_OFFSET;
  if (view.getUint32(at.magic, true) !== BITMAP_MAGIC) return { ok: false, reason: "no-magic" };
  const version = view.getUint32(at.version, true);
  if (version !== 3 && version !== 4 && version !== 5) return { ok: false, reason: "version" };
  const chunkBytes = view.getUint32(at.chunkBytes, true);
  if (chunkBytes < 512 || (chunkBytes & (chunkBytes - 1)) !== 0) {
    return { ok: false, reason: "chunk-size" };
  }
  const daemonSleepSeconds = view.getUint32(at.daemonSleep, true);
  if (daemonSleepSeconds < 1) return { ok: false, reason: "daemon-sleep" };
  const writeBehind = view.getUint32(at.writeBehind, true);
  if (writeBehind > WRITE_BEHIND_MAX) return { ok: false, reason: "write-behind" };
  // The kernel looks at the field in version 5 only: what else stands there means nothing.
  const isClustered = version === BITMAP_MAJOR_CLUSTERED;
  const nodes = isClustered ? view.getUint32(at.nodes, true) : 0;
  if (isClustered && (nodes < 1 || nodes > BITMAP_NODES_MAX)) {
    return { ok: false, reason: "nodes" };
  }
  const events = toSafeNumber(view.getBigUint64(at.events, true));
  const eventsCleared = toSafeNumber(view.getBigUint64(at.eventsCleared, true));
  const syncSize = toSafeNumber(view.getBigUint64(at.syncSize, true));
  if (events === undefined || eventsCleared === undefined || syncSize === undefined) {
    return { ok: false, reason: "out-of-range" };
  }
  const uuid = bytes.slice(at.uuid, at.uuid + 16);
  if (setUuid !== undefined && !equalBytes(uuid, setUuid)) {
    return { ok: false, reason: "uuid" };
  }
  return {
    ok: true,
    value: {
      version,
      uuid,
      events,
      eventsCleared,
      syncSize,
      state: view.getUint32(at.state, true),
      chunkBytes,
      daemonSleepSeconds,
      writeBehind,
      sectorsReserved: view.getUint32(at.sectorsReserved, true),
      nodes,
      clusterName: bytes.slice(at.clusterName, at.pad),
      pad: bytes.slice(at.pad, BITMAP_SUPERBLOCK_BYTES),
    },
  };
}

/** The 256 bytes of a bitmap superblock. */
export function encodeBitmapSuperblock(bitmap: BitmapSuperblock): Uint8Array {
  const bytes = new Uint8Array(BITMAP_SUPERBLOCK_BYTES);
  const view = new DataView(bytes.buffer);
  const at = BITMAP_OFFSET;
  view.setUint32(at.magic, BITMAP_MAGIC, true);
  view.setUint32(at.version, bitmap.version, true);
  bytes.set(bitmap.uuid, at.uuid);
  view.setBigUint64(at.events, BigInt(bitmap.events), true);
  view.setBigUint64(at.eventsCleared, BigInt(bitmap.eventsCleared), true);
  view.setBigUint64(at.syncSize, BigInt(bitmap.syncSize), true);
  view.setUint32(at.state, bitmap.state, true);
  view.setUint32(at.chunkBytes, bitmap.chunkBytes, true);
  view.setUint32(at.daemonSleep, bitmap.daemonSleepSeconds, true);
  view.setUint32(at.writeBehind, bitmap.writeBehind, true);
  view.setUint32(at.sectorsReserved, bitmap.sectorsReserved, true);
  view.setUint32(at.nodes, bitmap.nodes, true);
  bytes.set(bitmap.clusterName, at.clusterName);
  bytes.set(bitmap.pad, at.pad);
  return bytes;
}

/** Bits (bitmap chunks) that a bitmap has for `syncSize` sectors. */
export function bitmapChunks(syncSize: number, chunkBytes: number): number {
  return Math.ceil(syncSize / (chunkBytes / 512));
}

/**
 * Bytes from one bitmap slot to the next: superblock and bits, rounded up to 4 KiB. A bitmap that
 * is not clustered has one slot.
 * Source: drivers/md/md-bitmap.c md_bitmap_read_sb; measured with 4 KiB and 36 KiB slots.
 */
export function bitmapSlotBytes(chunks: number): number {
  const bytes = BITMAP_SUPERBLOCK_BYTES + Math.ceil(chunks / 8);
  return Math.ceil(bytes / BITMAP_SLOT_ALIGNMENT_BYTES) * BITMAP_SLOT_ALIGNMENT_BYTES;
}

/** cluster_name up to its first NUL; bytes that are not UTF-8 read as U+FFFD. */
export function bitmapClusterName(bitmap: BitmapSuperblock): string {
  const end = bitmap.clusterName.indexOf(0);
  const bytes = end === -1 ? bitmap.clusterName : bitmap.clusterName.subarray(0, end);
  return new TextDecoder().decode(bytes);
}
