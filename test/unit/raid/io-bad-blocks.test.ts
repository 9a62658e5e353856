/** Writes and bad blocks: the narrow second try, writing around, making good, and who is told. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import {
  LEG_FAILFAST,
  LEG_NONE,
  LEG_NOTES_BAD_BLOCKS,
  LEG_REBUILDING,
  LEG_WRITE_ERROR,
  RUN_BROKEN,
} from "../../../src/raid/shared-state.ts";
import { IO_EIO } from "../../../src/raid/write-request.ts";
import { IoBench, type IoBenchOptions } from "../../helpers/io-bench.ts";

const KIB = 1024;
const CHUNK = 64 * KIB;
const NOTES = { flags: LEG_NOTES_BAD_BLOCKS };

const test = suite("raid/io-bad-blocks");

for (const slow of [[], [0, 1]]) {
  test(`a bad spot is told alone: the rest of the write is stored (slow: ${slow.join() || "none"})`, async () => {
    const bench = new IoBench({ ...NOTES, slow });
    bench.spoil(1, "write-error", [8 * KIB, 8 * KIB + 512]);
    const answer = bench.write(0, 3, 32 * KIB);
    await bench.rest();
    assert.is(answer.errno, null, "held until it is durable");
    assert.equal(
      bench.legReports.map(({ leg, kind, ranges }) => [leg, kind, ranges]),
      [[1, "write", [[8 * KIB, 12 * KIB]]]],
    );
    assert.equal(
      [0, 8 * KIB - 1, 8 * KIB, 12 * KIB - 1, 12 * KIB, 32 * KIB - 1].map((at) => bench.on(1, at)),
      [3, 3, 0, 0, 3, 3],
    );
    assert.is(bench.others.tryAcquire(0, 1), 0, "no copy meets the half-written leg");
    bench.resolve(null, true);
    assert.is(answer.errno, 0);
  });
}

test("neighbouring pages are told as one spot, whatever the write's own borders", async () => {
  const bench = new IoBench(NOTES);
  bench.spoil(1, "write-error", [13 * KIB, 20 * KIB]);
  bench.write(KIB, 3, 30 * KIB);
  await bench.rest();
  assert.equal(bench.legReports[0]?.ranges, [[12 * KIB, 20 * KIB]]);
});

test("a failure that is gone at the second try is told with no range", async () => {
  const bench = new IoBench(NOTES);
  bench.fault(1, "write-error", 1);
  const answer = bench.write(0, 3, 8 * KIB);
  await bench.rest();
  assert.equal(
    bench.legReports.map(({ ranges }) => ranges),
    [[]],
  );
  assert.is(bench.on(1, 8 * KIB - 1), 3);
  bench.resolve(null, true);
  assert.is(answer.errno, 0);
});

const WHOLE: readonly (readonly [string, IoBenchOptions, number])[] = [
  ["a leg without a list", { flags: 0 }, 8 * KIB],
  ["a failfast leg", { flags: LEG_NOTES_BAD_BLOCKS | LEG_FAILFAST }, 8 * KIB],
  ["a leg that refuses more than 64 pages of one write", NOTES, 65 * 4 * KIB],
];
for (const [what, options, length] of WHOLE) {
  test(`${what} fails as a whole`, async () => {
    const bench = new IoBench(options);
    bench.fault(1, "write-error");
    const answer = bench.write(0, 3, length);
    await bench.rest();
    assert.equal(
      bench.legReports.map(({ leg, kind, ranges }) => [leg, kind, ranges]),
      [[1, "write", null]],
    );
    bench.resolve(LEG_NONE, true);
    assert.is(answer.errno, 0);
  });
}

test("64 pages that fail are still told one by one", async () => {
  const bench = new IoBench(NOTES);
  bench.fault(1, "write-error");
  bench.write(0, 3, 64 * 4 * KIB);
  await bench.rest();
  assert.equal(bench.legReports[0]?.ranges, [[0, 64 * 4 * KIB]]);
});

test("zeroes that fail are tried again as data, and the pages that fail again are noted", async () => {
  const bench = new IoBench(NOTES);
  bench.write(0, 7, 16 * KIB);
  bench.spoil(1, "write-error", [4 * KIB, 8 * KIB]);
  let errno: number | null = null;
  bench.io.zero(0, 16 * KIB, { mayUnmap: true, fua: false }, (answer) => {
    errno = answer;
  });
  await bench.rest();
  assert.is(errno, null);
  assert.equal(bench.legReports[0]?.ranges, [[4 * KIB, 8 * KIB]]);
  bench.resolve(null, true);
  assert.is(errno, 0);
  const content = [0, 4 * KIB, 8 * KIB, 16 * KIB - 1].map((at) => bench.on(1, at));
  assert.equal(content, [0, 7, 0, 0]);
});

test("zeroes that a leg without a bad-block list could not store fail it", async () => {
  const bench = new IoBench();
  bench.spoil(1, "write-error", [4 * KIB, 8 * KIB]);
  let errno: number | null = null;
  bench.io.zero(0, 8 * KIB, { mayUnmap: true, fua: false }, (answer) => {
    errno = answer;
  });
  await bench.rest();
  assert.is(bench.legReports[0]?.ranges, null);
  assert.is(errno, null);
  bench.resolve(LEG_NONE, true);
  assert.is(errno, 0);
});

test("what no leg stored is an error though all is recorded; what each stored a part of, too", async () => {
  for (const range of [
    [0, 4 * KIB],
    [4 * KIB, 8 * KIB],
  ] as const) {
    const bench = new IoBench(NOTES);
    bench.spoil(0, "write-error", [0, 4 * KIB]);
    bench.spoil(1, "write-error", range);
    const answer = bench.write(0, 3, 8 * KIB);
    await bench.rest();
    assert.is(bench.legReports.length, 2);
    bench.resolve(null, true);
    assert.is(answer.errno, IO_EIO);
  }
});

test("in a raid10 only the extents that the spot touches need their other leg", async () => {
  const bench = new IoBench({ ...NOTES, legs: 2, layout: "f2", chunks: 1 });
  // Leg 0 holds chunks 0 and 2 at its front; chunk 0 fails there, chunk 2 fails on leg 1.
  bench.spoil(0, "write-error", [0, 4 * KIB]);
  bench.spoil(1, "write-error", [512 * KIB + CHUNK, 512 * KIB + CHUNK + 4 * KIB]);
  const answer = bench.write(0, 3, 4 * CHUNK);
  await bench.rest();
  assert.equal(
    bench.legReports.map(({ leg, ranges }) => [leg, ranges]),
    [
      [0, [[0, 4 * KIB]]],
      [1, [[512 * KIB + CHUNK, 512 * KIB + CHUNK + 4 * KIB]]],
    ],
  );
  bench.resolve(null, true);
  assert.is(answer.errno, 0);
});

test("a second try that succeeds on a leg under rebuild stores nothing for the client", async () => {
  const bench = new IoBench(NOTES);
  bench.state.setLeg(0, LEG_REBUILDING);
  bench.fault(0, "write-error", 1);
  bench.spoil(1, "write-error", [0, 8 * KIB]);
  const answer = bench.write(0, 3, 8 * KIB);
  await bench.rest();
  assert.equal(bench.legReports.map(({ leg, ranges }) => [leg, ranges?.length]).sort(), [
    [0, 0],
    [1, 1],
  ]);
  bench.resolve(null, true);
  assert.is(answer.errno, IO_EIO);
});

test("a failure that is not recorded is an error, whatever the other legs stored", async () => {
  const bench = new IoBench(NOTES);
  bench.spoil(1, "write-error", [0, 4 * KIB]);
  const answer = bench.write(0, 3, 8 * KIB);
  await bench.rest();
  bench.resolve(null, false);
  assert.is(answer.errno, IO_EIO);
});

// --- around, and good again ----------------------------------------------------------------------

test("a leg that failed a write before is written around its bad blocks, and nobody is asked", () => {
  const bench = new IoBench({ flags: LEG_NOTES_BAD_BLOCKS | LEG_WRITE_ERROR });
  bench.state.badBlocks(1).set([[4 * KIB, 8 * KIB]]);
  bench.spoil(1, "write-error", [4 * KIB, 8 * KIB]);
  const answer = bench.write(0, 3, 16 * KIB);
  assert.is(answer.errno, 0);
  assert.equal(bench.legReports, []);
  assert.equal(
    [0, 4 * KIB, 8 * KIB - 1, 8 * KIB].map((at) => bench.on(1, at)),
    [3, 0, 0, 3],
  );
});

test("a write that only bad blocks would hold is an error", () => {
  const bench = new IoBench({ flags: LEG_NOTES_BAD_BLOCKS | LEG_WRITE_ERROR });
  bench.state.setLeg(0, LEG_REBUILDING);
  bench.state.badBlocks(1).set([[4 * KIB, 8 * KIB]]);
  assert.is(bench.write(0, 3, 16 * KIB).errno, IO_EIO);
  assert.is(bench.write(0, 3, 4 * KIB).errno, 0);
});

for (const slow of [[], [0, 1]]) {
  test(`a write over bad blocks makes them good, durably before its answer (slow: ${slow.join() || "none"})`, async () => {
    const bench = new IoBench({ ...NOTES, slow });
    bench.state.badBlocks(1).set([[4 * KIB, 8 * KIB]]);
    const answer = bench.write(4 * KIB, 3, 4 * KIB);
    await bench.rest();
    assert.is(answer.errno, null);
    assert.equal(
      bench.legReports.map(({ leg, kind, ranges }) => [leg, kind, ranges]),
      [[1, "healed", [[4 * KIB, 8 * KIB]]]],
    );
    const other = bench.write(5 * KIB, 4, 512);
    await bench.rest();
    assert.equal([other.errno, bench.on(1, 5 * KIB)], [null, 3], "an overlapping write waits");
    bench.state.badBlocks(1).set([]);
    bench.resolve(null, true);
    await bench.rest();
    assert.equal([answer.errno, other.errno, bench.on(1, 5 * KIB)], [0, 0, 4]);
  });
}

test("a write over bad blocks that fails there makes nothing good", async () => {
  const bench = new IoBench(NOTES);
  bench.state.badBlocks(1).set([[4 * KIB, 8 * KIB]]);
  bench.spoil(1, "write-error", [4 * KIB, 8 * KIB]);
  const answer = bench.write(4 * KIB, 3, 4 * KIB);
  await bench.rest();
  assert.equal(bench.reported, [[1, "write"]]);
  bench.resolve(null, true);
  assert.is(answer.errno, 0);
});

test("an answer that comes when the array has broken counts for nothing", async () => {
  const bench = new IoBench(NOTES);
  bench.state.badBlocks(1).set([[4 * KIB, 8 * KIB]]);
  const answer = bench.write(4 * KIB, 3, 4 * KIB);
  await bench.rest();
  bench.state.run = RUN_BROKEN;
  bench.resolve(null, true);
  assert.is(answer.errno, IO_EIO);
});

test("the leg beside is written, tried again and told by its own number", async () => {
  const bench = new IoBench({ ...NOTES, beside: [0] });
  bench.state.setLeg(2, LEG_REBUILDING);
  bench.spoil(2, "write-error", [0, 4 * KIB]);
  const answer = bench.write(0, 3, 8 * KIB);
  await bench.rest();
  assert.equal(
    bench.legReports.map(({ leg, ranges }) => [leg, ranges]),
    [[2, [[0, 4 * KIB]]]],
  );
  assert.is(bench.on(2, 4 * KIB), 3);
  bench.resolve(null, true);
  assert.is(answer.errno, 0);
});

test.run();
