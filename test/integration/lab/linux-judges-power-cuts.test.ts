// wall-limit: 900 s
/**
 * Media after simulated power cuts (unflushed sectors lost or torn, at any moment of a life of an
 * array: under writes, resync, recovery, re-add, replacement), given to Linux: it assembles them
 * without a complaint, reads what we read, and after its resync or recovery finds equal copies.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { SimMedium } from "../../../src/hal/sim/crash-device.ts";
import { decodeSuperblock } from "../../../src/raid/superblock.ts";
import { type GivenArray, judgeArrays } from "../../helpers/lab-batch.ts";
import { isWholeLab } from "../../helpers/lab-share.ts";
import { hashArray } from "../../helpers/satsuma-command.ts";
import { withSeeds } from "../../helpers/seed.ts";
import { skipUnless } from "../../helpers/skip.ts";
import { needsKernel } from "../../lab/needs-kernel.ts";
import type { StoryName } from "../../sim/stories.ts";
import { runStory } from "../../sim/story.ts";

const test = suite("linux judges power cuts");
const kernelTest = await needsKernel(skipUnless(["linux.uml", "mdadm"], test), test);
const folder = mkdtempSync(join(tmpdir(), "t-"));
test.after(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }));

const STORIES: readonly StoryName[] = ["power-cut", "busy", "members", "scrub"];
const FRESH = isWholeLab() ? 8 : 1;

/** The members among the media, as files. */
const writeMembers = (name: string, media: readonly SimMedium[]): readonly string[] =>
  media.flatMap(({ durable }, index) => {
    if (!decodeSuperblock(durable.subarray(4096, 8192), 8).ok) return [];
    const path = join(folder, `${name}-${index}.img`);
    writeFileSync(path, durable);
    return [path];
  });

kernelTest("Linux takes over what power cuts leave", async () => {
  const given: GivenArray[] = [];
  const ours = new Map<string, string>();
  for (const story of STORIES) {
    await withSeeds({ fixed: [], more: FRESH }, async (prng, seed) => {
      const stops: (readonly SimMedium[])[] = [];
      await runStory(story, seed, {
        onStop: (media) => {
          stops.push(media.map((medium) => ({ durable: medium.durable.slice() }) as SimMedium));
        },
      });
      const stop = prng.below(stops.length);
      const name = `story ${story}, seed ${seed}, stop ${stop}`;
      const images = writeMembers(String(given.length), stops[stop] ?? []);
      ours.set(name, await hashArray(images));
      given.push({ name, images });
    });
  }
  const verdicts = await judgeArrays(given);
  for (const { name } of given) {
    const verdict = verdicts.get(name);
    const told = `${name}\n${verdict?.log}`;
    assert.ok(verdict?.assembled, told);
    assert.is(verdict.found, ours.get(name), told);
    assert.is(verdict.mismatchCnt, 0, told);
    const complaints = verdict.complaints.filter((line) => !/kicking non-fresh/.test(line));
    assert.equal(complaints, [], told);
  }
});

test.run();
