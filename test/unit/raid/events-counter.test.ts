/** The events counter: up with every update, one back after a write burst, and never a tie. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { MachineBench, MIB, SAFE_MODE_MS } from "../../helpers/machine-bench.ts";

const eventsOf = (bench: MachineBench): number[] =>
  bench.takeLog("super").map((line) => Number(/e(\d+)/.exec(line)?.[1]));

const test = suite("raid/events-counter");

test("a burst of writes leaves the events as they were: N, N + 1, N, over and over", () => {
  const bench = new MachineBench();
  bench.rest();
  for (let burst = 0; burst < 3; burst++) {
    bench.write(burst);
    bench.rest();
  }
  assert.equal(eventsOf(bench), [21, 21, 20, 20, 21, 21, 20, 20, 21, 21, 20, 20]);
});

test("a degraded array never steps back", () => {
  const bench = new MachineBench();
  bench.run({ type: "fail", path: "/m1", reason: "test" });
  bench.takeLog();
  bench.rest();
  bench.write(1);
  bench.rest();
  bench.write(2);
  bench.rest();
  const events = eventsOf(bench);
  assert.equal(
    events,
    [...events].sort((a, b) => a - b),
  );
  assert.is(new Set(events).size, events.length);
});

test("after any other update in between there is no step back", () => {
  const bench = new MachineBench({
    placements: [0, 1].map((raidSlot) => ({ type: "in_sync", raidSlot })),
  });
  bench.write(1);
  const added = bench.run({ type: "add", newcomer: bench.newcomer("/n") });
  assert.is(added, "ok");
  bench.takeLog();
  bench.rest();
  const [clean] = eventsOf(bench);
  assert.is(clean, 23);
  bench.write(1);
  bench.rest();
  assert.is(bench.status.events, 23, "the burst after it steps back again");
});

test("the first clean of a started array does not step back behind what was found", () => {
  const bench = new MachineBench({ resyncOffset: 0, dirty: [] });
  bench.rest();
  assert.ok(bench.status.events > 20);
});

test("while a resync is pending there is no step back", () => {
  const bench = new MachineBench({ dirty: [0, 1, 2], resyncOffset: 0, syncSpeed: 1 });
  bench.tick(1);
  bench.write(5);
  bench.rest();
  bench.takeLog();
  bench.write(6);
  bench.rest();
  const events = eventsOf(bench);
  assert.ok((events.at(-1) ?? 0) > (events[0] ?? 0));
});

test("events never fall below one", () => {
  const bench = new MachineBench({ events: 0 });
  bench.write(0);
  bench.rest();
  bench.write(0);
  bench.rest();
  assert.ok(bench.status.events >= 1);
});

test("a step back that a member failed is not held by anybody: the next update exceeds both", () => {
  const bench = new MachineBench({ slots: 3 });
  bench.rest();
  bench.write(1);
  bench.tick(1);
  bench.takeLog();
  bench.tick(SAFE_MODE_MS + 1);
  for (const member of [0, 1, 2]) bench.finishIo(null, member);
  assert.equal(eventsOf(bench), [20, 20, 20]);
  bench.finishIo("EIO", 1);
  bench.settle();
  const events = eventsOf(bench);
  assert.equal(events, [21, 21, 22, 22], "members hold 20 or 21; nobody is ever two behind");
});

test("a start without a member that the superblocks name goes two up before any write", () => {
  const bench = new MachineBench({
    placements: [{ type: "in_sync", raidSlot: 0 }],
    superblock: { devRoles: Uint16Array.from({ length: 128 }, (_, n) => (n < 2 ? n : 0xffff)) },
    resyncOffset: 0,
    dirty: [3],
  });
  assert.is(bench.shared.clean, true, "writes ask first, though the array is dirty");
  bench.tick(1);
  bench.settle();
  assert.equal(bench.takeLog("super"), [
    "0 super e21 dirty roles 0=0,1=1",
    "0 super e22 dirty roles 0=0",
  ]);
  assert.is(bench.shared.clean, false);
});

test("the bitmap never has fewer events than the superblocks, at no step of any update", () => {
  const bench = new MachineBench({ chunks: 4 });
  const newest = new Map<string, number>();
  const look = (): void => {
    for (const line of bench.log.splice(0)) {
      const [member = "", kind = "", events = ""] = line.split(" ");
      if (kind === "flush" || !events.startsWith("e")) continue;
      newest.set(`${member} ${kind}`, Number(events.slice(1)));
      const superblock = newest.get(`${member} super`) ?? 20;
      assert.ok((newest.get(`${member} bitmap`) ?? 20) >= superblock, line);
    }
  };
  const step = (): void => {
    while (bench.io.length > 0) {
      bench.finishIo();
      look();
    }
  };
  for (let burst = 0; burst < 3; burst++) {
    bench.shared.beginWrite(0, 1, 1);
    bench.send({ type: "intent", worker: 0, ranges: [[1, 1]] });
    look();
    step();
    bench.shared.endWrite(0, 1, 1);
    for (const ms of [1, SAFE_MODE_MS + 1, 6000, 6000, 6000]) {
      bench.tick(ms);
      look();
      step();
    }
  }
  assert.is(bench.status.sizeBytes, 4 * MIB);
});

test.run();
