/**
 * Arrays that real md-cluster nodes wrote, some of them cut off in the middle: `satsuma update`
 * makes their bitmap internal, and a Linux without a cluster takes over. What any node had under
 * way is resynced: afterwards the copies are equal.
 */
import { closeSync, openSync, readFileSync, writeSync } from "node:fs";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import {
  bitmapChunks,
  bitmapSlotBytes,
  decodeBitmapSuperblock,
} from "../../../src/raid/bitmap-superblock.ts";
import { decodeSuperblock } from "../../../src/raid/superblock.ts";
import { labShare } from "../../helpers/lab-share.ts";
import { linuxFixtures, unpackFixture } from "../../helpers/linux-fixtures.ts";
import { runSatsuma } from "../../helpers/satsuma-command.ts";
import { skipUnless } from "../../helpers/skip.ts";
import { inFolder } from "../../helpers/temporary-folder.ts";
import { kernelJudges, mdComplaints } from "../../lab/judge.ts";
import { needsKernel } from "../../lab/needs-kernel.ts";

const SECTOR = 512;

/**
 * Makes the last copy differ under every bit that any node has set, as writes that were cut off
 * would. Returns how many bits those are.
 */
function tearDirtyChunks(images: readonly string[]): number {
  const [first = "", last = ""] = [images[0], images.at(-1)];
  const bytes = readFileSync(first);
  const decoded = decodeSuperblock(bytes.subarray(4096, 8192), 8, bytes.length / SECTOR);
  if (!decoded.ok || decoded.value.level !== 1) return 0;
  const { superOffset, bitmapOffset, dataOffset, setUuid } = decoded.value;
  const start = (superOffset + bitmapOffset) * SECTOR;
  const bitmap = decodeBitmapSuperblock(bytes.subarray(start, start + 256), setUuid);
  assert.ok(bitmap.ok);
  const { nodes, chunkBytes, syncSize } = bitmap.value;
  const chunks = bitmapChunks(syncSize, chunkBytes);
  const dirty = new Set<number>();
  for (let slot = 0; slot < nodes; slot++) {
    const bits = bytes.subarray(start + slot * bitmapSlotBytes(chunks) + 256);
    for (let chunk = 0; chunk < chunks; chunk++) {
      if (((bits[chunk >> 3] ?? 0) & (1 << (chunk & 7))) !== 0) dirty.add(chunk);
    }
  }
  const file = openSync(last, "r+");
  for (const chunk of dirty) {
    const at = dataOffset * SECTOR + chunk * chunkBytes;
    writeSync(file, Buffer.alloc(4096, 0x5a), 0, 4096, at);
  }
  closeSync(file);
  return dirty.size;
}

const test = suite("cluster to plain");
let torn = 0;
const kernelTest = await needsKernel(skipUnless(["linux.uml", "mdadm"], test), test);

/** Of the arrays that real clusters left: one that crashed in every run, all by `npm run lab`. */
const fixtures = linuxFixtures()
  .filter(({ name }) => name.startsWith("cl-"))
  .map((fixture) => ({ ...fixture, everyRun: fixture.name === "cl-r1-crash-one" }));

for (const fixture of labShare(fixtures)) {
  kernelTest(
    `Linux takes over a clustered array once its bitmap is internal: ${fixture.name}`,
    inFolder(async (folder) => {
      const images = await unpackFixture(fixture, folder);
      torn += tearDirtyChunks(images);
      await runSatsuma("update", "--bitmap", "internal", ...images);
      const verdict = await kernelJudges(images);
      assert.ok(verdict.assembled, verdict.output);
      assert.equal(
        {
          degraded: verdict.degraded,
          size: verdict.size,
          sha256: verdict.sha256,
          mismatchCnt: verdict.mismatchCnt,
          complaints: mdComplaints(verdict.dmesg),
        },
        {
          degraded: 0,
          size: fixture.array.size,
          sha256: fixture.array.sha256_readonly,
          mismatchCnt: 0,
          complaints: [],
        },
      );
      assert.match(verdict.examine[0] ?? "", "Feature Map : 0x1\n");
      assert.match(verdict.examineBitmap[0] ?? "", /Version : 4/);
    }),
  );
}

kernelTest("some of these arrays were cut off in the middle", () => {
  assert.ok(torn >= 1, `${torn} dirty chunks`);
});

test.run();
