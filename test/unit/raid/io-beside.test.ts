/** Long writes: all legs but the last are written beside the thread, and answered for like any. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type BlockDevice, syncCallsOf } from "../../../src/hal/block-device.ts";
import { DeviceLayer } from "../../../src/hal/layers/device-layer.ts";
import { LEG_BLOCKED, LEG_NONE, LEG_REBUILDING } from "../../../src/raid/shared-state.ts";
import { IoBench, type IoBenchOptions } from "../../helpers/io-bench.ts";

const LONG = 256 * 1024;

/** Writes beside the thread, which end when the test says so. */
class AsideDevice extends DeviceLayer {
  readonly begun: PromiseWithResolvers<undefined>[] = [];
  hasRoom = true;

  override writeBeside(source: readonly Uint8Array[], offset: number): Promise<void> | null {
    if (!this.hasRoom) return null;
    const end = Promise.withResolvers<undefined>();
    this.begun.push(end);
    return end.promise.then(() => syncCallsOf(this.inner).write(source, offset));
  }

  end(): void {
    for (const { resolve } of this.begun.splice(0)) resolve(undefined);
  }
}

const makeBench = (options: IoBenchOptions = {}) => {
  const asides: AsideDevice[] = [];
  const wrap = (device: BlockDevice): BlockDevice => {
    const aside = new AsideDevice(device);
    asides.push(aside);
    return aside;
  };
  return { bench: new IoBench({ ...options, wrap }), asides };
};

const test = suite("raid/io-beside");

const begun = (asides: readonly AsideDevice[]): number[] =>
  asides.map((aside) => aside.begun.length);

test("a long write is answered when the last leg has it, whoever wrote it", async () => {
  const { bench, asides } = makeBench({ legs: 3 });
  const answer = bench.write(0, 5, LONG);
  assert.equal(begun(asides), [1, 1, 0], "the last leg is the thread's own");
  assert.is(bench.on(2, LONG - 1), 5, "it was written at once");
  await bench.rest();
  assert.is(answer.errno, null);
  asides[0]?.end();
  await bench.rest();
  assert.is(answer.errno, null);
  asides[1]?.end();
  await bench.rest();
  assert.is(answer.errno, 0);
  assert.equal([bench.on(0, LONG - 1), bench.on(1, 0), bench.on(1, LONG)], [5, 5, 0]);
  assert.ok(bench.state.lockWords.every((word) => word === 0));
  assert.is(bench.state.writes().underWay, 0);
});

test("a short write, and one that finds no room, is the thread's own on every leg", () => {
  const { bench, asides } = makeBench();
  assert.is(bench.write(0, 5, 4096).errno, 0);
  for (const aside of asides) aside.hasRoom = false;
  assert.is(bench.write(0, 6, LONG).errno, 0);
  assert.equal([bench.on(0, LONG - 1), bench.on(1, LONG - 1)], [6, 6]);
  assert.equal(begun(asides), [0, 0]);
});

test("what overlaps it waits, also of other threads; what does not goes on", async () => {
  const { bench, asides } = makeBench();
  const first = bench.write(0, 1, LONG);
  const second = bench.write(LONG - 512, 2, 1024);
  const apart = bench.write(2 * LONG, 3);
  assert.equal([first.errno, second.errno, apart.errno], [null, null, 0]);
  assert.ok(bench.others.tryAcquire(0, LONG) >= 0, "its regions are held");
  asides[0]?.end();
  await bench.rest();
  assert.equal([first.errno, second.errno], [0, 0]);
  for (const leg of [0, 1])
    assert.equal([bench.on(leg, LONG - 513), bench.on(leg, LONG - 512)], [1, 2]);
});

test("one that fails beside is held until that is recorded", async () => {
  const { bench, asides } = makeBench();
  const answer = bench.write(0, 3, LONG);
  const [failed] = asides[0]?.begun.splice(0) ?? [];
  failed?.reject(new Error("the drive says no"));
  await bench.rest();
  assert.is(answer.errno, null);
  assert.equal(bench.reported, [[0, "write"]]);
  assert.ok(bench.others.tryAcquire(0, 1) >= 0, "no copy takes the old content meanwhile");
  bench.resolve(LEG_NONE, true);
  await bench.rest();
  assert.is(answer.errno, 0);
  assert.is(bench.on(1, 0), 3);
});

test("one whose own leg fails waits for the other one, then for the record", async () => {
  const { bench, asides } = makeBench();
  bench.fault(1, "write-error");
  const answer = bench.write(0, 3, LONG);
  await bench.rest();
  assert.equal(bench.reported, [], "not every leg has answered");
  asides[0]?.end();
  await bench.rest();
  assert.equal(bench.reported, [[1, "write"]]);
  assert.is(answer.errno, null);
  bench.resolve(LEG_NONE, true);
  assert.is(answer.errno, 0);
  assert.is(bench.on(0, LONG - 1), 3);
});

test("a leg that never answers is done without once it is lost", async () => {
  const { bench, asides } = makeBench();
  const answer = bench.write(0, 7, LONG);
  await bench.rest();
  bench.state.setLeg(0, LEG_NONE);
  await bench.io.dropLeg(0, "no answer");
  await bench.rest();
  assert.is(answer.errno, null, "its failure is to be recorded first");
  assert.equal(bench.reported, [[0, "write"]]);
  bench.resolve(null, true);
  assert.is(answer.errno, 0);
  asides[0]?.end();
  await bench.rest();
  assert.is(answer.errno, 0);
});

test("one that owes an answer for a second is asked for nothing more beside", async () => {
  const { bench, asides } = makeBench();
  bench.write(0, 7, LONG);
  await bench.rest();
  bench.now += 5;
  bench.write(2 * LONG, 8, LONG);
  assert.equal(begun(asides), [1, 0]);
});

test("a leg that is being rebuilt alone takes no write for the array", async () => {
  const { bench, asides } = makeBench();
  bench.state.setLeg(0, LEG_REBUILDING);
  const answer = bench.write(0, 9, LONG);
  assert.equal(begun(asides), [1, 0], "it is written like the others");
  bench.state.setLeg(1, LEG_BLOCKED);
  asides[0]?.end();
  await bench.rest();
  assert.is(answer.errno, 0, "the leg in sync has it");
});

test("pieces of a raid10 are written beside, all but the last", async () => {
  const { bench, asides } = makeBench({
    legs: 4,
    layout: "n2",
    stripeBytes: 512 * 1024,
    chunks: 4,
  });
  const answer = bench.write(0, 4, 1024 * 1024);
  assert.equal(begun(asides), [1, 1, 1, 0]);
  for (const aside of asides) aside.end();
  await bench.rest();
  assert.is(answer.errno, 0);
  for (const leg of [0, 1, 2, 3]) assert.is(bench.on(leg, 512 * 1024 - 1), 4);
});

test.run();
