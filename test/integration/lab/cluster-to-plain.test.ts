/**
 * Arrays that real md-cluster nodes wrote, some of them cut off in the middle: `satsuma update`
 * makes their bitmap internal, and a Linux without a cluster takes over. What any node had under
 * way is resynced: afterwards the copies are equal.
 */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { linuxFixtures, unpackFixture } from "../../helpers/linux-fixtures.ts";
import { runSatsuma } from "../../helpers/satsuma-command.ts";
import { skipUnless } from "../../helpers/skip.ts";
import { inFolder } from "../../helpers/temporary-folder.ts";
import { kernelJudges, mdComplaints } from "../../lab/judge.ts";
import { needsKernel } from "../../lab/needs-kernel.ts";

const test = suite("cluster to plain");
const kernelTest = await needsKernel(skipUnless(["linux.uml", "mdadm"], test), test);

for (const fixture of linuxFixtures().filter(({ name }) => name.startsWith("cl-"))) {
  kernelTest(
    `Linux takes over a clustered array once its bitmap is internal: ${fixture.name}`,
    inFolder(async (folder) => {
      const images = await unpackFixture(fixture, folder);
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

test.run();
