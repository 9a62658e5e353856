/**
 * Cursors over byte arrays with bounds, in little or big endian order, for the codecs.
 *
 * ByteReader is for hostile bytes: it never throws and never reads outside its array. A read past
 * the end returns zero (or an empty array) and sets `overran`, which stays set; a decoder checks it
 * once before it trusts what it read. ByteWriter is for our own values: a value or position out of
 * range is a broken program and fails an assertion.
 *
 * u64 values are bigint here and only here; `toSafeNumber` is the way out.
 */
import { assert } from "./assert.ts";

/** Byte order of multi-byte integers: md's formats are `le`, NBD's is `be`. */
export type ByteOrder = "le" | "be";

const U8_MAX = 0xff;
const U16_MAX = 0xffff;
const U32_MAX = 0xffff_ffff;
const U64_MAX = 0xffff_ffff_ffff_ffffn;

/** True when every byte of `[lo, hi)` is zero. The range is cut to the array's end. */
export function isZero(bytes: Uint8Array, lo = 0, hi = bytes.length): boolean {
  const end = Math.min(hi, bytes.length);
  for (let at = lo; at < end; at += 1) {
    if (bytes[at] !== 0) return false;
  }
  return true;
}

/** True when both arrays hold the same bytes. */
export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let at = 0; at < a.length; at += 1) {
    if (a[at] !== b[at]) return false;
  }
  return true;
}

/** A u64 as a number, or undefined above 2^53 - 1, where numbers lose precision. */
export function toSafeNumber(value: bigint): number | undefined {
  return value >= 0n && value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : undefined;
}

/** Reads integers and runs of bytes one after the other; see the head of this file. */
export class ByteReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #little: boolean;
  #position = 0;
  #overran = false;

  constructor(bytes: Uint8Array, order: ByteOrder) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#little = order === "le";
  }

  /** Offset of the next read from the start of the array. */
  get position(): number {
    return this.#position;
  }

  get remaining(): number {
    return this.#bytes.length - this.#position;
  }

  /** True once any read, skip or seek went past the end. */
  get overran(): boolean {
    return this.#overran;
  }

  u8(): number {
    const at = this.#claim(1);
    return at === undefined ? 0 : this.#view.getUint8(at);
  }

  u16(): number {
    const at = this.#claim(2);
    return at === undefined ? 0 : this.#view.getUint16(at, this.#little);
  }

  u32(): number {
    const at = this.#claim(4);
    return at === undefined ? 0 : this.#view.getUint32(at, this.#little);
  }

  u64(): bigint {
    const at = this.#claim(8);
    return at === undefined ? 0n : this.#view.getBigUint64(at, this.#little);
  }

  /** The next `length` bytes as a view of the same memory, not a copy; empty on overrun. */
  take(length: number): Uint8Array {
    const at = this.#claim(length);
    return at === undefined ? this.#bytes.subarray(0, 0) : this.#bytes.subarray(at, at + length);
  }

  /** True when the next `length` bytes exist and are all zero: the check of reserved fields. */
  zeros(length: number): boolean {
    const at = this.#claim(length);
    return at !== undefined && isZero(this.#bytes, at, at + length);
  }

  skip(length: number): void {
    this.#claim(length);
  }

  /** Moves to an absolute position, `[0, length of the array]`. */
  seek(position: number): void {
    if (isWithin(position, this.#bytes.length)) this.#position = position;
    else this.#overrun();
  }

  /**
   * Moves past `length` bytes and returns where they start, or undefined when they do not exist.
   */
  #claim(length: number): number | undefined {
    if (this.#overran || !isWithin(length, this.remaining)) return this.#overrun();
    const at = this.#position;
    this.#position += length;
    return at;
  }

  #overrun(): undefined {
    this.#overran = true;
    this.#position = this.#bytes.length;
    return undefined;
  }
}

/** Writes integers and runs of bytes one after the other into an array of fixed size. */
export class ByteWriter {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #little: boolean;
  #position = 0;

  constructor(bytes: Uint8Array, order: ByteOrder) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#little = order === "le";
  }

  /** Offset of the next write from the start of the array. */
  get position(): number {
    return this.#position;
  }

  get remaining(): number {
    return this.#bytes.length - this.#position;
  }

  u8(value: number): this {
    assertUnsigned(value, U8_MAX);
    this.#view.setUint8(this.#claim(1), value);
    return this;
  }

  u16(value: number): this {
    assertUnsigned(value, U16_MAX);
    this.#view.setUint16(this.#claim(2), value, this.#little);
    return this;
  }

  u32(value: number): this {
    assertUnsigned(value, U32_MAX);
    this.#view.setUint32(this.#claim(4), value, this.#little);
    return this;
  }

  /** Takes a number for convenience; it must be a safe integer. */
  u64(value: bigint | number): this {
    if (typeof value === "number") assertUnsigned(value, Number.MAX_SAFE_INTEGER);
    const wide = BigInt(value);
    assert(wide >= 0n && wide <= U64_MAX, `${wide} is not a u64`);
    this.#view.setBigUint64(this.#claim(8), wide, this.#little);
    return this;
  }

  /** Copies `source` in. */
  put(source: Uint8Array): this {
    this.#bytes.set(source, this.#claim(source.length));
    return this;
  }

  zeros(length: number): this {
    const at = this.#claim(length);
    this.#bytes.fill(0, at, at + length);
    return this;
  }

  /** Moves to an absolute position, `[0, length of the array]`; what lies between is kept. */
  seek(position: number): this {
    assert(isWithin(position, this.#bytes.length), `seek to ${position} leaves the array`);
    this.#position = position;
    return this;
  }

  #claim(length: number): number {
    assert(
      isWithin(length, this.remaining),
      `${length} bytes at ${this.#position} do not fit an array of ${this.#bytes.length}`,
    );
    const at = this.#position;
    this.#position += length;
    return at;
  }
}

function isWithin(value: number, max: number): boolean {
  return Number.isInteger(value) && value >= 0 && value <= max;
}

function assertUnsigned(value: number, max: number): void {
  assert(isWithin(value, max), `${value} is not an integer in [0, ${max}]`);
}
