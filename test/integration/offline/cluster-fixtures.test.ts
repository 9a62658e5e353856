/**
 * Arrays that real md-cluster nodes wrote, some of them cut off in the middle, started by a node in
 * a bitmap slot and continued: what any node had under way is resynced, nothing else is written,
 * and mdadm reads the right thing in every slot.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { examineBitmapOf } from "../../../src/cli/examine-command.ts";
import { bitmapClusterName, decodeBitmapSuperblock } from "../../../src/raid/bitmap-superblock.ts";
import {
  bitsOf,
  type ClusteredLayout,
  contentHash,
  layoutOf,
  slotsOf,
  TORN,
  tear,
} from "../../helpers/clustered-images.ts";
import { runCommand } from "../../helpers/command.ts";
import { linuxFixtures, unpackFixture } from "../../helpers/linux-fixtures.ts";
import { LoneNode } from "../../helpers/lone-node.ts";
import { skipUnless } from "../../helpers/skip.ts";
import { inFolder } from "../../helpers/temporary-folder.ts";

const SECTOR = 512;

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
  layout: ClusteredLayout,
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
  { bitmap: { nodes } }: ClusteredLayout,
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
