import { suite } from "uvu";
import * as assert from "uvu/assert";
import {
  badBlockRange,
  decodeBadBlocks,
  encodeBadBlocks,
  touchesBadBlock,
} from "../../../src/raid/bad-blocks.ts";
import { sampleSuperblock } from "../../helpers/md-samples.ts";
import { withSeeds } from "../../helpers/seed.ts";

const test = suite("raid/bad-blocks");

const RUNS = [
  { sector: 4096, sectors: 8 },
  { sector: 20000, sectors: 512 },
];

test("a list decodes to what was encoded, up to its end mark", () => {
  const page = encodeBadBlocks(RUNS, 4096);
  assert.equal(decodeBadBlocks(page, 0), RUNS);
  // Source: drivers/md/md.c store_bad_block: start in bits 10-63, length in bits 0-9.
  assert.is(new DataView(page.buffer).getBigUint64(0, true), (4096n << 10n) | 8n);
  assert.is(page[4095], 0xff);
});

test("a shift scales starts and lengths", () => {
  assert.equal(decodeBadBlocks(encodeBadBlocks(RUNS, 4096), 3)?.[0], {
    sector: 32768,
    sectors: 64,
  });
});

test("an impossible entry makes the list unusable", () => {
  assert.is(decodeBadBlocks(new Uint8Array(8), 0), null);
  assert.is(decodeBadBlocks(encodeBadBlocks([{ sector: 8, sectors: 513 }], 4096), 0), null);
  assert.is(decodeBadBlocks(encodeBadBlocks(RUNS, 4096), 255), null);
  const far = encodeBadBlocks([{ sector: 2 ** 53, sectors: 1 }], 4096);
  assert.is(decodeBadBlocks(far, 0), null);
});

test("the list lies where the superblock says, when it is not empty", () => {
  assert.is(badBlockRange(sampleSuperblock()), null);
  assert.equal(badBlockRange(sampleSuperblock({ featureMap: 9 })), {
    offset: 24 * 512,
    length: 4096,
  });
  assert.is(badBlockRange(sampleSuperblock({ featureMap: 9, bblogOffset: -9 })), null);
  const large = badBlockRange(sampleSuperblock({ featureMap: 9, bblogSize: 65535 }));
  assert.is(large?.length, 4096);
});

test("a range touches a run from both sides", () => {
  const touches = (sector: number, sectors: number): boolean =>
    touchesBadBlock(RUNS, sector, sectors);
  assert.equal(
    [touches(4095, 1), touches(4095, 2), touches(4103, 1), touches(4104, 100), touches(0, 1e6)],
    [false, true, true, false, true],
  );
});

test("random pages never throw", async () => {
  await withSeeds({ fixed: [1], more: 1 }, (prng) => {
    for (let round = 0; round < 200; round += 1) {
      decodeBadBlocks(prng.bytes(prng.below(4100)), prng.below(256));
    }
  });
});

test.run();
