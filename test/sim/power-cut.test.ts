// wall-limit: 300 s
/**
 * A share of the simulation in every test run: stories of power cuts, of raid10, of members that
 * come, go and are replaced, and of scrubbing, with seeds that once failed and fresh ones.
 * `npm run sim` runs thousands.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { SimMedium } from "../../src/hal/sim/crash-device.ts";
import { decodeSuperblock } from "../../src/raid/superblock.ts";
import { runCommand } from "../helpers/command.ts";
import { withSeeds } from "../helpers/seed.ts";
import { skipUnless } from "../helpers/skip.ts";
import { inFolder } from "../helpers/temporary-folder.ts";
import { withTimeout } from "../helpers/timeout.ts";
import { GEOMETRY } from "./media.ts";
import type { StoryName } from "./stories.ts";
import { runStory } from "./story.ts";

const LIMIT_MS = 240_000;

/** Seeds that failed before a bug was fixed, and how many others each run adds. */
const PLANS: readonly {
  readonly name: StoryName;
  readonly fixed: readonly number[];
  readonly more: number;
}[] = [
  { name: "power-cut", fixed: [12, 139], more: 50 },
  { name: "busy", fixed: [1], more: 25 },
  {
    name: "members",
    fixed: [4, 6, 14, 30, 33, 37, 41, 46, 88, 91, 96, 293, 297, 879, 12773],
    more: 35,
  },
  { name: "raid10", fixed: [1, 5, 40, 97, 188, 255, 60018, 81384, 81467], more: 20 },
  { name: "replace", fixed: [20250, 21045, 21071, 40022, 50377, 50607], more: 20 },
  { name: "scrub", fixed: [149, 317, 473, 10585, 11093, 11135, 11511], more: 30 },
];

const test = suite("sim/power-cut");

for (const { name, fixed, more } of PLANS) {
  test(
    `no seed of the story "${name}" loses or shows what it must not`,
    withTimeout(LIMIT_MS, async () => {
      await withSeeds({ fixed, more }, async (_, seed) => {
        await runStory(name, seed);
      });
    }),
  );
}

test("a story is the same each time its seed is run", async () => {
  const traces: string[][] = [[], []];
  for (const trace of traces) await runStory("members", 7, { onTrace: (line) => trace.push(line) });
  assert.ok((traces[0]?.length ?? 0) > 10);
  assert.equal(traces[0], traces[1]);
});

/** Members as mdadm sees them: the media as files, and the bitmap areas of those that have one. */
const askMdadm = async (folder: string, media: readonly Uint8Array[]): Promise<number> => {
  let asked = 0;
  for (const [index, bytes] of media.entries()) {
    const decoded = decodeSuperblock(bytes.subarray(4096, 8192), 8);
    if (!decoded.ok) continue;
    asked++;
    const path = join(folder, `leg${index}`);
    writeFileSync(path, bytes);
    const { stdout } = await runCommand("mdadm", ["--examine", path]);
    assert.match(stdout, /Checksum : \w+ - correct/);
    assert.match(stdout, new RegExp(`Events : ${decoded.value.events}\\n`));
    if ((decoded.value.featureMap & 1) === 0) continue;
    // Of a plain file mdadm reads the bitmap from the start.
    writeFileSync(path, bytes.subarray(GEOMETRY.bitmapAt));
    const bitmap = await runCommand("mdadm", ["--examine-bitmap", path]);
    assert.match(bitmap.stdout, /Bitmap : \d+ bits \(chunks\), \d+ dirty/);
  }
  return asked;
};

skipUnless("mdadm", test)(
  "mdadm accepts every member after every stop",
  withTimeout(
    LIMIT_MS,
    inFolder(async (folder) => {
      const stops: Uint8Array[][] = [];
      const onStop = (media: readonly SimMedium[]) =>
        void stops.push(media.map(({ durable }) => durable.slice()));
      await withSeeds({ fixed: [3, 5], more: 1 }, async (_, seed) => {
        await runStory("members", seed, { onStop });
      });
      let asked = 0;
      for (const media of stops) asked += await askMdadm(folder, media);
      assert.ok(asked > 0);
    }),
  ),
);

test.run();
