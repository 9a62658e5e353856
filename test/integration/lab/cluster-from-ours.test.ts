/**
 * Clustered arrays of Linux that our node has continued: Linux's own tools read every slot's bitmap
 * as we left it, and a Linux without a cluster takes the array over once its bitmap is gone.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { examineBitmapOf } from "../../../src/cli/examine-command.ts";
import { bitmapClusterName } from "../../../src/raid/bitmap-superblock.ts";
import { bitsOf, contentHash, layoutOf, slotsOf } from "../../helpers/clustered-images.ts";
import { labShare } from "../../helpers/lab-share.ts";
import { linuxFixtures, unpackFixture } from "../../helpers/linux-fixtures.ts";
import { LoneNode } from "../../helpers/lone-node.ts";
import { skipUnless } from "../../helpers/skip.ts";
import { inFolder } from "../../helpers/temporary-folder.ts";
import { runInKernel } from "../../lab/kernel.ts";
import { needsKernel } from "../../lab/needs-kernel.ts";

const SCRIPT = `
for disk in $DISKS; do
  mdadm --examine-bitmap $disk >$OUT/bitmap.\${disk#/dev/} 2>&1
done
mdadm --assemble --run --update=no-bitmap /dev/md0 $DISKS 2>&1 || exit 1
wait_idle
sha256sum </dev/md0 >$OUT/sha256
echo check >/sys/block/md0/md/sync_action
wait_idle
cat /sys/block/md0/md/mismatch_cnt >$OUT/mismatch_cnt
cat /sys/block/md0/md/degraded >$OUT/degraded
mdadm --stop /dev/md0 2>&1`;

const test = suite("cluster from ours");
const kernelTest = await needsKernel(skipUnless(["linux.uml", "mdadm", "xz"], test), test);
const cases = linuxFixtures()
  .filter(({ name }) => name.startsWith("cl-"))
  .flatMap((fixture) =>
    (["stopped", "cut off in a write"] as const).map((ending) => ({
      fixture,
      ending,
      everyRun: fixture.name === "cl-r1-three-nodes" && ending === "cut off in a write",
    })),
  );

for (const { fixture, ending } of labShare(cases)) {
  kernelTest(
    `Linux takes over what our node continued, ${ending}: ${fixture.name}`,
    inFolder(async (folder) => {
      const paths = await unpackFixture(fixture, folder);
      const images = paths.map((path) => new Uint8Array(readFileSync(path)));
      const [first = new Uint8Array()] = images;
      const layout = layoutOf(first);
      const slot = 1;
      const node = await LoneNode.start(images, bitmapClusterName(layout.bitmap), slot);
      await node.takeOver(slotsOf(layout).filter((other) => other !== slot));
      await node.rest();
      if (ending === "stopped") await node.stop();
      else await node.intend(0);
      for (const [index, path] of paths.entries()) {
        const image = images[index] ?? first;
        for (const other of slotsOf(layout)) {
          const bits = bitsOf(image, layout, other);
          if (other !== slot || ending === "stopped") assert.equal(bits, [], `slot ${other}`);
          else assert.ok(bits.includes(0), bits.join());
        }
        writeFileSync(path, image);
      }
      const result = await runInKernel({ images: paths, script: SCRIPT, onCopies: true });
      assert.is(result.status, 0, result.output);
      for (const [index, path] of paths.entries()) {
        const theirs = result.files.get(`bitmap.ubd${"abcdefgh"[index]}`) ?? "";
        const { text } = await examineBitmapOf(path);
        assert.is(withoutName(text), withoutName(theirs));
      }
      assert.is(result.files.get("degraded")?.trim(), "0");
      assert.is(result.files.get("mismatch_cnt")?.trim(), "0");
      assert.is(result.files.get("sha256")?.split(" ")[0], contentHash(images, layout));
    }),
  );
}

const withoutName = (text: string): string => text.replace(/Filename : .*\n/, "").trim();

test.run();
