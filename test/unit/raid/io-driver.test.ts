/** Reads, writes and flushes of one worker: permission, order, all legs, the right leg. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { CodedError } from "../../../src/common/errors.ts";
import type { BlockDevice } from "../../../src/hal/block-device.ts";
import { DeviceLayer } from "../../../src/hal/layers/device-layer.ts";
import { REGION_BYTES } from "../../../src/raid/region-lock.ts";
import {
  BIT_CLEAN,
  BIT_DURABLE,
  LEG_BLOCKED,
  LEG_IN_SYNC,
  LEG_NONE,
  LEG_REBUILDING,
  RUN_BROKEN,
  RUN_READ_ONLY,
  RUN_STOPPED,
} from "../../../src/raid/shared-state.ts";
import { IO_EIO, IO_EPERM, IO_ESHUTDOWN } from "../../../src/raid/write-request.ts";
import { CHUNK, IoBench } from "../../helpers/io-bench.ts";

const test = suite("raid/io-driver");

/** A device that may be given up. */
class Mortal extends DeviceLayer {
  readonly #end: Promise<CodedError> | null;

  constructor(inner: BlockDevice, end: PromiseWithResolvers<CodedError> | undefined) {
    super(inner);
    this.#end = end?.promise ?? null;
  }

  override get gone(): Promise<CodedError> | null {
    return this.#end;
  }
}

for (const slow of [[], [1], [0, 1]]) {
  test(`a write reaches every leg before it is answered (slow legs: ${slow.join() || "none"})`, async () => {
    const bench = new IoBench({ slow });
    const answer = bench.write(700, 5);
    await bench.rest();
    assert.is(answer.errno, 0);
    assert.equal([bench.on(0, 700), bench.on(1, 1211), bench.on(1, 1212)], [5, 5, 0]);
    assert.is(bench.state.writes().underWay, 0);
    assert.is(bench.state.chunkWrites(0).underWay, false);
    assert.ok(bench.state.lockWords.every((word) => word === 0));
  });
}

test("a handle that fails every call from now on is told, unless the leg was dropped before", async () => {
  const gone = [Promise.withResolvers<CodedError>(), Promise.withResolvers<CodedError>()];
  const wrap = (device: BlockDevice, leg: number): BlockDevice => new Mortal(device, gone[leg]);
  const bench = new IoBench({ wrap });
  await bench.io.dropLeg(1);
  for (const { resolve } of gone) resolve(new CodedError("HAL_PEER_GONE", "given up"));
  await bench.rest();
  assert.equal(bench.gone, [0]);
});

test("legs under rebuild are written too, empty slots are not", () => {
  const bench = new IoBench({ legs: 3 });
  bench.state.setLeg(1, LEG_REBUILDING);
  bench.state.setLeg(2, LEG_NONE);
  assert.is(bench.write(0, 7).errno, 0);
  assert.equal(
    [0, 1, 2].map((slot) => bench.on(slot, 0)),
    [7, 7, 0],
  );
});

test("a write that no leg in sync took is an error, also when a leg under rebuild took it", () => {
  const bench = new IoBench();
  bench.state.setLeg(0, LEG_NONE);
  bench.state.setLeg(1, LEG_REBUILDING);
  assert.is(bench.write(0, 7).errno, IO_EIO);
});

for (const [what, withhold, permit] of [
  [
    "the array is clean",
    (b: IoBench) => void Object.assign(b.state, { clean: true }),
    (b: IoBench) => void Object.assign(b.state, { clean: false }),
  ],
  [
    "a bit is missing",
    (b: IoBench) => b.state.setBit(1, BIT_CLEAN),
    (b: IoBench) => b.state.setBit(1, BIT_DURABLE),
  ],
  [
    "a leg is blocked",
    (b: IoBench) => b.state.setLeg(1, LEG_BLOCKED),
    (b: IoBench) => b.state.setLeg(1, LEG_NONE),
  ],
] as const) {
  test(`while ${what} a write asks the array thread and touches nothing`, async () => {
    const bench = new IoBench();
    withhold(bench);
    const answer = bench.write(CHUNK - 100, 9, 200);
    await bench.rest();
    assert.is(answer.errno, null);
    assert.equal(bench.intents, [[[0, 1]]]);
    assert.is(bench.on(0, CHUNK - 100), 0);
    assert.is(bench.state.writes().underWay, 1, "it counts as started meanwhile");
    bench.io.onIntentReady();
    assert.is(answer.errno, null, "the answer changed nothing: it asks again");
    assert.is(bench.intents.length, 2);
    permit(bench);
    bench.io.onIntentReady();
    assert.is(answer.errno, 0);
    assert.is(bench.on(0, CHUNK), 9);
  });
}

test("writes that wait share one intent, those that come later the next", () => {
  const bench = new IoBench();
  bench.state.clean = true;
  const answers = [bench.write(0, 1), bench.write(CHUNK, 2), bench.write(2 * CHUNK, 3)];
  assert.equal(bench.intents, [[[0, 0]]]);
  bench.state.clean = false;
  bench.io.onIntentReady();
  assert.equal(bench.intents[1], [
    [1, 1],
    [2, 2],
  ]);
  bench.io.onIntentReady();
  assert.equal(
    answers.map(({ errno }) => errno),
    [0, 0, 0],
  );
});

test("a write does not overtake an overlapping one that asks for its bit, others do", async () => {
  const bench = new IoBench();
  bench.state.setBit(0, BIT_CLEAN);
  const first = bench.write(0, 1);
  // The bit is there, but the worker has not been told.
  bench.state.setBit(0, BIT_DURABLE);
  const answers = [first, bench.write(256, 2), bench.write(128, 3), bench.write(1024, 4)];
  assert.equal(
    answers.map(({ errno }) => errno),
    [null, null, null, 0],
  );
  bench.io.onIntentReady();
  await bench.rest();
  assert.equal(
    answers.map(({ errno }) => errno),
    [0, 0, 0, 0],
  );
  assert.equal([bench.on(0, 0), bench.on(0, 300), bench.on(0, 700)], [1, 3, 2]);
  assert.equal([bench.on(1, 0), bench.on(1, 300), bench.on(1, 700)], [1, 3, 2]);
});

test("those that wait behind a parked write are answered when the array refuses it", async () => {
  const bench = new IoBench();
  bench.state.setBit(0, BIT_CLEAN);
  const answers = [bench.write(0, 1), bench.write(0, 2)];
  bench.state.run = RUN_BROKEN;
  bench.io.onIntentReady();
  await bench.rest();
  assert.equal(
    answers.map(({ errno }) => errno),
    [5, 5],
  );
});

test("a write waits for a region that another thread holds, and gets it", async () => {
  const bench = new IoBench();
  assert.is(bench.others.tryAcquire(0, 1), -1);
  const answers = [bench.write(10, 1), bench.write(20, 2), bench.write(REGION_BYTES, 3)];
  await bench.rest();
  assert.equal(
    answers.map(({ errno }) => errno),
    [null, null, 0],
  );
  bench.others.release(0, 1);
  await bench.rest();
  assert.equal(
    answers.map(({ errno }) => errno),
    [0, 0, 0],
  );
});

test("overlapping writes end in the same order on every leg, others overtake", async () => {
  const bench = new IoBench({ slow: [1] });
  const answers = [bench.write(0, 1, 1000), bench.write(500, 2, 1000), bench.write(5000, 3)];
  assert.equal([bench.on(0, 600), bench.on(0, 5000)], [1, 3], "the second one waits");
  await bench.rest();
  assert.equal(
    answers.map(({ errno }) => errno),
    [0, 0, 0],
  );
  for (const slot of [0, 1])
    assert.equal(
      [0, 499, 500, 1499].map((at) => bench.on(slot, at)),
      [1, 1, 2, 2],
    );
});

test("a leg that becomes blocked while the others are written is written all the same", () => {
  const bench = new IoBench();
  const { device } = bench.leg(0);
  const sync = device.sync;
  // What another thread may do at any moment, at the worst one.
  Object.defineProperty(device, "sync", {
    get: () => ({
      ...sync,
      write: (source: readonly Uint8Array[], offset: number) => {
        sync?.write(source, offset);
        bench.state.setLeg(1, LEG_BLOCKED);
      },
    }),
  });
  const answer = bench.write(0, 6);
  assert.is(answer.errno, 0);
  assert.is(bench.on(1, 0), 6, "nobody has recorded that it may be skipped");
});

for (const [run, errno] of [
  [RUN_READ_ONLY, IO_EPERM],
  [RUN_BROKEN, IO_EIO],
  [RUN_STOPPED, IO_EIO],
] as const) {
  test(`writes of an array in state ${run} are refused, reads are not`, () => {
    const bench = new IoBench();
    bench.state.run = run;
    assert.is(bench.write(0, 1).errno, errno);
    assert.is(bench.read(0).errno, 0);
    assert.is(bench.state.writes().underWay, 0);
  });
}

test("a read falls back to another leg and reports the one that failed", async () => {
  for (const slow of [[], [0, 1]]) {
    const bench = new IoBench({ slow });
    bench.write(100, 8);
    await bench.rest();
    bench.fault(0, "read-error");
    const answer = bench.read(100);
    await bench.rest();
    assert.is(answer.errno, 0);
    assert.is(answer.target[0], 8);
    assert.equal(bench.readErrors, [{ leg: 0, offset: 100, length: 1 }]);
  }
});

for (const slow of [[], [0, 1]]) {
  const name = slow.length === 0 ? "at once" : "slowly";
  test(`where copies may differ a larger read shows what smaller ones do (${name})`, async () => {
    for (const kind of ["damaged", "noted as bad"]) {
      const bench = new IoBench({ slow });
      bench.state.syncedMib = 0;
      for (const { leg, bytes } of bench.legs) bytes.fill(leg + 1);
      const spot = [8192, 8704] as const;
      if (kind === "damaged") bench.spoil(0, "read-error", spot);
      else bench.state.badBlocks(0).set([spot]);
      const whole = bench.read(0, 32_768);
      await bench.rest();
      assert.is(whole.errno, 0, kind);
      assert.equal(
        [0, 4096, 8192, 12_288, 32_767].map((at) => whole.target[at]),
        [1, 1, 2, 1, 1],
        `${kind}: the page with the spot comes from the second copy, no other does`,
      );
    }
  });
}

test("a read that no leg can answer is an error and is reported for none", () => {
  const bench = new IoBench();
  for (const slot of [0, 1]) bench.fault(slot, "read-error");
  assert.is(bench.read(0).errno, IO_EIO);
  assert.equal(bench.readErrors, []);
});

test("a flush reaches every leg that is written, and joins others that wait", async () => {
  const bench = new IoBench({ legs: 3 });
  bench.state.setLeg(2, LEG_REBUILDING);
  for (const slot of [0, 1, 2]) bench.fault(slot, "stall");
  const answers = [bench.flush(), bench.flush(), bench.flush()];
  await bench.rest();
  assert.equal(
    answers.map(({ errno }) => errno),
    [0, 0, 0],
  );
});

test("a flush that began before a write was answered does not count for a later flush", async () => {
  const bench = new IoBench();
  const began: number[] = [];
  for (const slot of [0, 1]) {
    const { device } = bench.leg(slot);
    const flush = device.flush.bind(device);
    device.flush = () => {
      began.push(bench.on(slot, 0));
      return flush();
    };
  }
  const early = bench.flush();
  bench.write(0, 4);
  const late = bench.flush();
  await bench.rest();
  assert.equal([early.errno, late.errno], [0, 0]);
  assert.equal(began, [0, 0, 4, 4]);
});

test("a write with FUA is answered after a flush of every leg that began after the write", async () => {
  const bench = new IoBench();
  bench.fault(1, "flush-error", 1);
  const answer = bench.write(0, 4, 512, true);
  await bench.rest();
  assert.is(answer.errno, null, "the failed flush is recorded first");
  assert.equal(bench.reported, [[1, "flush"]]);
  bench.resolve(LEG_NONE, true);
  assert.is(answer.errno, 0);
});

test("closing lets what is under way end, refuses what comes later, and closes the legs", async () => {
  const bench = new IoBench({ slow: [1] });
  const answer = bench.write(0, 4);
  const closed = Promise.all([bench.io.close(), bench.io.close()]);
  assert.is(bench.write(0, 5).errno, IO_ESHUTDOWN);
  assert.is(bench.read(0).errno, IO_ESHUTDOWN);
  assert.is(bench.flush().errno, IO_ESHUTDOWN);
  await closed;
  assert.is(answer.errno, 0);
  for (const { device } of bench.legs) {
    const error = await device.flush().then(
      () => "open",
      () => "closed",
    );
    assert.is(error, "closed");
  }
});

test("a leg is closed once its last I/O has ended, and its slot may be opened again", async () => {
  const bench = new IoBench({ slow: [1] });
  bench.write(0, 4);
  bench.state.setLeg(1, LEG_NONE);
  const dropped = bench.io.dropLeg(1);
  assert.throws(() => bench.io.openLeg(1, bench.leg(0).device, 0), /open already/);
  await dropped;
  bench.io.openLeg(1, bench.leg(0).device, 0);
});

test("an I/O under way shows on the stall clock of its leg, and only until it ends", async () => {
  const bench = new IoBench({ slow: [1] });
  bench.now = 77;
  bench.write(0, 4);
  assert.equal(
    [0, 1].map((slot) => bench.state.stall(slot)),
    [0, 77],
  );
  await bench.rest();
  assert.is(bench.state.stall(1), 0);
});

test("a request of no length is answered at once, wherever it lies", () => {
  const bench = new IoBench();
  bench.state.clean = true;
  assert.is(bench.write(bench.io.sizeBytes, 1, 0).errno, 0);
  assert.equal(bench.intents, []);
});

test("every request is counted, so that sync actions see the array is busy", () => {
  const bench = new IoBench();
  const before = bench.state.operations();
  bench.read(0);
  bench.write(0, 1);
  assert.is(bench.state.operations() - before, 2);
  assert.is(bench.state.leg(0), LEG_IN_SYNC);
});

test.run();
