/**
 * Arrays that real md-cluster nodes wrote, some of them cut off in the middle, started by a node in
 * a bitmap slot and continued: what any node had under way is resynced, nothing else is written,
 * and mdadm reads the right thing in every slot.
 */
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { examineBitmapOf } from "../../../src/cli/examine-command.ts";
import { ArrayMap } from "../../../src/raid/array-map.ts";
import {
  type BitmapSuperblock,
  bitmapChunks,
  bitmapClusterName,
  bitmapSlotBytes,
  decodeBitmapSuperblock,
} from "../../../src/raid/bitmap-superblock.ts";
import { decodeSuperblock } from "../../../src/raid/superblock.ts";
import type { Superblock } from "../../../src/raid/superblock-fields.ts";
import { runCommand } from "../../helpers/command.ts";
import { linuxFixtures, unpackFixture } from "../../helpers/linux-fixtures.ts";
import { LoneNode } from "../../helpers/lone-node.ts";
import { skipUnless } from "../../helpers/skip.ts";
import { inFolder } from "../../helpers/temporary-folder.ts";

const SECTOR = 512;
const TORN = 0x5a;

interface Layout {
  readonly superblock: Superblock;
  readonly bitmap: BitmapSuperblock;
  readonly chunks: number;
  /** Bytes from the start of the member to a slot's bitmap. */
  slotAt(slot: number): number;
}

function layoutOf(image: Uint8Array): Layout {
  const decoded = decodeSuperblock(image.subarray(4096, 8192), 8, image.length / SECTOR);
  assert.ok(decoded.ok);
  if (!decoded.ok) throw new Error("no superblock");
  const superblock = decoded.value;
  const start = (superblock.superOffset + superblock.bitmapOffset) * SECTOR;
  const bitmap = decodeBitmapSuperblock(image.subarray(start, start + 256), superblock.setUuid);
  if (!bitmap.ok) throw new Error("no bitmap");
  const chunks = bitmapChunks(bitmap.value.syncSize, bitmap.value.chunkBytes);
  const step = bitmapSlotBytes(chunks);
  return { superblock, bitmap: bitmap.value, chunks, slotAt: (slot) => start + slot * step };
}

function bitsOf(image: Uint8Array, { chunks, slotAt }: Layout, slot: number): number[] {
  const bits = image.subarray(slotAt(slot) + 256);
  return Array.from({ length: chunks }, (_, chunk) => chunk).filter(
    (chunk) => ((bits[chunk >> 3] ?? 0) & (1 << (chunk & 7))) !== 0,
  );
}

const slotsOf = ({ bitmap: { nodes } }: Layout): number[] =>
  Array.from({ length: nodes }, (_, slot) => slot);

/**
 * Makes the last copy differ under every bit that any node has set, and at one place under none.
 * Returns the place that nothing may change (of a mirror; -1 when every chunk is dirty).
 */
function tear(images: readonly Uint8Array[], layout: Layout): number {
  const last = images.at(-1) ?? new Uint8Array();
  const dirty = new Set(slotsOf(layout).flatMap((slot) => bitsOf(last, layout, slot)));
  const at = (chunk: number): number =>
    layout.superblock.dataOffset * SECTOR + chunk * layout.bitmap.chunkBytes;
  for (const chunk of dirty) last.fill(TORN, at(chunk), at(chunk) + 4096);
  const spared = Array.from({ length: layout.chunks }, (_, c) => c).find((c) => !dirty.has(c));
  if (spared === undefined) return -1;
  last.fill(TORN, at(spared) + 4096, at(spared) + 4608);
  return at(spared) + 4096;
}

/** The array's content as the first copy of each place has it. */
function contentHash(images: readonly Uint8Array[], { superblock }: Layout): string {
  const { raidDisks, size, level, layout, chunkSize } = superblock;
  const raid10 = level === 10 ? { layout, chunkSectors: chunkSize } : null;
  const map = new ArrayMap({ raidSlots: raidDisks, componentSectors: size, raid10 });
  const hash = createHash("sha256");
  for (const { length, places } of map.extents(0, map.sizeBytes)) {
    const [{ slot, position } = { slot: 0, position: 0 }] = places;
    const from = superblock.dataOffset * SECTOR + position;
    hash.update((images[slot] ?? new Uint8Array()).subarray(from, from + length));
  }
  return hash.digest("hex");
}

const test = suite("offline/cluster-fixtures");
const unpackingTest = skipUnless(["xz", "mdadm"], test);
const fixtures = linuxFixtures().filter(({ name }) => name.startsWith("cl-"));

for (const fixture of fixtures) {
  for (const slot of [0, 1]) {
    unpackingTest(
      `${fixture.name}: started in slot ${slot}, what was under way is resynced, and no more`,
      inFolder(async (folder) => {
        const paths = await unpackFixture(fixture, folder);
        const images = paths.map((path) => new Uint8Array(readFileSync(path)));
        const [first = new Uint8Array(), ...others] = images;
        const layout = layoutOf(first);
        const isMirror = layout.superblock.level === 1;
        const spared = isMirror ? tear(images, layout) : -1;
        const found = images.map((image) => image.slice());
        const name = bitmapClusterName(layout.bitmap).trimEnd();
        const node = await LoneNode.start(images, bitmapClusterName(layout.bitmap), slot);
        await node.takeOver(slotsOf(layout).filter((other) => other !== slot));
        await node.rest();
        await node.stop();
        assert.is(name, "labcluster");
        checkSlots(images, found, layout, slot);
        if (spared >= 0) {
          const last = images.at(-1) ?? first;
          assert.is(last[spared], TORN, "a chunk without a bit was left alone");
          last.set(first.subarray(spared, spared + 512), spared);
        }
        assert.is(contentHash(images, layout), fixture.array.sha256_readonly);
        if (isMirror) {
          const from = layout.superblock.dataOffset * SECTOR;
          const end = from + layout.superblock.size * SECTOR;
          for (const other of others)
            assert.ok(Buffer.compare(first.subarray(from, end), other.subarray(from, end)) === 0);
        }
        await checkByMdadm(paths, images, layout);
      }),
    );
  }
}

/** Every bit is clear; a slot that nobody had used is as it was. */
function checkSlots(
  images: readonly Uint8Array[],
  found: readonly Uint8Array[],
  layout: Layout,
  own: number,
): void {
  for (const [index, image] of images.entries()) {
    const { events } = layoutOf(image).superblock;
    for (const slot of slotsOf(layout)) {
      assert.equal(bitsOf(image, layout, slot), [], `slot ${slot}`);
      const before = found[index] ?? image;
      const at = layout.slotAt(slot);
      const header = decodeBitmapSuperblock(image.subarray(at, at + 256));
      assert.ok(header.ok && header.value.version === 5);
      if (!header.ok) continue;
      if (slot === own) assert.is(header.value.events, events);
      else if (bitsOf(before, layout, slot).length === 0)
        assert.is(Buffer.compare(image.subarray(at, at + 4096), before.subarray(at, at + 4096)), 0);
    }
  }
}

/**
 * mdadm takes the members; every slot is sound, and all members say the same. It cannot read all
 * slots of a file: our report is compared with its own in linux-fixtures.test.ts.
 */
async function checkByMdadm(
  paths: readonly string[],
  images: readonly Uint8Array[],
  { bitmap: { nodes } }: Layout,
): Promise<void> {
  const printed: string[] = [];
  for (const [index, path] of paths.entries()) {
    const image = images[index] ?? new Uint8Array();
    writeFileSync(path, image);
    const examined = (await runCommand("mdadm", ["--examine", path])).stdout;
    assert.match(examined, /Checksum : [0-9a-f]+ - correct/);
    assert.match(examined, /State : active/, "a clustered array is never clean");
    const { text } = await examineBitmapOf(path);
    assert.is(text.match(/State : OK/g)?.length, nodes);
    assert.is(text.match(/ 0 dirty \(0\.0%\)/g)?.length, nodes);
    printed.push(text.replace(path, ""));
  }
  for (const other of printed) assert.is(other, printed[0]);
}

test.run();
