/**
 * How long other nodes hold their clients' writes for a sync action, and how much of its speed that
 * costs: a node that copies one MiB in each millisecond, and announcements that take their time.
 */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { MIB } from "../../helpers/machine-bench.ts";
import { NodeBench } from "../../helpers/node-bench.ts";

/** Milliseconds that a write of another node may wait. */
const BAR_MS = 50;
const RANGE = /^resync-info-update (\d+)-(\d+)$/;

interface Seen {
  /** Milliseconds that 99 in 100 places were held at most, and the longest. */
  readonly p99: number;
  readonly longest: number;
  /** The longest that was held at a time, MiB. */
  readonly range: number;
  /** MiB for each millisecond. */
  readonly speed: number;
}

/** Resyncs everything. `messageMs`: of each announcement; `speedMin`: MiB per second. */
const resync = (chunks: number, messageMs: (at: number) => number, speedMin: number): Seen => {
  const dirty = Array.from({ length: chunks }, (_, chunk) => chunk);
  const bench = new NodeBench({ chunks, dirty, hasOwnWindows: true });
  bench.command({ type: "sync-speed", min: speedMin * MIB, max: 2 ** 40 });
  bench.tick(20);
  bench.answer("resync-start");
  const heldSince = new Map<number, number>();
  const held: number[] = [];
  let [range, announcements, asked] = [0, 0, bench.now];
  const hold = (lo: number, hi: number): void => {
    for (const [place, since] of heldSince) {
      if (lo <= place && place < hi) continue;
      held.push(bench.now - since);
      heldSince.delete(place);
    }
    for (let place = lo; place < hi; place++)
      if (!heldSince.has(place)) heldSince.set(place, bench.now);
    range = Math.max(range, hi - lo);
  };
  const began = bench.now;
  while (bench.status.sync !== null || bench.now === began) {
    bench.tick(1);
    const [, lo, hi] = RANGE.exec(bench.calls[0] ?? "")?.map(Number) ?? [];
    if (lo === undefined || hi === undefined) asked = bench.now;
    else if (bench.now - asked >= messageMs(announcements)) {
      announcements++;
      asked = bench.now;
      bench.answer("resync-info-update");
      hold(lo, hi);
    }
    if (bench.copies.length > 0) bench.finishCopy();
    assert.ok(bench.now - began < 100 * chunks, "it comes to its end");
  }
  held.sort((one, other) => one - other);
  const p99 = held[Math.floor(held.length * 0.99)] ?? 0;
  return { p99, longest: held.at(-1) ?? 0, range, speed: chunks / (bench.now - began) };
};

const test = suite("raid/sync-window");

for (const [messageMs, least] of [
  [2, 0.9],
  [9, 0.9],
  [15, 0.5],
  [22, 0.3],
] as const) {
  test(`a write waits no longer than ${BAR_MS} ms where messages take ${messageMs} ms`, () => {
    const { longest, range, speed } = resync(2000, () => messageMs, 1);
    assert.ok(longest <= BAR_MS, `${longest} ms`);
    assert.ok(range <= BAR_MS, `never more than what is copied meanwhile: ${range} MiB`);
    assert.ok(speed >= least, `${speed} of the speed`);
  });
}

test(`99 in 100 wait less than ${BAR_MS} ms where messages take now 10, now 24 ms`, () => {
  const { p99, speed } = resync(8000, (at) => [10, 12, 11, 24, 10, 14][at % 6] ?? 0, 1);
  assert.ok(p99 < BAR_MS, `${p99} ms`);
  assert.ok(speed >= 0.4, `${speed} of the speed`);
});

test("where messages are slower than that, copying still has a third of the time", () => {
  const { speed, longest } = resync(4000, () => 100, 1);
  assert.ok(speed >= 0.3, `${speed} of the speed`);
  assert.ok(longest <= 250, `${longest} ms`);
});

test("what is guaranteed goes before the writers: windows are longer then", () => {
  const { speed, range } = resync(4000, () => 40, 2000);
  assert.ok(speed >= 0.9, `${speed} of the speed`);
  assert.ok(range <= 200, `${range} MiB`);
});

test("one announcement that is late does not make the windows long that follow", () => {
  const late = (at: number): number => (at === 5 ? 1000 : 5);
  const { range } = resync(2000, late, 1);
  assert.ok(range <= BAR_MS, `${range} MiB`);
});

test("a window has 512 MiB at most, however slow messages are", () => {
  const { range } = resync(8000, () => 2000, 2000);
  assert.ok(range > 200 && range <= 2 * 512, `${range} MiB`);
});

test.run();
