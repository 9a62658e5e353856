// wall-limit: 900 s
/**
 * Arrays that Linux made, in every state md can leave one in: our engine takes them over, reads
 * what
 * Linux wrote, ends the resync or recovery that was due, finds equal copies, writes, and Linux
 * takes them back: the same content, nothing to complain about, mismatch_cnt 0.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { runCommand } from "../../helpers/command.ts";
import { judgeArrays, type LinuxArray, makeArrays } from "../../helpers/lab-batch.ts";
import { LINUX_STORIES } from "../../helpers/lab-linux-stories.ts";
import { labShare } from "../../helpers/lab-share.ts";
import { KIB, MIB, onScenario } from "../../helpers/md-scenario.ts";
import { skipUnless } from "../../helpers/skip.ts";
import { needsKernel } from "../../lab/needs-kernel.ts";

const test = suite("linux to ours and back");
const kernelTest = await needsKernel(skipUnless(["linux.uml", "mdadm"], test), test);

const stories = labShare(LINUX_STORIES);
const folder = mkdtempSync(join(tmpdir(), "t-"));
test.after(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }));

const made = new Map<string, LinuxArray>();
/** What we left behind. */
const ours = new Map<string, { readonly sha256: string; readonly degraded: number }>();

const examineAll = async (images: readonly string[]): Promise<string> => {
  const texts: string[] = [];
  for (const image of images) texts.push((await runCommand("mdadm", ["--examine", image])).stdout);
  return texts.join("\n");
};

kernelTest(`Linux makes ${stories.length} arrays`, async () => {
  for (const array of await makeArrays(folder, stories)) {
    made.set(array.story.name, array);
    const { shows } = array.story;
    if (shows !== undefined) assert.match(await examineAll(array.images), shows, array.story.name);
  }
  assert.is(made.size, stories.length);
});

for (const { name } of stories) {
  kernelTest(
    `our engine takes it over from Linux: ${name}`,
    onScenario(async (md) => {
      const linux = made.get(name);
      assert.ok(linux !== undefined, "Linux made it");
      const array = await md.assemble(linux.images);
      assert.is(await md.learn(), linux.sha256, "as found");
      await md.settled(array);
      assert.is(await md.check(array), 0);
      await md.verify();
      await md.write(2 * MIB, 320 * KIB);
      await md.verify();
      const { degraded } = array.status;
      await md.stop(array);
      ours.set(name, { sha256: md.sha256, degraded });
    }),
  );
}

kernelTest("Linux takes them all back", async () => {
  const given = [...ours.keys()].map((name) => ({ name, images: made.get(name)?.images ?? [] }));
  const verdicts = await judgeArrays(given);
  for (const [name, left] of ours) {
    const verdict = verdicts.get(name);
    assert.ok(verdict?.assembled, `${name}: ${verdict?.log}`);
    const { found, settled, degraded, mismatchCnt } = verdict;
    assert.equal(
      { found, settled, degraded, mismatchCnt },
      { found: left.sha256, settled: left.sha256, degraded: left.degraded, mismatchCnt: 0 },
      `${name}: ${verdict.log}`,
    );
    const complaints = verdict.complaints.filter((line) => !/kicking non-fresh/.test(line));
    assert.equal(complaints, [], name);
    assert.not.match(
      verdict.dmesg.join("\n"),
      /reconstruction|recovery of/,
      `${name}: work is left`,
    );
  }
  assert.is(ours.size, stories.length, "all of them");
});

test.run();
