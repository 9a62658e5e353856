/** Checks and repairs of a part of the array: findings, and going on where one was stopped. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type BenchOptions, inSync, MachineBench, MIB } from "../../helpers/machine-bench.ts";

const PAGE = 4096;

const check = (from?: number, to?: number | null, action: "check" | "repair" = "check") =>
  ({
    type: "sync-action",
    action,
    ...(from === undefined ? {} : { from }),
    ...(to === undefined ? {} : { to }),
  }) as const;
const set = (action: "idle" | "frozen") => ({ type: "sync-action", action }) as const;

/** Runs what is under way to its end; `[from, end]` in MiB of every piece. */
const pieces = (bench: MachineBench): number[][] => {
  const done: number[][] = [];
  for (let steps = 0; bench.status.sync !== null && steps < 1000; steps++) {
    while (bench.copies.length > 0) {
      const { from, end } = bench.finishCopy();
      done.push([from / MIB, end / MIB]);
    }
    bench.tick(20);
  }
  return done;
};

const test = suite("raid/sync-action over a range");

for (const [what, command, expected] of [
  ["nothing named", check(), 8],
  ["from the third MiB on", check(2 * MIB), 6],
  ["up to the second MiB", check(0, 2 * MIB), 2],
  ["a middle part", check(3 * MIB, 5 * MIB, "repair"), 2],
  ["an end behind the array's", check(6 * MIB, 100 * MIB), 2],
  ["no end", check(6 * MIB, null), 2],
] as const) {
  test(`what is checked, ${what}: ${expected} pieces`, () => {
    const bench = new MachineBench();
    assert.is(bench.outcome(bench.command(command)), "ok");
    const from = (command.from ?? 0) / MIB;
    assert.equal(
      pieces(bench),
      Array.from({ length: expected }, (_, piece) => [from + piece, from + piece + 1]),
    );
  });
}

test("a range need not end with a piece", () => {
  const bench = new MachineBench();
  bench.command(check(MIB - PAGE, MIB + 512));
  assert.equal(pieces(bench), [
    [1 - PAGE / MIB, 1],
    [1, 1 + 512 / MIB],
  ]);
});

for (const [what, command] of [
  ["begins behind the array", check(8 * MIB)],
  ["ends before it begins", check(4 * MIB, 3 * MIB)],
  ["is empty", check(4 * MIB, 4 * MIB)],
  ["begins before the array", check(-1)],
] as const) {
  test(`a range that ${what} is refused`, () => {
    const bench = new MachineBench();
    assert.is(bench.outcome(bench.command(command)), "RAID_BAD_RANGE");
    assert.equal([bench.status.sync, bench.copies], [null, []]);
  });
}

test("progress counts from where it begins to where it ends", () => {
  const bench = new MachineBench();
  bench.command(check(2 * MIB, 6 * MIB));
  const { sync } = bench.status;
  assert.equal([sync?.completedBytes, sync?.totalBytes], [2 * MIB, 6 * MIB]);
  bench.finishCopy();
  assert.is(bench.status.sync?.completedBytes, 3 * MIB);
});

test("a raid10 is checked by bytes of the array", () => {
  const bench = new MachineBench({ slots: 4, layout: "n2" });
  assert.is(bench.outcome(bench.command(check(15 * MIB))), "ok");
  assert.equal(pieces(bench), [[15, 16]]);
  assert.is(bench.outcome(bench.command(check(16 * MIB))), "RAID_BAD_RANGE");
});

// --- findings ------------------------------------------------------------------------------------

const found = (offset: number, length = PAGE) => ({ offset, length });
const checked = (options: BenchOptions = {}): MachineBench => {
  const bench = new MachineBench(options);
  bench.command(check());
  bench.startSync();
  return bench;
};

test("where copies differ is told: ascending and joined, however the pieces end", () => {
  const bench = checked();
  const [first, second, third] = bench.copies.splice(0, 3);
  const result = (...mismatches: ReturnType<typeof found>[]) => ({
    unreadable: [],
    readFailed: [],
    writeFailed: [],
    mismatchedBytes: 64 * 1024,
    writtenBytes: 0,
    mismatches,
  });
  const end = (token: number | undefined, ...ranges: ReturnType<typeof found>[]) =>
    bench.send({ type: "copy-done", token: token ?? 0, result: result(...ranges) });
  end(third?.token, found(2 * MIB));
  end(first?.token, found(8 * PAGE), found(PAGE));
  end(second?.token, found(2 * MIB - PAGE));
  bench.finishSync();
  assert.equal(bench.status.mismatches, {
    ranges: [found(PAGE), found(8 * PAGE), found(2 * MIB - PAGE, 2 * PAGE)],
    truncated: false,
  });
  assert.is(bench.status.mismatchCount, 3 * 128);
});

test("of too many the first 256 are kept, and it is told that there are more", () => {
  const bench = checked();
  const many = (from: number) =>
    Array.from({ length: 128 }, (_, index) => found(from + index * 2 * PAGE));
  bench.finishCopy({ mismatches: many(0) });
  bench.finishCopy({ mismatches: many(MIB) });
  assert.equal(
    [bench.status.mismatches.ranges.length, bench.status.mismatches.truncated],
    [256, false],
  );
  bench.finishCopy({ mismatches: [found(2 * MIB)] });
  bench.finishSync();
  const { ranges, truncated } = bench.status.mismatches;
  assert.equal([ranges.length, truncated, ranges.at(-1)?.offset], [256, true, MIB + 254 * PAGE]);
});

test("findings stay until the next check begins, whatever is rebuilt meanwhile", () => {
  const bench = checked({ placements: [inSync(0), inSync(1), { type: "spare" }] });
  bench.finishCopy({ mismatches: [found(0)], mismatchedBytes: 512 });
  bench.finishSync();
  bench.run({ type: "fail", path: "/m1", reason: "test" });
  bench.tick(20);
  bench.finishSync();
  assert.is(bench.status.degraded, 0);
  assert.equal([bench.status.mismatches.ranges.length, bench.status.mismatchCount], [1, 1]);
  bench.command(check(4 * MIB));
  assert.equal([bench.status.mismatches.ranges, bench.status.mismatchCount], [[], 0]);
});

test("a resync and a recovery tell of no mismatches", () => {
  const bench = new MachineBench({ resyncOffset: 0, dirty: [0] });
  bench.startSync();
  bench.finishCopy({ mismatches: [found(0)], mismatchedBytes: 512 });
  assert.equal([bench.status.mismatches.ranges, bench.status.mismatchCount], [[], 0]);
});

// --- stopped and gone on with --------------------------------------------------------------------

test("a check that is stopped ends as cancelled, having told how far it was; the rest is asked for", () => {
  const bench = checked();
  bench.finishCopy();
  bench.finishCopy();
  const at = bench.status.sync?.completedBytes;
  assert.is(at, 2 * MIB);
  assert.is(bench.outcome(bench.command(set("idle"))), "ok");
  assert.ok(bench.status.sync !== null, "what is under way ends first");
  while (bench.copies.length > 0) bench.finishCopy();
  assert.is(bench.status.sync, null);
  assert.equal(
    bench.detailsOf("sync.finished").map(({ action, outcome }) => [action, outcome]),
    [["check", "cancelled"]],
  );
  bench.command(check(at));
  assert.is(bench.copies[0]?.plan.from, 2 * MIB);
  pieces(bench);
  assert.is(bench.detailsOf("sync.finished").at(-1)?.["outcome"], "done");
});

test("frozen stops a check, too, and lets no other action begin; asking for a check ends it", () => {
  const bench = checked({ placements: [inSync(0), inSync(1), { type: "spare" }] });
  bench.command(set("frozen"));
  while (bench.copies.length > 0) bench.finishCopy();
  bench.run({ type: "fail", path: "/m1", reason: "test" });
  for (let pass = 0; pass < 5; pass++) bench.tick(1000);
  assert.equal([bench.status.sync, bench.openings], [null, []]);
  bench.command(set("idle"));
  bench.tick(20);
  bench.finishSync();
  assert.is(bench.status.degraded, 0);
});

test("an action that crawls says why: clients, whom it yields to, or its speed limit", () => {
  const bench = checked({ chunks: 64 });
  const held = () => [bench.status.sync?.paused, bench.status.sync?.heldBy];
  const pass = (ms: number, act = (): void => {}): void => {
    for (let spent = 0; spent < ms; spent += 20) {
      act();
      bench.tick(20);
      while (bench.copies.length > 0) bench.finishCopy();
    }
  };
  bench.command({ type: "sync-speed", min: MIB, max: 4 * MIB });
  pass(4000, () => bench.shared.countOperation(0));
  assert.equal(held(), [false, "clients"]);
  pass(4000);
  assert.equal(held(), [false, "speed-limit"]);
  bench.command({ type: "sync-speed", min: MIB, max: 4096 * MIB });
  for (let ms = 0; ms < 4000; ms += 20) bench.tick(20);
  assert.equal(held(), [false, null], "its members are slow");
});

test("a limit of nothing holds an action back without ending it", () => {
  const bench = checked({ chunks: 64 });
  bench.command({ type: "sync-speed", min: 0, max: 0 });
  let copied = 0;
  for (let ms = 0; ms < 60_000; ms += 100) {
    bench.tick(100);
    while (bench.copies.length > 0) {
      bench.finishCopy();
      copied++;
    }
  }
  assert.ok(copied <= 6, `${copied} pieces`);
  const before = bench.status.sync?.completedBytes;
  const { sync } = bench.status;
  assert.equal([sync?.paused, sync?.heldBy, sync?.action], [true, "speed-limit", "check"]);
  bench.tick(60_000);
  assert.is(bench.status.sync?.completedBytes, before);
  bench.command({ type: "sync-speed", min: 2 ** 40, max: 2 ** 40 });
  bench.finishSync();
  assert.is(bench.detailsOf("sync.finished").at(-1)?.["outcome"], "done");
});

test.run();
