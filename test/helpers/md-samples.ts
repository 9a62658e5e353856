/** Superblocks, bitmaps and assembly candidates for tests: what is not given has a plain value. */
import type { AssemblyCandidate } from "../../src/raid/assembly-types.ts";
import {
  type BitmapSuperblock,
  decodeBitmapSuperblock,
  encodeBitmapSuperblock,
} from "../../src/raid/bitmap-superblock.ts";
import { type CreateOptions, setNameBytes } from "../../src/raid/create-plan.ts";
import { probeMember } from "../../src/raid/probe.ts";
import { encodeSuperblock } from "../../src/raid/superblock.ts";
import { SECTOR_BYTES, type Superblock } from "../../src/raid/superblock-fields.ts";

/** A raid1 of two with chunks of a MiB, metadata 1.2, to be resynced. */
export const SAMPLE_CREATE: CreateOptions = {
  level: 1,
  raidDevices: 2,
  spareDevices: 0,
  layout: 0,
  chunkSectors: 0,
  minor: 2,
  bitmap: "internal",
  bitmapChunkBytes: 1024 * 1024,
  bitmapDelaySeconds: 5,
  nodes: 0,
  clusterName: "",
  setName: setNameBytes("md0", "host") ?? new Uint8Array(32),
  setUuid: new Uint8Array(16).fill(5),
  createdAt: 1_800_000_000,
  assumeClean: false,
  size: null,
};

export const SAMPLE_UUID = Uint8Array.from({ length: 16 }, (_, index) => index * 17);
export const SAMPLE_DEVICE_SECTORS = 131072;

/** Roles with these first entries and spares behind. */
export function roles(...first: readonly number[]): Uint16Array {
  const all = new Uint16Array(128).fill(0xffff);
  all.set(first);
  return all;
}

/** A two-way raid1 with an internal bitmap on 64 MiB members, clean, 20 events, device number 0. */
export function sampleSuperblock(overrides: Partial<Superblock> = {}): Superblock {
  const name = new Uint8Array(32);
  name.set(new TextEncoder().encode("lab:0"));
  const deviceUuid = new Uint8Array(16).fill(0xd0 + (overrides.devNumber ?? 0));
  return {
    featureMap: 1,
    setUuid: SAMPLE_UUID,
    setName: name,
    ctime: { seconds: 1_795_362_485, microseconds: 0 },
    level: 1,
    layout: 0,
    size: 129024,
    chunkSize: 0,
    raidDisks: 2,
    bitmapOffset: 8,
    reshapeArea: new Uint8Array(24),
    newOffset: 0,
    dataOffset: 2048,
    dataSize: 129024,
    superOffset: 8,
    recoveryOffset: 0,
    devNumber: 0,
    cntCorrectedRead: 0,
    deviceUuid,
    devFlags: 0,
    bblogShift: 0,
    bblogSize: 8,
    bblogOffset: 16,
    utime: { seconds: 1_795_362_486, microseconds: 0 },
    events: 20,
    resyncOffset: "none",
    logicalBlockSize: 0,
    devRoles: roles(0, 1),
    ...overrides,
  };
}

/** The bitmap superblock that goes with `sampleSuperblock`. */
export function sampleBitmap(overrides: Partial<BitmapSuperblock> = {}): BitmapSuperblock {
  return {
    version: 4,
    uuid: SAMPLE_UUID,
    events: 20,
    eventsCleared: 20,
    syncSize: 129024,
    state: 0,
    chunkBytes: 64 * 1024 * 1024,
    daemonSleepSeconds: 5,
    writeBehind: 0,
    sectorsReserved: 0,
    nodes: 0,
    clusterName: new Uint8Array(64),
    pad: new Uint8Array(120),
    ...overrides,
  };
}

/** A member's bytes in pieces: what is not written reads as zeros. */
export class SparseMember {
  readonly sizeBytes: number;
  readonly #pieces: { readonly offset: number; readonly bytes: Uint8Array }[] = [];

  constructor(sizeBytes: number) {
    this.sizeBytes = sizeBytes;
  }

  write(offset: number, bytes: Uint8Array): this {
    this.#pieces.push({ offset, bytes });
    return this;
  }

  readonly read = (offset: number, length: number): Uint8Array | null => {
    if (offset < 0 || offset + length > this.sizeBytes) return null;
    const target = new Uint8Array(length);
    for (const piece of this.#pieces) {
      const lo = Math.max(offset, piece.offset);
      const hi = Math.min(offset + length, piece.offset + piece.bytes.length);
      if (lo < hi) {
        target.set(piece.bytes.subarray(lo - piece.offset, hi - piece.offset), lo - offset);
      }
    }
    return target;
  };
}

/** A member that holds this superblock where it says it lies. */
export function memberWith(sb: Superblock, deviceSectors = SAMPLE_DEVICE_SECTORS): SparseMember {
  const member = new SparseMember(deviceSectors * SECTOR_BYTES);
  return member.write(sb.superOffset * SECTOR_BYTES, encodeSuperblock(sb));
}

export interface CandidateOptions {
  readonly path?: string;
  readonly deviceSectors?: number;
  /** Null: no bitmap could be read. By default one as new as the superblock. */
  readonly bitmap?: BitmapSuperblock | "unreadable" | null;
}

/** A candidate for assembly that holds this superblock. */
export function candidate(sb: Superblock, options: CandidateOptions = {}): AssemblyCandidate {
  const member = memberWith(sb, options.deviceSectors);
  const hasBitmap = (sb.featureMap & 1) !== 0;
  const bitmap =
    options.bitmap === undefined
      ? sampleBitmap({ events: sb.events, uuid: sb.setUuid })
      : options.bitmap;
  return {
    path: options.path ?? `/dev/d${sb.devNumber}`,
    probe: probeMember(member.read, member.sizeBytes),
    bitmap:
      !hasBitmap || bitmap === null || bitmap === "unreadable"
        ? bitmap === "unreadable"
          ? "unreadable"
          : null
        : decodeBitmapSuperblock(encodeBitmapSuperblock(bitmap), sb.setUuid),
  };
}
