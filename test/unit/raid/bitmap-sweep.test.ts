/** Sweeps: bits of chunks that nobody writes any more are cleared, and nobody waits for it. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { BIT_CLEAN, BIT_DURABLE } from "../../../src/raid/shared-state.ts";
import { type BenchOptions, MachineBench } from "../../helpers/machine-bench.ts";

const test = suite("raid/bitmap-sweep");

test("a sweep: flush, then events_cleared, then the cleared bits", () => {
  const bench = new MachineBench();
  bench.write(3);
  bench.rest();
  bench.takeLog();
  for (let pass = 0; pass < 2; pass++) {
    bench.tick(5000);
    assert.equal(bench.takeLog(), [], `sweep ${pass} has seen the write, or too little quiet`);
  }
  bench.tick(5000);
  for (const which of ["ahead", "within"]) {
    assert.equal(bench.takeLog(), ["0 flush", "1 flush"], which);
    bench.finishPhase();
  }
  assert.equal(bench.takeLog("bitmap"), ["0 bitmap e20 c20 bits ", "1 bitmap e20 c20 bits "]);
  bench.settle();
  assert.is(bench.status.bitmap.dirtyChunks, 0);
});

test("a busy array is let off six sweeps, then events_cleared goes up before a bit goes", () => {
  const bench = new MachineBench();
  bench.write(3);
  for (let pass = 0; pass < 2; pass++) {
    bench.write(5);
    bench.tick(5000);
    bench.settle();
  }
  bench.shared.beginWrite(1, 5, 5);
  bench.takeLog();
  for (let pass = 0; pass < 6; pass++) {
    bench.tick(5000);
    bench.settle();
    assert.equal(bench.takeLog(), [], `sweep ${pass} while a write is under way`);
  }
  bench.tick(5000);
  bench.settle();
  assert.equal(bench.takeLog("0"), [
    "0 flush",
    "0 flush",
    "0 bitmap e21 c21 bits 3,5",
    "0 flush",
    "0 bitmap e21 c21 bits 5",
    "0 flush",
  ]);
});

/** A bench whose legs are being flushed ahead, for chunk 3. */
const flushingAhead = (options: BenchOptions = {}): MachineBench => {
  const bench = new MachineBench(options);
  bench.write(3);
  bench.rest();
  bench.takeLog();
  for (let pass = 0; pass < 3; pass++) bench.tick(5000);
  assert.ok(bench.io.length > 0);
  assert.equal(
    bench.takeLog(),
    bench.io.map(({ member }) => `${member} flush`),
  );
  return bench;
};

test("while the legs are flushed ahead writes get new bits, and no second sweep begins", () => {
  const bench = flushingAhead();
  bench.shared.beginWrite(0, 5, 5);
  bench.send({ type: "intent", worker: 0, ranges: [[5, 5]] });
  bench.tick(5000);
  const flushes = bench.io.splice(0, 2);
  bench.settle();
  assert.is(bench.shared.bit(5), BIT_DURABLE);
  bench.io.push(...flushes);
  bench.settle();
  assert.equal([bench.shared.bit(3), bench.status.bitmap.dirtyChunks], [BIT_CLEAN, 1]);
});

test("what is written while the legs are flushed ahead keeps its bit", () => {
  const bench = flushingAhead();
  bench.shared.beginWrite(0, 3, 3);
  bench.shared.endWrite(0, 3, 3);
  bench.settle();
  assert.equal([bench.shared.bit(3), bench.status.bitmap.dirtyChunks], [BIT_DURABLE, 1]);
});

test("a leg that can't be flushed ahead fails, and no bit is cleared", () => {
  const bench = flushingAhead();
  bench.finishIo("EIO", 1);
  bench.settle();
  assert.equal([bench.status.degraded, bench.status.bitmap.dirtyChunks], [1, 1]);
});

test("a stop waits for legs that are flushed ahead: what fails then is not clean", () => {
  const bench = flushingAhead();
  const id = bench.command({ type: "stop" });
  bench.finishIo();
  assert.equal([bench.outcome(id), bench.io.length], ["waiting", 1]);
  bench.finishIo("EIO", 1);
  bench.settle();
  assert.equal([bench.outcome(id), bench.status.degraded], ["ok", 1]);
  assert.is(bench.status.bitmap.dirtyChunks, 1);
});

test("a sweep whose flush fails clears nothing, and the next one tries again", () => {
  const bench = flushingAhead({ slots: 3 });
  bench.finishPhase();
  bench.finishIo("EIO", 1);
  bench.finishPhase();
  bench.settle();
  assert.equal(
    bench.takeLog("bitmap").filter((line) => !line.includes("bits 3")),
    [],
  );
  assert.is(bench.status.bitmap.dirtyChunks, 1);
});

test("a degraded array clears no bit, however long nobody writes", () => {
  const bench = new MachineBench();
  bench.write(3);
  bench.run({ type: "fail", path: "/m1", reason: "test" });
  for (let pass = 0; pass < 6; pass++) {
    bench.tick(6000);
    bench.settle();
  }
  assert.is(bench.status.bitmap.dirtyChunks, 1);
});

test.run();
