/** Members of clustered arrays as they lie on their files, by mdadm and by us. */
import { closeSync, openSync, readSync, statSync } from "node:fs";
import * as assert from "uvu/assert";
import {
  BITMAP_SUPERBLOCK_BYTES,
  bitmapChunks,
  decodeBitmapSuperblock,
} from "../../src/raid/bitmap-superblock.ts";
import { bitmapSlotRanges, countDirtyChunks } from "../../src/raid/examine-bitmap.ts";
import { bitmapPosition, probeMember } from "../../src/raid/probe.ts";
import { runCommand } from "./command.ts";
import { attachLoop, detachLoop, noLoopDevice } from "./loop-device.ts";
import { memberOnDisk } from "./md-scenario.ts";
import { CLUSTER } from "./two-nodes.ts";

/** What lies before the data of a member of 64 MiB with metadata 1.2, and more. */
const HEAD_BYTES = 1024 * 1024;

const readHead = (path: string): Buffer => {
  const file = openSync(path, "r");
  const head = Buffer.alloc(HEAD_BYTES);
  readSync(file, head, 0, HEAD_BYTES, 0);
  closeSync(file);
  return head;
};

/** Dirty chunks of each bitmap slot of a member. */
export const dirtyBySlot = (path: string): number[] => {
  const bytes = readHead(path);
  const read = (offset: number, length: number) => bytes.subarray(offset, offset + length);
  const superblock = probeMember(read, statSync(path).size).superblock?.parsed?.value;
  const position = superblock === undefined ? null : bitmapPosition(superblock);
  if (position === null) throw new Error(`${path} has no bitmap`);
  const bitmap = decodeBitmapSuperblock(read(position, BITMAP_SUPERBLOCK_BYTES));
  if (!bitmap.ok) throw new Error(`the bitmap of ${path} is ${bitmap.reason}`);
  const chunks = bitmapChunks(bitmap.value.syncSize, bitmap.value.chunkBytes);
  return bitmapSlotRanges(bitmap.value, position).map(({ offset, length }) =>
    countDirtyChunks(read(offset, length), chunks),
  );
};

/** In-sync members that hold the same data in the same places; `look` is shown each one's. */
export const assertEqualLegs = (
  paths: readonly string[],
  look: (data: Buffer, path: string) => void,
): void => {
  let first: Buffer | null = null;
  for (const path of paths) {
    const { data } = memberOnDisk(path);
    look(data, path);
    first ??= data;
    assert.is(Buffer.compare(first, data), 0, `${path} is equal to ${paths[0]}`);
  }
};

/** mdadm wants a block device for what it reads behind a superblock; undefined: there are some. */
const why = noLoopDevice();

/**
 * mdadm takes the member for one of a clustered array of so many raid devices, finds superblock and
 * bitmaps sound, and counts the dirty bits of each node as we do. Its bitmaps only where loop
 * devices can be made.
 */
export const acceptedByMdadm = async (path: string, raidDevices: number): Promise<void> => {
  const loop = why === undefined ? attachLoop(path, ["--read-only"]) : null;
  try {
    const examined = await runCommand("mdadm", ["--examine", loop ?? path]);
    assert.match(examined.stdout, /Checksum : [0-9a-f]+ - correct/);
    assert.match(examined.stdout, `Raid Devices : ${raidDevices}`);
    assert.match(examined.stdout, /Internal Bitmap : .* sectors/);
    if (why !== undefined) return;
    if (loop === null) throw new Error(`no loop device could be made of ${path}`);
    const { stdout } = await runCommand("mdadm", ["--examine-bitmap", loop]);
    assert.match(stdout, `Cluster name : ${CLUSTER}`);
    const [, ...slots] = stdout.split(/Node Slot : \d+/);
    const counts = slots.map((slot) => Number(/(\d+) dirty/.exec(slot)?.[1]));
    assert.equal(counts, dirtyBySlot(path), stdout);
    assert.is(stdout.match(/State : OK/g)?.length, counts.length, stdout);
  } finally {
    if (loop !== null) detachLoop(loop);
  }
};
