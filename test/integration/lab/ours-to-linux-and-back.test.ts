// wall-limit: 900 s
/**
 * Arrays of our engine, in every state it can leave one in, killed ones too: Linux takes them over
 * without a complaint, finds every flushed write, ends the resync or recovery that was due, finds
 * mismatch_cnt 0, writes to them, and our engine takes them back.
 */
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { runCommand, tryCommand } from "../../helpers/command.ts";
import { EngineBench } from "../../helpers/engine-bench.ts";
import { judgeArrays, type LinuxVerdict } from "../../helpers/lab-batch.ts";
import { OUR_STORIES, type OurStory } from "../../helpers/lab-our-stories.ts";
import { labShare } from "../../helpers/lab-share.ts";
import { MdScenario, onScenario } from "../../helpers/md-scenario.ts";
import { skipUnless } from "../../helpers/skip.ts";
import { withTimeout } from "../../helpers/timeout.ts";
import { needsKernel } from "../../lab/needs-kernel.ts";

const test = suite("ours to linux and back");
const kernelTest = await needsKernel(skipUnless(["linux.uml", "mdadm"], test), test);
const TELLER = join(import.meta.dirname, "../../helpers/lab-told-process.ts");

const stories = labShare(OUR_STORIES);
const folder = mkdtempSync(join(tmpdir(), "t-"));
test.after(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }));

interface Left {
  readonly members: readonly string[];
  readonly sha256: string;
}

const left = new Map<string, Left>();
let verdicts: ReadonlyMap<string, LinuxVerdict> = new Map();

const tell = async (story: OurStory, place: string): Promise<Left> => {
  if (story.end === "kill") {
    const told = await tryCommand(process.execPath, [TELLER, story.name, place]);
    assert.is(told.ending, "SIGKILL", told.stderr);
    return JSON.parse(told.stdout) as Left;
  }
  const md = new MdScenario(await EngineBench.start(place));
  try {
    const { array, members } = await story.tell(md);
    await md.stop(array);
    return { members, sha256: md.sha256 };
  } finally {
    md.detach();
    await md.bench.close();
  }
};

for (const [index, story] of stories.entries()) {
  kernelTest(
    `our engine makes it, and is ended by a ${story.end}: ${story.name}`,
    withTimeout(120_000, async () => {
      const place = join(folder, String(index));
      mkdirSync(place);
      const array = await tell(story, place);
      left.set(story.name, array);
      if (story.shows === undefined) return;
      const texts = await Promise.all(
        array.members.map((path) => runCommand("mdadm", ["--examine", path])),
      );
      assert.match(texts.map(({ stdout }) => stdout).join("\n"), story.shows);
    }),
  );
}

kernelTest("Linux takes them all over", async () => {
  const given = [...left].map(([name, { members }]) => ({ name, images: members, writes: true }));
  verdicts = await judgeArrays(given);
  for (const story of stories) {
    const { name } = story;
    const verdict = verdicts.get(name);
    assert.ok(verdict?.assembled, `${name}: ${verdict?.log}`);
    const { found, settled, degraded, mismatchCnt } = verdict;
    const sha256 = left.get(name)?.sha256;
    assert.equal(
      { found, settled, degraded, mismatchCnt },
      { found: sha256, settled: sha256, degraded: story.degraded ?? 0, mismatchCnt: 0 },
      `${name}: ${verdict.log}`,
    );
    const complaints = verdict.complaints.filter((line) => !/kicking non-fresh/.test(line));
    assert.equal(complaints, [], name);
  }
});

for (const { name } of stories) {
  kernelTest(
    `our engine takes it back from Linux: ${name}`,
    onScenario(async (md) => {
      const verdict = verdicts.get(name);
      assert.ok(verdict !== undefined, "Linux had it");
      const array = await md.assemble(left.get(name)?.members ?? []);
      assert.is(await md.learn(), verdict.written);
      assert.equal([array.status.sync, array.status.degraded], [null, verdict.degraded]);
      assert.is(await md.check(array), 0);
      await md.stop(array);
    }),
  );
}

test.run();
