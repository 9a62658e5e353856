/** Writes and flushes that fail on legs: held until recorded, an error when nobody kept them. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { LEG_BLOCKED, LEG_IN_SYNC, LEG_NONE, RUN_BROKEN } from "../../../src/raid/shared-state.ts";
import { IO_EIO } from "../../../src/raid/write-request.ts";
import { IoBench } from "../../helpers/io-bench.ts";

const test = suite("raid/io-write-failure");

for (const slow of [[], [1], [0, 1]]) {
  test(`a write that failed on a leg is held until that is recorded (slow: ${slow.join() || "none"})`, async () => {
    const bench = new IoBench({ slow });
    bench.fault(1, "write-error");
    const answer = bench.write(0, 3);
    await bench.rest();
    assert.is(answer.errno, null);
    assert.equal(bench.reported, [[1, "write"]]);
    assert.is(bench.others.tryAcquire(0, 1), 0, "no copy takes the old content meanwhile");
    assert.is(bench.state.chunkWrites(0).underWay, true, "its bit stays");
    bench.resolve(LEG_NONE, true);
    assert.is(answer.errno, 0);
    assert.is(bench.state.chunkWrites(0).underWay, false);
  });
}

test("an overlapping write waits for the failed one, another does not", async () => {
  const bench = new IoBench();
  bench.fault(1, "write-error", 1);
  const failed = bench.write(0, 1, 1000);
  const overlapping = bench.write(500, 2, 1000);
  const apart = bench.write(5000, 3);
  await bench.rest();
  assert.equal([failed.errno, overlapping.errno, apart.errno], [null, null, 0]);
  bench.resolve(LEG_NONE, true);
  await bench.rest();
  assert.equal([failed.errno, overlapping.errno], [0, 0]);
  assert.is(bench.on(0, 700), 2);
});

test("failures on several legs are all recorded before the answer", async () => {
  const bench = new IoBench({ legs: 3 });
  bench.fault(1, "write-error");
  bench.fault(2, "write-error");
  const answer = bench.write(0, 3);
  const [first, second] = bench.legReports.splice(0);
  assert.ok(first !== undefined && second !== undefined);
  bench.state.setLeg(1, LEG_NONE);
  bench.io.onLegResolved(first.request, true);
  assert.is(answer.errno, null);
  bench.state.setLeg(2, LEG_NONE);
  bench.io.onLegResolved(second.request, true);
  assert.is(answer.errno, 0);
});

for (const [what, legs, isRecorded, expected] of [
  ["it is recorded faulty", [LEG_IN_SYNC, LEG_NONE], true, 0],
  [
    "it is kept as the last, the one that took the write failed meanwhile",
    [LEG_NONE, LEG_IN_SYNC],
    false,
    IO_EIO,
  ],
  ["it is kept though the other is not gone", [LEG_BLOCKED, LEG_IN_SYNC], false, IO_EIO],
] as const) {
  for (const op of ["write", "flush"] as const) {
    test(`a leg failed a ${op} and ${what}: errno ${expected}`, async () => {
      const bench = new IoBench();
      bench.fault(1, `${op}-error`);
      const answer = op === "write" ? bench.write(0, 3) : bench.flush();
      await bench.rest();
      assert.is(answer.errno, null);
      for (const [slot, leg] of legs.entries()) bench.state.setLeg(slot, leg);
      bench.resolve(null, isRecorded);
      assert.is(answer.errno, expected);
    });
  }
}

for (const op of ["write", "flush"] as const) {
  test(`a ${op} whose failure a broken array could not record is an error`, async () => {
    const bench = new IoBench();
    bench.fault(1, `${op}-error`);
    const answer = op === "write" ? bench.write(0, 3) : bench.flush();
    await bench.rest();
    bench.state.run = RUN_BROKEN;
    bench.state.setLeg(1, LEG_BLOCKED);
    bench.resolve(null, true);
    assert.is(answer.errno, IO_EIO);
  });

  test(`a ${op} that failed on every leg is an error`, async () => {
    const bench = new IoBench();
    for (const slot of [0, 1]) bench.fault(slot, `${op}-error`);
    const answer = op === "write" ? bench.write(0, 3) : bench.flush();
    await bench.rest();
    assert.is(bench.legReports.length, 2);
    bench.state.setLeg(0, LEG_NONE);
    for (const { request, leg } of bench.legReports.splice(0))
      bench.io.onLegResolved(request, leg === 0);
    assert.is(answer.errno, IO_EIO);
  });
}

test("a leg in sync that this thread has no handle of fails the write, it is not skipped", () => {
  const bench = new IoBench({ legs: 2 });
  void bench.io.dropLeg(1);
  const answer = bench.write(0, 3);
  assert.is(answer.errno, null);
  assert.equal(bench.reported, [[1, "write"]]);
  bench.resolve(LEG_NONE, true);
  assert.is(answer.errno, 0);
});

test("a flush round that waits for a record lets no later flush overtake it", async () => {
  const bench = new IoBench();
  bench.fault(1, "flush-error", 1);
  const first = bench.flush();
  await bench.rest();
  const second = bench.flush();
  await bench.rest();
  assert.equal([first.errno, second.errno], [null, null]);
  bench.resolve(LEG_NONE, true);
  await bench.rest();
  assert.equal([first.errno, second.errno], [0, 0]);
});

test.run();
