import { suite } from "uvu";
import * as assert from "uvu/assert";
import {
  ByteReader,
  ByteWriter,
  equalBytes,
  isZero,
  toSafeNumber,
} from "../../../src/common/bytes.ts";

const test = suite("common/bytes");

/** Bytes 1..15 inside a larger buffer, so that a reader that ignores byteOffset fails. */
function sample(): Uint8Array {
  return Uint8Array.from({ length: 20 }, (_, index) => index).subarray(1, 16);
}

test("reads little endian", () => {
  const reader = new ByteReader(sample(), "le");
  assert.is(reader.u8(), 0x01);
  assert.is(reader.u16(), 0x0302);
  assert.is(reader.u32(), 0x0706_0504);
  assert.is(reader.u64(), 0x0f0e_0d0c_0b0a_0908n);
  assert.is(reader.remaining, 0);
  assert.is(reader.overran, false);
});

test("reads big endian", () => {
  const reader = new ByteReader(sample(), "be");
  assert.is(reader.u8(), 0x01);
  assert.is(reader.u16(), 0x0203);
  assert.is(reader.u32(), 0x0405_0607);
  assert.is(reader.u64(), 0x0809_0a0b_0c0d_0e0fn);
});

test("an over-read gives zero, marks the reader and never comes back", () => {
  const reader = new ByteReader(sample().subarray(0, 3), "le");
  assert.is(reader.u32(), 0);
  assert.is(reader.overran, true);
  reader.seek(0);
  assert.is(reader.u8(), 0, "a marked reader stays marked");
  assert.is(reader.u16(), 0);
  assert.is(reader.u64(), 0n);
  assert.equal(reader.take(1), new Uint8Array(0));
  assert.is(reader.zeros(0), false);
});

test("hostile lengths and positions overrun instead of throwing", () => {
  for (const length of [16, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53]) {
    for (const call of ["take", "skip", "seek", "zeros"] as const) {
      const reader = new ByteReader(sample(), "le");
      reader[call](length);
      assert.is(reader.overran, true, `${call}(${length})`);
    }
  }
});

test("take gives a view of the same memory", () => {
  const bytes = sample();
  const reader = new ByteReader(bytes, "le");
  reader.skip(2);
  const taken = reader.take(3);
  bytes[2] = 99;
  assert.equal([...taken], [99, 4, 5]);
  assert.is(reader.position, 5);
});

test("zeros tells whether reserved bytes are zero", () => {
  const reader = new ByteReader(Uint8Array.of(0, 0, 0, 1, 0), "le");
  assert.is(reader.zeros(3), true);
  assert.is(reader.zeros(2), false);
  assert.is(reader.position, 5);
});

test("a writer writes what a reader reads, in both orders", () => {
  for (const order of ["le", "be"] as const) {
    const bytes = new Uint8Array(24).fill(0xaa);
    const writer = new ByteWriter(bytes.subarray(1), order);
    writer.u8(0xfe).u16(0xfffe).u32(0xffff_fffe).u64(0xffff_ffff_ffff_fffen).put(Uint8Array.of(7));
    writer.zeros(3);
    assert.is(writer.remaining, 4);
    const reader = new ByteReader(bytes.subarray(1), order);
    assert.is(reader.u8(), 0xfe);
    assert.is(reader.u16(), 0xfffe);
    assert.is(reader.u32(), 0xffff_fffe);
    assert.is(reader.u64(), 0xffff_ffff_ffff_fffen);
    assert.is(reader.u8(), 7);
    assert.is(reader.zeros(3), true);
    assert.is(bytes[0], 0xaa, "the byte before the array is untouched");
    assert.is(bytes[20], 0xaa, "the byte after the last write is untouched");
  }
});

test("a writer refuses values and positions out of range", () => {
  const writer = (): ByteWriter => new ByteWriter(new Uint8Array(8), "le");
  for (const value of [-1, 256, 1.5, Number.NaN]) assert.throws(() => writer().u8(value));
  assert.throws(() => writer().u16(0x1_0000));
  assert.throws(() => writer().u32(0x1_0000_0000));
  assert.throws(() => writer().u64(-1n));
  assert.throws(() => writer().u64(0x1_0000_0000_0000_0000n));
  assert.throws(() => writer().u64(2 ** 53), /not an integer/);
  assert.throws(() => writer().zeros(9), /do not fit/);
  assert.throws(() => writer().put(new Uint8Array(9)), /do not fit/);
  assert.throws(() => writer().seek(9), /leaves the array/);
  assert.throws(() => writer().seek(8).u8(0), /1 bytes at 8 do not fit an array of 8/);
});

test("isZero looks at its range only", () => {
  const bytes = Uint8Array.of(1, 0, 0, 1);
  assert.is(isZero(bytes), false);
  assert.is(isZero(bytes, 1, 3), true);
  assert.is(isZero(bytes, 1, 100), false);
  assert.is(isZero(bytes, 4, 100), true);
});

test("equalBytes compares length and content", () => {
  assert.is(equalBytes(Uint8Array.of(1, 2), Uint8Array.of(1, 2)), true);
  assert.is(equalBytes(Uint8Array.of(1, 2), Uint8Array.of(1, 3)), false);
  assert.is(equalBytes(Uint8Array.of(1, 2), Uint8Array.of(1, 2, 0)), false);
});

test("toSafeNumber refuses what a number cannot hold", () => {
  assert.is(toSafeNumber(2n ** 53n - 1n), Number.MAX_SAFE_INTEGER);
  assert.is(toSafeNumber(2n ** 53n), undefined);
  assert.is(toSafeNumber(-1n), undefined);
});

test.run();
