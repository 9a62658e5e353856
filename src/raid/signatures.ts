/**
 * What else a would-be member holds: filesystems, partition tables, volume managers, so that nobody
 * overwrites them unasked. md's own metadata is probe.ts's subject. Pure: the caller reads.
 * Source: the on-disk magic numbers that util-linux libblkid documents per superblock type.
 */

import type { ByteRange, ReadRange } from "./probe.ts";

/** Something found, by the name blkid gives it. */
export interface Signature {
  readonly kind: "filesystem" | "partition-table" | "volume" | "encryption" | "swap";
  readonly name: string;
}

interface Magic {
  readonly kind: Signature["kind"];
  readonly name: string;
  readonly offset: number;
  /** Latin-1 text of the magic bytes. */
  readonly magic: string;
}

const KIB = 1024;
const HEAD_BYTES = 72 * KIB;
/** Where ZFS keeps its uberblocks in the first label: one magic number at each KiB. */
const ZFS_RANGE: ByteRange = { offset: 128 * KIB, length: 128 * KIB };
const ZFS_MAGIC = 0x00bab10c;
const TAIL_BYTES = 4 * KIB;
/**
 * DRBD's metadata in the last whole 4 KiB of its device, big-endian magics: version 8 (clean, and
 * with its activity log in use) and 9. Source: drbd_int.h DRBD_MD_MAGIC_*, meta_data_on_disk_9:
 * "to have the magic at the same position as in v07, and v08".
 */
const DRBD_MAGIC_AT = 60;
const DRBD_MAGICS = ["\x83\x74\x02\x6b", "\x83\x74\x02\x6c", "\x83\x74\x02\x6d"];

/** Magic numbers at fixed offsets from the start. */
const MAGICS: readonly Magic[] = [
  { kind: "filesystem", name: "xfs", offset: 0, magic: "XFSB" },
  { kind: "filesystem", name: "btrfs", offset: 64 * KIB + 64, magic: "_BHRfS_M" },
  { kind: "filesystem", name: "f2fs", offset: KIB, magic: "\x10\x20\xf5\xf2" },
  { kind: "filesystem", name: "ntfs", offset: 3, magic: "NTFS    " },
  { kind: "filesystem", name: "exfat", offset: 3, magic: "EXFAT   " },
  { kind: "filesystem", name: "vfat", offset: 82, magic: "FAT32   " },
  { kind: "filesystem", name: "vfat", offset: 54, magic: "FAT16   " },
  { kind: "filesystem", name: "vfat", offset: 54, magic: "FAT12   " },
  { kind: "filesystem", name: "iso9660", offset: 32 * KIB + 1, magic: "CD001" },
  { kind: "filesystem", name: "udf", offset: 32 * KIB + 1, magic: "BEA01" },
  { kind: "filesystem", name: "jfs", offset: 32 * KIB, magic: "JFS1" },
  { kind: "filesystem", name: "reiserfs", offset: 64 * KIB + 52, magic: "ReIsEr" },
  { kind: "filesystem", name: "nilfs2", offset: KIB + 6, magic: "\x34\x34" },
  { kind: "filesystem", name: "gfs2", offset: 64 * KIB, magic: "\x01\x16\x19\x70" },
  { kind: "filesystem", name: "ocfs2", offset: KIB, magic: "OCFSV2" },
  { kind: "filesystem", name: "ocfs2", offset: 2 * KIB, magic: "OCFSV2" },
  { kind: "filesystem", name: "ocfs2", offset: 4 * KIB, magic: "OCFSV2" },
  { kind: "filesystem", name: "ocfs2", offset: 8 * KIB, magic: "OCFSV2" },
  { kind: "filesystem", name: "squashfs", offset: 0, magic: "hsqs" },
  { kind: "filesystem", name: "erofs", offset: KIB, magic: "\xe2\xe1\xf5\xe0" },
  { kind: "filesystem", name: "hfsplus", offset: KIB, magic: "H+" },
  { kind: "filesystem", name: "hfsplus", offset: KIB, magic: "HX" },
  { kind: "filesystem", name: "apfs", offset: 32, magic: "NXSB" },
  {
    kind: "filesystem",
    name: "bcachefs",
    offset: 4 * KIB + 24,
    magic: "\xc6\x85\x73\xf6\x66\xce\x90\xa9",
  },
  {
    kind: "volume",
    name: "bcache",
    offset: 4 * KIB + 24,
    magic: "\xc6\x85\x73\xf6\x4e\x1a\x45\xca",
  },
  { kind: "volume", name: "lvm2", offset: 24, magic: "LVM2 001" },
  { kind: "volume", name: "lvm2", offset: 512 + 24, magic: "LVM2 001" },
  { kind: "volume", name: "lvm2", offset: 1024 + 24, magic: "LVM2 001" },
  { kind: "volume", name: "lvm2", offset: 1536 + 24, magic: "LVM2 001" },
  { kind: "encryption", name: "luks", offset: 0, magic: "LUKS\xba\xbe" },
  { kind: "swap", name: "swap", offset: 4 * KIB - 10, magic: "SWAPSPACE2" },
  { kind: "swap", name: "swap", offset: 4 * KIB - 10, magic: "SWAP-SPACE" },
  { kind: "swap", name: "swap", offset: 64 * KIB - 10, magic: "SWAPSPACE2" },
  { kind: "partition-table", name: "gpt", offset: 512, magic: "EFI PART" },
  { kind: "partition-table", name: "gpt", offset: 4 * KIB, magic: "EFI PART" },
];

/** The ranges that `detectSignatures` reads on a member of `sizeBytes`. */
export function signatureRanges(sizeBytes: number): readonly ByteRange[] {
  const ranges: ByteRange[] = [{ offset: 0, length: Math.min(HEAD_BYTES, sizeBytes) }];
  if (sizeBytes >= ZFS_RANGE.offset + ZFS_RANGE.length) ranges.push(ZFS_RANGE);
  if (sizeBytes >= TAIL_BYTES) {
    ranges.push({ offset: sizeBytes - TAIL_BYTES, length: TAIL_BYTES });
    // The last whole 4 KiB begin elsewhere on a device that is no multiple of them.
    const rest = sizeBytes % TAIL_BYTES;
    if (rest > 0 && sizeBytes >= 2 * TAIL_BYTES) {
      ranges.push({ offset: sizeBytes - rest - TAIL_BYTES, length: TAIL_BYTES });
    }
  }
  return ranges.filter(({ length }) => length > 0);
}

/** Everything found, each name once. Ranges that cannot be read hold nothing. */
export function detectSignatures(read: ReadRange, sizeBytes: number): readonly Signature[] {
  const found = new Map<string, Signature>();
  const add = (kind: Signature["kind"], name: string): void => {
    if (!found.has(name)) found.set(name, { kind, name });
  };
  const [headRange, ...otherRanges] = signatureRanges(sizeBytes);
  const head = headRange === undefined ? null : read(headRange.offset, headRange.length);
  if (head !== null) {
    const ext = detectExt(head);
    if (ext !== null) add("filesystem", ext);
    for (const { kind, name, offset, magic } of MAGICS) {
      if (hasText(head, offset, magic)) add(kind, name);
    }
    if (!found.has("gpt") && found.size === 0 && isPartitioned(head)) {
      add("partition-table", "dos");
    }
  }
  for (const range of otherRanges) {
    const bytes = read(range.offset, range.length);
    if (bytes === null) continue;
    if (range === ZFS_RANGE && hasUberblock(bytes)) add("filesystem", "zfs_member");
    if (range !== ZFS_RANGE && DRBD_MAGICS.some((magic) => hasText(bytes, DRBD_MAGIC_AT, magic))) {
      add("volume", "drbd");
    }
    // The backup of a partition table, in the last sector of 512 or 4096 bytes.
    if (
      range !== ZFS_RANGE &&
      (hasText(bytes, 0, "EFI PART") || hasText(bytes, 3584, "EFI PART"))
    ) {
      add("partition-table", "gpt");
    }
  }
  return [...found.values()];
}

function hasText(bytes: Uint8Array, offset: number, text: string): boolean {
  for (let index = 0; index < text.length; index += 1) {
    if (bytes[offset + index] !== text.charCodeAt(index)) return false;
  }
  return true;
}

/** Source: fs/ext4/ext4.h: s_magic at 0x38, feature words at 0x5c and 0x60 of the superblock. */
function detectExt(head: Uint8Array): string | null {
  const superblock = KIB;
  if (head.length < 2 * KIB || !hasText(head, superblock + 0x38, "\x53\xef")) return null;
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
  const compatible = view.getUint32(superblock + 0x5c, true);
  const incompatible = view.getUint32(superblock + 0x60, true);
  const EXT4_ONLY = 0x40 | 0x80 | 0x100 | 0x200;
  if ((incompatible & EXT4_ONLY) !== 0) return "ext4";
  return (compatible & 0x4) !== 0 ? "ext3" : "ext2";
}

/** A DOS label with at least one entry that makes sense. */
function isPartitioned(head: Uint8Array): boolean {
  if (!hasText(head, 510, "\x55\xaa")) return false;
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
  let used = 0;
  for (let entry = 0; entry < 4; entry += 1) {
    const at = 446 + 16 * entry;
    const bootFlag = view.getUint8(at);
    if (bootFlag !== 0 && bootFlag !== 0x80) return false;
    const sectors = view.getUint32(at + 12, true);
    if (view.getUint8(at + 4) !== 0 && sectors !== 0) used += 1;
  }
  return used > 0;
}

function hasUberblock(bytes: Uint8Array): boolean {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0; at + 4 <= bytes.length; at += KIB) {
    if (view.getUint32(at, true) === ZFS_MAGIC || view.getUint32(at, false) === ZFS_MAGIC) {
      return true;
    }
  }
  return false;
}
