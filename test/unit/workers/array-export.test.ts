/** An array as a back end: long ranges in pieces, flags, and bounded answers about allocation. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { BlockExtent } from "../../../src/nbd/export-backend.ts";
import { NBD_ENOTSUP } from "../../../src/nbd/export-backend.ts";
import type { ArrayIo } from "../../../src/raid/io-driver.ts";
import { LEG_NONE } from "../../../src/raid/shared-state.ts";
import { ArrayExport } from "../../../src/workers/array-export.ts";
import { IoBench } from "../../helpers/io-bench.ts";

const KIB = 1024;
const MIB = 1024 * KIB;
const PAGE = 4096;

const exportOf = (io: ArrayIo): ArrayExport =>
  new ArrayExport(
    { io, ready: io, hasBitmap: true, submit: (request) => request(io) },
    { readOnly: false },
  );

/** Records the calls of a leg's device as `zero 0+512 unmap`, `flush`. */
const recordCalls = (bench: IoBench, leg: number): string[] => {
  const calls: string[] = [];
  const { device } = bench.leg(leg);
  const { zero, flush } = device;
  const dataAt = bench.leg(leg).bytes.length - bench.io.sizeBytes;
  device.zero = (offset, length, mayUnmap) => {
    calls.push(`zero ${offset - dataAt}+${length}${mayUnmap ? " unmap" : ""}`);
    return zero.call(device, offset, length, mayUnmap);
  };
  device.flush = () => {
    calls.push("flush");
    return flush.call(device);
  };
  return calls;
};

const hold = (bench: IoBench, leg: number, property: "punches" | "zeroesFast"): void =>
  void Object.defineProperty(bench.leg(leg).device, property, { value: false });

const ask = (call: (complete: (errno: number) => void) => void): Promise<number> =>
  new Promise((resolve) => call(resolve));

const extentsOf = (backend: ArrayExport, offset: number, length: number, extentsMax: number) =>
  new Promise<readonly BlockExtent[]>((resolve) => {
    backend.blockStatus("base:allocation", offset, length, extentsMax, (errno, extents) => {
      assert.is(errno, 0);
      resolve(extents);
    });
  });

const test = suite("workers/array-export");

test("long ranges are zeroed in pieces that meet at multiples of 32 MiB, with one flush at the end", async () => {
  const bench = new IoBench({ chunks: 80 });
  const backend = exportOf(bench.io);
  const calls = recordCalls(bench, 1);
  bench.write(70 * MIB, 7, MIB);
  assert.is(await ask((done) => backend.trim(MIB + 1, 69 * MIB + 4095, true, done)), 0);
  const pieces = [`zero ${MIB + 1}+${31 * MIB - 1}`, `zero ${32 * MIB}+${32 * MIB}`];
  const last = `zero ${64 * MIB}+${6 * MIB + PAGE}`;
  assert.equal(calls.splice(0), [...[...pieces, last].map((call) => `${call} unmap`), "flush"]);
  assert.equal([bench.on(1, 70 * MIB + PAGE - 1), bench.on(1, 70 * MIB + PAGE)], [0, 7]);
  const options = { fua: false, mayPunch: false, fast: false };
  assert.is(await ask((done) => backend.writeZeroes(MIB + 1, 69 * MIB + 4095, options, done)), 0);
  assert.equal(calls, [...pieces, last]);
});

test("a piece that fails ends the request with its error", async () => {
  const bench = new IoBench({ chunks: 80 });
  const calls = recordCalls(bench, 0);
  bench.spoil(1, "write-error", [40 * MIB, 41 * MIB]);
  const { device } = bench.leg(0);
  const zero = device.zero.bind(device);
  device.zero = (offset, ...rest) =>
    offset > 32 * MIB ? Promise.reject(new Error("EIO")) : zero(offset, ...rest);
  let errno: number | null = null;
  exportOf(bench.io).trim(0, 80 * MIB, true, (answer) => {
    errno = answer;
  });
  await bench.rest();
  bench.resolve(null, true);
  await bench.rest();
  assert.is(errno, 5);
  assert.equal(calls, [`zero 0+${32 * MIB} unmap`]);
});

test("each piece goes to the array as it is then, though it was changed in between", async () => {
  const [before, after] = [new IoBench({ chunks: 40 }), new IoBench({ chunks: 40 })];
  const parts = [recordCalls(before, 0), recordCalls(after, 0)];
  let turn = 0;
  const backend = new ArrayExport(
    {
      get io() {
        return before.io;
      },
      ready: null,
      hasBitmap: true,
      // Looking whether holes can be made, then two pieces.
      submit: (request) => request(turn++ < 2 ? before.io : after.io),
    },
    { readOnly: false },
  );
  assert.is(await ask((done) => backend.trim(0, 40 * MIB, false, done)), 0);
  assert.equal(parts, [[`zero 0+${32 * MIB} unmap`], [`zero ${32 * MIB}+${8 * MIB} unmap`]]);
});

test("a trim that a leg cannot carry out is no more than a flush, if that was asked for", async () => {
  const bench = new IoBench();
  bench.write(0, 7, PAGE);
  hold(bench, 1, "punches");
  const calls = recordCalls(bench, 0);
  const backend = exportOf(bench.io);
  assert.is(await ask((done) => backend.trim(0, PAGE, false, done)), 0);
  assert.equal(calls, []);
  assert.is(await ask((done) => backend.trim(0, PAGE, true, done)), 0);
  assert.equal(calls, ["flush"]);
  assert.equal([bench.on(0, 0), bench.on(1, 0)], [7, 7]);
  bench.state.setLeg(1, LEG_NONE);
  await bench.io.dropLeg(1);
  assert.is(await ask((done) => backend.trim(0, PAGE, false, done)), 0);
  assert.is(bench.on(0, 0), 0, "without that leg it can");
});

test("fast zeroes are refused exactly when a leg would write them, and nothing has changed then", async () => {
  for (const [slow, mayPunch, expected] of [
    [[], true, 0],
    [[], false, 0],
    [["zeroesFast"], true, 0],
    [["zeroesFast"], false, NBD_ENOTSUP],
    [["punches"], true, 0],
    [["punches", "zeroesFast"], true, NBD_ENOTSUP],
    [["punches", "zeroesFast"], false, NBD_ENOTSUP],
  ] as const) {
    const bench = new IoBench();
    bench.write(0, 7, PAGE);
    for (const property of slow) hold(bench, 1, property);
    const backend = exportOf(bench.io);
    const options = { fua: false, mayPunch, fast: true };
    const errno = await ask((done) => backend.writeZeroes(0, PAGE, options, done));
    assert.is(errno, expected, `${slow.join()} ${mayPunch}`);
    const content = expected === 0 ? 0 : 7;
    assert.equal([bench.on(0, 0), bench.on(1, 0)], [content, content]);
    const whole = { ...options, fast: false };
    assert.is(await ask((done) => backend.writeZeroes(0, PAGE, whole, done)), 0);
    assert.equal([bench.on(0, 0), bench.on(1, 0)], [0, 0]);
  }
});

test("one answer about allocation is as long as was asked for, and takes few questions", async () => {
  const bench = new IoBench();
  for (let page = 0; page < 1024; page += 2) bench.write(page * PAGE, 1);
  const backend = exportOf(bench.io);
  assert.equal(await extentsOf(backend, 0, 4 * MIB, 1), [{ lengthBytes: PAGE, flags: 0 }]);
  assert.equal(await extentsOf(backend, 100, PAGE, 2), [
    { lengthBytes: PAGE - 100, flags: 0 },
    { lengthBytes: 100, flags: 3 },
  ]);
  const some = await extentsOf(backend, 0, 4 * MIB, 100);
  assert.equal([some.length, some[98]?.flags, some[99]?.flags], [100, 0, 3]);
  let asks = 0;
  const { device } = bench.leg(0);
  const { allocation } = device;
  device.allocation = (...range) => {
    asks++;
    return allocation.apply(device, range);
  };
  const most = await extentsOf(backend, 0, 4 * MIB, 1024);
  assert.equal([most.length, asks <= 8], [256, true], `${asks} questions`);
  assert.ok(
    most.every(
      ({ lengthBytes, flags }, index) => lengthBytes === PAGE && flags === (index % 2) * 3,
    ),
  );
});

test("a stretch told in several answers is one extent", async () => {
  const bench = new IoBench();
  const { device } = bench.leg(0);
  device.allocation = async (_, length) => [{ length: Math.min(length, 1000), isHole: true }];
  const backend = exportOf(bench.io);
  assert.equal(await extentsOf(backend, 5, 9000, 4), [{ lengthBytes: 9000, flags: 3 }]);
});

test("a closed array refuses to tell", async () => {
  const bench = new IoBench();
  await bench.io.close();
  const backend = exportOf(bench.io);
  const errno = await ask((done) => backend.blockStatus("base:allocation", 0, PAGE, 4, done));
  assert.is(errno, 108);
});

test.run();
