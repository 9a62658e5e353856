/**
 * NBD messages as a client writes and reads them, from the protocol document and on purpose without
 * the codecs under test.
 */

/** Concatenates byte arrays. */
export function concat(...parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}

export function utf8(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** Big-endian integers one after the other: `u(2, 7)` is a u16, `u(8, 4096)` a u64. */
export function u(...sizesAndValues: readonly number[]): Uint8Array {
  const bytes: number[] = [];
  for (let at = 0; at + 1 < sizesAndValues.length; at += 2) {
    const size = sizesAndValues[at] ?? 0;
    const value = BigInt(sizesAndValues[at + 1] ?? 0);
    for (let shift = size - 1; shift >= 0; shift -= 1) {
      bytes.push(Number((value >> BigInt(8 * shift)) & 0xffn));
    }
  }
  return Uint8Array.from(bytes);
}

/** One option: magic, number, length, payload. */
export function optionBytes(option: number, payload: Uint8Array = u()): Uint8Array {
  return concat(utf8("IHAVEOPT"), u(4, option, 4, payload.length), payload);
}

/** Payload of INFO and GO. */
export function exportRequestBytes(name: string, types: readonly number[] = []): Uint8Array {
  const nameBytes = utf8(name);
  const typeBytes = types.map((type) => u(2, type));
  return concat(u(4, nameBytes.length), nameBytes, u(2, types.length), ...typeBytes);
}

/** Payload of LIST_META_CONTEXT and SET_META_CONTEXT. */
export function contextRequestBytes(name: string, queries: readonly string[]): Uint8Array {
  const nameBytes = utf8(name);
  const queryBytes = queries.map((query) => concat(u(4, utf8(query).length), utf8(query)));
  return concat(u(4, nameBytes.length), nameBytes, u(4, queries.length), ...queryBytes);
}

export interface RequestParts {
  readonly command: number;
  readonly flags?: number;
  readonly cookie?: number;
  readonly offset?: number;
  readonly length?: number;
  /** Sets the length when that is not given. */
  readonly payload?: Uint8Array;
  readonly magic?: number;
}

/** One transmission request with its payload. */
export function requestBytes(parts: RequestParts): Uint8Array {
  const payload = parts.payload ?? u();
  const { flags = 0, cookie = 0, offset = 0, length = payload.length, magic = 0x25609513 } = parts;
  const header = u(4, magic, 2, flags, 2, parts.command, 8, cookie, 8, offset, 4, length);
  return concat(header, payload);
}

/** A reply to an option. */
export interface OptionReplyMessage {
  readonly option: number;
  readonly type: number;
  readonly payload: Uint8Array;
}

export interface SimpleReplyMessage {
  readonly errno: number;
  readonly cookie: number;
}

/** One chunk of a structured reply. */
export interface ChunkMessage {
  readonly isLast: boolean;
  readonly type: number;
  readonly cookie: number;
  readonly payload: Uint8Array;
}

/** Reads big-endian integers of the sizes given; u64 must be below 2^53. */
export function integers(bytes: Uint8Array, ...sizes: readonly number[]): number[] {
  let at = 0;
  return sizes.map((size) => {
    let value = 0n;
    for (const byte of bytes.subarray(at, at + size)) value = value * 256n + BigInt(byte);
    at += size;
    return Number(value);
  });
}

export function textOf(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}

/** Block status: the context's id and extents of [length, flags]. */
export function statusOf(payload: Uint8Array): {
  context: number;
  extents: readonly (readonly number[])[];
} {
  const extents: number[][] = [];
  for (let at = 4; at < payload.length; at += 8) {
    extents.push(integers(payload.subarray(at), 4, 4));
  }
  return { context: integers(payload, 4)[0] ?? 0, extents };
}

/** Error chunk: number and message, and the offset of an ERROR_OFFSET. */
export function errorOf(chunk: ChunkMessage): { errno: number; message: string; offset?: number } {
  const [errno = 0, length = 0] = integers(chunk.payload, 4, 2);
  const message = textOf(chunk.payload.subarray(6, 6 + length));
  if (chunk.type !== 0x8002) return { errno, message };
  return { errno, message, offset: integers(chunk.payload.subarray(6 + length), 8)[0] ?? 0 };
}
