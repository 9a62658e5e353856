/** Stop from every state, and the clean mark that comes by itself when nobody writes. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { RUN_BROKEN, RUN_STOPPED } from "../../../src/raid/shared-state.ts";
import {
  type BenchOptions,
  inSync,
  MachineBench,
  rebuilding,
  SAFE_MODE_MS,
} from "../../helpers/machine-bench.ts";

const STOP = { type: "stop" } as const;

const lastSupers = (bench: MachineBench): string[] =>
  bench.takeLog("super").map((line) => line.split(" ").slice(0, 4).join(" "));

const test = suite("raid/array-stop");

test("a clean array without bits stops without writing anything", () => {
  const bench = new MachineBench();
  assert.is(bench.run(STOP), "ok");
  assert.equal(bench.takeLog(), []);
  assert.is(bench.shared.run, RUN_STOPPED);
  assert.equal(bench.toldOf("close-member").length, 2);
  assert.equal(bench.toldOf("stopped").length, 1);
  assert.is(bench.status.arrayState, "clear");
});

test("a dirty array: bits are cleared after a flush, then it is marked clean, then closed", () => {
  const bench = new MachineBench();
  bench.write(3);
  bench.takeLog();
  assert.is(bench.run(STOP), "ok");
  const log = bench.takeLog("0");
  assert.is(log[0], "0 flush");
  assert.ok(log.indexOf("0 bitmap e21 c21 bits ") > 0, log.join("\n"));
  assert.match(log.join("\n"), /flush\n0 super e20 clean roles 0=0,1=1\n0 flush\n0 bitmap e20 c20/);
});

const cases: readonly (readonly [string, BenchOptions, (bench: MachineBench) => void])[] = [
  ["during an update", {}, (b) => b.send({ type: "intent", worker: 0, ranges: [[1, 1]] })],
  ["during a sweep", { dirty: [1] }, (b) => [6000, 6000].forEach((ms) => void b.tick(ms))],
  ["during a resync", { resyncOffset: 0, dirty: [0, 1, 2, 3] }, (b) => b.startSync()],
  ["during a check", {}, (b) => void b.command({ type: "sync-action", action: "check" })],
  [
    "while a failure is recorded",
    {},
    (b) => void b.command({ type: "fail", path: "/m1", reason: "t" }),
  ],
  ["while a member joins", {}, (b) => void b.command({ type: "add", newcomer: b.newcomer("/n") })],
  [
    "while a read is repaired",
    {},
    (b) => b.send({ type: "read-error", leg: 1, offset: 0, length: 512, message: "EIO" }),
  ],
  ["before its first tick", { resyncOffset: 0 }, () => undefined],
  ["when it is degraded", { placements: [inSync(0)], dirty: [2] }, (b) => b.tick(1)],
  ["when it is read-only", { readOnly: true, resyncOffset: 0 }, () => undefined],
  [
    "when it is frozen",
    { resyncOffset: 0, dirty: [1] },
    (b) => void b.command({ type: "sync-action", action: "frozen" }),
  ],
];

for (const [what, options, prepare] of cases) {
  test(`it stops ${what}, and every command is answered`, () => {
    const bench = new MachineBench(options);
    prepare(bench);
    const stop = bench.command(STOP);
    const late = bench.command({ type: "remove", path: "/m1" });
    bench.settle();
    assert.is(bench.outcome(stop), "ok");
    assert.is(bench.outcome(late), "RAID_ARRAY_STOPPING");
    assert.is(bench.outcomes.size, late, "one outcome for each command");
    assert.equal(bench.io.length + bench.copies.length, 0);
    const written = lastSupers(bench);
    if (options.readOnly === true) assert.equal(written, []);
    else if (written.length > 0 && options.resyncOffset === undefined)
      assert.match(written.at(-1) ?? "", /clean/);
  });
}

test("it stops when it is broken, also in the middle of a rebuild", () => {
  const bench = new MachineBench({
    placements: [inSync(0), rebuilding(1)],
  });
  bench.startSync();
  bench.send({ type: "intent", worker: 0, ranges: [[1, 1]] });
  bench.finishIo("EIO", 0);
  bench.finishIo();
  assert.is(bench.shared.run, RUN_BROKEN);
  const stop = bench.command(STOP);
  assert.is(bench.outcome(stop), "waiting", "copies are under way");
  bench.settle();
  assert.is(bench.outcome(stop), "ok");
});

test("a member that fails during the stop does not keep it from ending clean", () => {
  const bench = new MachineBench({ slots: 3 });
  bench.write(3);
  const stop = bench.command(STOP);
  bench.finishIo("EIO", 1);
  bench.settle();
  assert.is(bench.outcome(stop), "ok");
  const written = lastSupers(bench).slice(-2);
  assert.equal(
    written.map((line) => line.slice(0, 7)),
    ["0 super", "2 super"],
  );
  assert.ok(written.every((line) => line.endsWith("clean")));
});

test("everybody who asks for the stop is answered, also after it", () => {
  const bench = new MachineBench();
  bench.write(1);
  const ids = [bench.command(STOP), bench.command(STOP)];
  bench.settle();
  ids.push(bench.command(STOP));
  assert.equal(
    ids.map((id) => bench.outcome(id)),
    ["ok", "ok", "ok"],
  );
  assert.is(bench.run({ type: "fail", path: "/m1", reason: "t" }), "RAID_ARRAY_STOPPING");
});

// --- safe mode -----------------------------------------------------------------------------------

test("an array is marked clean once nobody has written for the delay, not before", () => {
  const bench = new MachineBench();
  bench.write(1);
  bench.tick(10);
  for (let ms = 10; ms < SAFE_MODE_MS; ms += 10) {
    bench.tick(10);
    assert.equal([bench.shared.clean, bench.io.length], [false, 0], `after ${ms} ms`);
  }
  bench.tick(10);
  assert.is(bench.shared.clean, true, "permission to write is withdrawn first");
  bench.settle();
  assert.is(bench.status.arrayState, "clean");
});

test("a write under way, or one since the last look, keeps the array dirty", () => {
  const bench = new MachineBench();
  bench.write(1);
  bench.shared.beginWrite(1, 4, 4);
  for (let pass = 0; pass < 5; pass++) bench.tick(SAFE_MODE_MS);
  assert.is(bench.shared.clean, false);
  bench.shared.endWrite(1, 4, 4);
  for (let pass = 0; pass < 5; pass++) {
    bench.shared.beginWrite(0, 2, 2);
    bench.shared.endWrite(0, 2, 2);
    bench.tick(SAFE_MODE_MS);
  }
  assert.equal([bench.shared.clean, bench.io.length], [false, 0]);
});

test("a write that begins while the array goes clean is asked to wait, then makes it dirty again", () => {
  const bench = new MachineBench();
  bench.write(1);
  bench.tick(1);
  bench.tick(SAFE_MODE_MS);
  bench.send({ type: "intent", worker: 0, ranges: [[1, 1]] });
  bench.takeLog();
  bench.settle();
  assert.equal(lastSupers(bench), [
    "0 super e20 clean",
    "1 super e20 clean",
    "0 super e21 dirty",
    "1 super e21 dirty",
  ]);
  assert.is(bench.shared.clean, false);
  assert.equal(bench.toldOf("intent-ready").length, 2);
});

test("a degraded array goes clean too, and keeps its bits", () => {
  const bench = new MachineBench({ placements: [inSync(0)], dirty: [5] });
  bench.tick(1);
  bench.settle();
  bench.write(1);
  bench.rest();
  assert.is(bench.status.bitmap.dirtyChunks, 2);
});

test.run();
