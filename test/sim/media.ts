/** The simulated array's geometry, its creation, and what must hold on the media after any stop. */

import { assert } from "../../src/common/assert.ts";
import type { Prng } from "../../src/common/prng.ts";
import type { SimMedium } from "../../src/hal/sim/crash-device.ts";
import {
  bitmapChunks,
  decodeBitmapSuperblock,
  encodeBitmapSuperblock,
} from "../../src/raid/bitmap-superblock.ts";
import { decodeSuperblock, encodeSuperblock, memberRole } from "../../src/raid/superblock.ts";
import type { Superblock } from "../../src/raid/superblock-fields.ts";

const SECTOR = 512;
const DATA_OFFSET = 64;
const SIZE = 6144;
const BITMAP_CHUNK = 64 * 1024;

export const GEOMETRY = { mediumBytes: (DATA_OFFSET + SIZE) * SECTOR } as const;
export const contentBytes = (): number => SIZE * SECTOR;

/** A fresh raid1 array, legs equal and in sync, made by hand so that it stays small. */
export const createOnMedia = (
  media: readonly SimMedium[],
  withBitmap: boolean,
  prng: Prng,
): void => {
  const setUuid = prng.bytes(16);
  const roles = new Uint16Array(128).fill(0xffff);
  for (let index = 0; index < media.length; index++) roles[index] = index;
  for (const [index, medium] of media.entries()) {
    const superblock: Superblock = {
      featureMap: withBitmap ? 1 : 0,
      setUuid,
      setName: new TextEncoder().encode("sim:md0".padEnd(32, "\0")),
      ctime: { seconds: 1_700_000_000, microseconds: 0 },
      level: 1,
      layout: 0,
      size: SIZE,
      chunkSize: 0,
      raidDisks: media.length,
      bitmapOffset: withBitmap ? 8 : 0,
      reshapeArea: new Uint8Array(24),
      newOffset: 0,
      dataOffset: DATA_OFFSET,
      dataSize: SIZE,
      superOffset: 8,
      recoveryOffset: 0,
      devNumber: index,
      cntCorrectedRead: 0,
      deviceUuid: prng.bytes(16),
      devFlags: 0,
      bblogShift: 0,
      bblogSize: 0,
      bblogOffset: 0,
      utime: { seconds: 1_700_000_000, microseconds: 0 },
      events: 5,
      resyncOffset: "none",
      logicalBlockSize: 0,
      devRoles: roles,
    };
    medium.preset(8 * SECTOR, encodeSuperblock(superblock));
    if (!withBitmap) continue;
    const bitmap = encodeBitmapSuperblock({
      version: 4,
      uuid: setUuid,
      events: 5,
      eventsCleared: 5,
      syncSize: SIZE,
      state: 0,
      chunkBytes: BITMAP_CHUNK,
      daemonSleepSeconds: 5,
      writeBehind: 0,
      sectorsReserved: 0,
      nodes: 0,
      clusterName: new Uint8Array(64),
      pad: new Uint8Array(120),
    });
    medium.preset(16 * SECTOR, bitmap);
  }
};

interface Leg {
  readonly medium: SimMedium;
  readonly superblock: Superblock;
}

/** The legs that assembly would call in sync. */
const inSyncLegs = (media: readonly SimMedium[]): Leg[] => {
  const legs: Leg[] = [];
  for (const medium of media) {
    const decoded = decodeSuperblock(medium.durable.subarray(4096, 8192), 8);
    // A torn superblock write is possible only in its first 512 bytes, which one sector holds.
    assert(decoded.ok, "every member keeps a readable superblock");
    legs.push({ medium, superblock: decoded.value });
  }
  const active = legs.filter(
    ({ superblock }) => memberRole(superblock, superblock.devNumber).type === "slot",
  );
  const events = Math.max(...active.map(({ superblock }) => superblock.events));
  const freshest = active.find(({ superblock }) => superblock.events === events)?.superblock;
  assert(freshest !== undefined, "an active member is left");
  return legs.filter(({ superblock }) => {
    const fresh = superblock.events + 1 >= events;
    const role = memberRole(freshest, superblock.devNumber).type;
    return fresh && role === "slot" && (superblock.featureMap & 2) === 0;
  });
};

/**
 * Legs in sync are equal wherever they must be: everywhere when the freshest superblock says
 * clean, else in every chunk whose bit is set on no leg. An array without a bitmap may differ
 * anywhere while dirty.
 */
export const checkLegsOnMedia = (media: readonly SimMedium[]): void => {
  const legs = inSyncLegs(media);
  const [first, ...others] = legs;
  assert(first !== undefined, "a leg in sync is left");
  const clean = legs.every(({ superblock }) => superblock.resyncOffset === "none");
  const bits = dirtyChunks(legs);
  if (!clean && bits === null) return;
  const chunkBytes = BITMAP_CHUNK;
  for (let chunk = 0; chunk * chunkBytes < contentBytes(); chunk++) {
    if (!clean && bits?.has(chunk) === true) continue;
    const lo = DATA_OFFSET * SECTOR + chunk * chunkBytes;
    const hi = Math.min(lo + chunkBytes, GEOMETRY.mediumBytes);
    const want = first.medium.durable.subarray(lo, hi);
    for (const { medium } of others) {
      const same = Buffer.compare(want, medium.durable.subarray(lo, hi)) === 0;
      assert(
        same,
        `legs differ in chunk ${chunk}, which is ${clean ? "of a clean array" : "not dirty"}`,
      );
    }
  }
};

const dirtyChunks = (legs: readonly Leg[]): Set<number> | null => {
  const dirty = new Set<number>();
  for (const { medium, superblock } of legs) {
    if ((superblock.featureMap & 1) === 0) return null;
    const area = medium.durable.subarray(16 * SECTOR, 16 * SECTOR + 4096);
    const decoded = decodeBitmapSuperblock(area, superblock.setUuid);
    assert(decoded.ok, "every leg keeps a readable bitmap");
    for (let chunk = 0; chunk < bitmapChunks(SIZE, BITMAP_CHUNK); chunk++) {
      if (((area[256 + (chunk >> 3)] ?? 0) & (1 << (chunk & 7))) !== 0) dirty.add(chunk);
    }
  }
  return dirty;
};
