/** The bad-block list of a running member: ranges of its data, and how they go on disk and back. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import {
  badBlockPage,
  hasBadBlockLog,
  innerSectors,
  joinRanges,
  rangesFromRuns,
  runsFromRanges,
  wholeSectors,
  withoutRange,
} from "../../../src/raid/bad-block-list.ts";
import {
  BAD_BLOCK_TABLE_BYTES,
  BadBlockTable,
  type BadRange,
} from "../../../src/raid/bad-block-table.ts";
import { decodeBadBlocks } from "../../../src/raid/bad-blocks.ts";
import { sampleSuperblock } from "../../helpers/md-samples.ts";
import { withSeeds } from "../../helpers/seed.ts";

const SECTOR = 512;
const DATA = 2048;

const test = suite("raid/bad-block-list");

test("ranges that touch or overlap are one, in ascending order", () => {
  assert.equal(
    joinRanges([
      [40, 50],
      [0, 10],
      [10, 20],
      [15, 18],
      [45, 60],
    ]),
    [
      [0, 20],
      [40, 60],
    ],
  );
});

test("what is healed leaves what lies before and behind", () => {
  const bad: BadRange[] = [
    [0, 10],
    [20, 30],
  ];
  assert.equal(withoutRange(bad, [5, 25]), [
    [0, 5],
    [25, 30],
  ]);
  assert.equal(withoutRange(bad, [22, 24]), [
    [0, 10],
    [20, 22],
    [24, 30],
  ]);
  assert.equal(withoutRange(bad, [10, 20]), bad);
  assert.equal(withoutRange(bad, [0, 30]), []);
});

test("a list behaves as a set of sectors would", async () => {
  await withSeeds({ fixed: [1], more: 10 }, (prng) => {
    const model = new Set<number>();
    let ranges: BadRange[] = [];
    for (let step = 0; step < 60; step++) {
      const from = prng.below(100);
      const to = from + 1 + prng.below(12);
      const isNoted = prng.below(2) === 0;
      ranges = isNoted ? joinRanges([...ranges, [from, to]]) : withoutRange(ranges, [from, to]);
      for (let at = from; at < to; at++) isNoted ? model.add(at) : model.delete(at);
      const listed = ranges.flatMap(([a, b]) => Array.from({ length: b - a }, (_, n) => a + n));
      assert.equal(
        listed,
        [...model].sort((a, b) => a - b),
      );
      for (const [index, [start]] of ranges.entries())
        assert.ok(start > (ranges[index - 1]?.[1] ?? -1), "apart from each other");
    }
  });
});

test("a spot widens to the sectors it touches", () => {
  assert.equal(
    wholeSectors([
      [1, 2],
      [512, 1024],
      [1000, 1025],
    ]),
    [
      [0, 512],
      [512, 1024],
      [512, 1536],
    ],
  );
});

test("a write makes good only the sectors that it wrote whole", () => {
  assert.equal(innerSectors([512, 1536]), [512, 1536]);
  assert.equal(innerSectors([511, 1537]), [512, 1536]);
  assert.equal(innerSectors([513, 1535]), null);
  assert.equal(innerSectors([513, 2047]), [1024, 1536]);
  assert.equal(innerSectors([600, 700]), null);
});

test("on disk sectors count from the start of the member, in runs of at most 512", () => {
  const sb = sampleSuperblock({ dataOffset: DATA });
  assert.equal(runsFromRanges([[4096, 8192]], sb), [{ sector: DATA + 8, sectors: 8 }]);
  assert.equal(runsFromRanges([[0, 1030 * SECTOR]], sb), [
    { sector: DATA, sectors: 512 },
    { sector: DATA + 512, sectors: 512 },
    { sector: DATA + 1024, sectors: 6 },
  ]);
});

test("what goes on disk comes back the same, its page filled to the end", () => {
  const sb = sampleSuperblock({ dataOffset: DATA });
  const ranges: BadRange[] = [
    [0, 1030 * SECTOR],
    [4096 * SECTOR, 4097 * SECTOR],
  ];
  const page = badBlockPage(ranges, sb);
  assert.is(page?.offset, 24 * SECTOR);
  assert.is(page?.data.length, 4096);
  const runs = decodeBadBlocks(page?.data ?? new Uint8Array(0), 0);
  assert.equal(rangesFromRuns(runs ?? [], DATA), ranges);
  assert.ok(page?.data.subarray(4 * 8).every((byte) => byte === 0xff));
});

test("an empty list is a page that names nothing", () => {
  const page = badBlockPage([], sampleSuperblock());
  assert.ok(page?.data.every((byte) => byte === 0xff));
});

test("runs before the data are dropped, one across its start is cut there", () => {
  const runs = [
    { sector: 8, sectors: 8 },
    { sector: DATA - 4, sectors: 8 },
  ];
  assert.equal(rangesFromRuns(runs, DATA), [[0, 4 * SECTOR]]);
});

test("a list has room for 512 runs, fewer when its area is smaller; one more and there is none", () => {
  const spots = (count: number): BadRange[] =>
    Array.from({ length: count }, (_, n) => [n * 2 * SECTOR, (n * 2 + 1) * SECTOR]);
  const sb = sampleSuperblock();
  assert.is(runsFromRanges(spots(512), sb)?.length, 512);
  assert.is(runsFromRanges(spots(513), sb), null);
  const small = sampleSuperblock({ bblogSize: 1 });
  assert.is(runsFromRanges(spots(64), small)?.length, 64);
  assert.is(runsFromRanges(spots(65), small), null);
  assert.is(runsFromRanges([[0, 512 * 512 * SECTOR]], sb)?.length, 512);
  assert.is(runsFromRanges([[0, (512 * 512 + 1) * SECTOR]], sb), null, "long runs count by 512");
});

test("a member without an area has no list and no page", () => {
  for (const over of [{ bblogSize: 0 }, { bblogOffset: 0 }]) {
    const sb = sampleSuperblock(over);
    assert.is(hasBadBlockLog(sb), false);
    assert.is(badBlockPage([], sb), null);
  }
  assert.is(hasBadBlockLog(sampleSuperblock({ bblogOffset: -8 })), true, "metadata 1.0");
});

// --- as threads see it ---------------------------------------------------------------------------

const table = () => {
  const buffer = new SharedArrayBuffer(2 * BAD_BLOCK_TABLE_BYTES);
  const at = BAD_BLOCK_TABLE_BYTES;
  return { writer: new BadBlockTable(buffer, at), reader: new BadBlockTable(buffer, at), buffer };
};

test("another view of the table sees the ranges, clipped to what it asks about", () => {
  const { writer, reader } = table();
  assert.equal([reader.count, reader.touches(0, 2 ** 40)], [0, false]);
  writer.set([
    [4096, 8192],
    [2 ** 41, 2 ** 41 + 512],
  ]);
  assert.is(reader.count, 2);
  assert.equal(reader.within(0, 2 ** 42), [
    [4096, 8192],
    [2 ** 41, 2 ** 41 + 512],
  ]);
  assert.equal(reader.within(5000, 100), [[5000, 5100]]);
  assert.equal(
    [
      [4095, 1],
      [4095, 2],
      [8191, 1],
      [8192, 1],
    ].map(([from = 0, length = 0]) => reader.touches(from, length)),
    [false, true, true, false],
  );
  writer.set([]);
  assert.is(reader.touches(4096, 1), false);
});

test("a full table holds 512 ranges and nothing of its neighbour", () => {
  const { writer, reader, buffer } = table();
  const ranges = Array.from({ length: 512 }, (_, n): BadRange => [n * 1024, n * 1024 + 512]);
  writer.set(ranges);
  assert.equal(reader.within(0, 2 ** 30), ranges);
  assert.ok(new Uint8Array(buffer, 0, BAD_BLOCK_TABLE_BYTES).every((byte) => byte === 0));
});

test.run();
