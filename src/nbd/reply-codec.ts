/**
 * Codec of transmission replies, written in place into reply buffers.
 *
 *   simple reply   magic u32 · error u32 · cookie u64                          (then a read's data)
 *   chunk          magic u32 · flags u16 · type u16 · cookie u64 · length u32  (then the payload)
 *
 * Payloads of chunks: OFFSET_DATA offset u64, data; BLOCK_STATUS context u32, extents of (length
 * u32, flags u32); ERROR error u32, message length u16, message; ERROR_OFFSET the same, then offset
 * u64.
 * Source: NBD protocol doc/proto.md, "Simple reply message", "Structured reply types".
 */
import {
  NBD_REPLY_FLAG_DONE,
  NBD_REPLY_TYPE_BLOCK_STATUS,
  NBD_REPLY_TYPE_ERROR,
  NBD_REPLY_TYPE_ERROR_OFFSET,
  NBD_REPLY_TYPE_OFFSET_DATA,
  NBD_SIMPLE_REPLY_MAGIC,
  NBD_STRUCTURED_REPLY_MAGIC,
  STRUCTURED_REPLY_BYTES,
} from "./constants.ts";
import type { BlockExtent } from "./export-backend.ts";

/** The part of a request that its replies repeat. */
export interface Cookie {
  readonly cookieHigh: number;
  readonly cookieLow: number;
}

const U32_RANGE = 2 ** 32;

/** A simple reply; after a read without error its data follows. */
export function encodeSimpleReply(view: DataView, at: number, cookie: Cookie, errno: number): void {
  view.setUint32(at, NBD_SIMPLE_REPLY_MAGIC);
  view.setUint32(at + 4, errno);
  view.setUint32(at + 8, cookie.cookieHigh);
  view.setUint32(at + 12, cookie.cookieLow);
}

/**
 * The head of a chunk with all data of a read; the data follows at `at + 28`. It is the last one.
 */
export function encodeDataHead(
  view: DataView,
  at: number,
  cookie: Cookie,
  offset: number,
  lengthBytes: number,
): void {
  encodeChunkHead(view, at, cookie, NBD_REPLY_TYPE_OFFSET_DATA, 8 + lengthBytes, true);
  setU64(view, at + STRUCTURED_REPLY_BYTES, offset);
}

/** Length in bytes of an error chunk with this message. */
export function errorChunkBytes(message: Uint8Array, offset: number | null): number {
  return STRUCTURED_REPLY_BYTES + 6 + message.length + (offset === null ? 0 : 8);
}

/** An error chunk, ERROR_OFFSET when `offset` says where. It is the last chunk of its reply. */
export function encodeErrorChunk(
  view: DataView,
  at: number,
  cookie: Cookie,
  errno: number,
  message: Uint8Array,
  offset: number | null,
): void {
  const type = offset === null ? NBD_REPLY_TYPE_ERROR : NBD_REPLY_TYPE_ERROR_OFFSET;
  const length = errorChunkBytes(message, offset) - STRUCTURED_REPLY_BYTES;
  encodeChunkHead(view, at, cookie, type, length, true);
  const payload = at + STRUCTURED_REPLY_BYTES;
  view.setUint32(payload, errno);
  view.setUint16(payload + 4, message.length);
  new Uint8Array(view.buffer, view.byteOffset + payload + 6, message.length).set(message);
  if (offset !== null) setU64(view, payload + 6 + message.length, offset);
}

/** Length in bytes of a block status chunk with this many extents. */
export function statusChunkBytes(extents: number): number {
  return STRUCTURED_REPLY_BYTES + 4 + 8 * extents;
}

/** One block status chunk: the extents of one metadata context. */
export function encodeStatusChunk(
  view: DataView,
  at: number,
  cookie: Cookie,
  context: number,
  extents: readonly BlockExtent[],
  isLast: boolean,
): void {
  const length = statusChunkBytes(extents.length) - STRUCTURED_REPLY_BYTES;
  encodeChunkHead(view, at, cookie, NBD_REPLY_TYPE_BLOCK_STATUS, length, isLast);
  let position = at + STRUCTURED_REPLY_BYTES;
  view.setUint32(position, context);
  position += 4;
  for (const extent of extents) {
    view.setUint32(position, extent.lengthBytes);
    view.setUint32(position + 4, extent.flags);
    position += 8;
  }
}

function encodeChunkHead(
  view: DataView,
  at: number,
  cookie: Cookie,
  type: number,
  lengthBytes: number,
  isLast: boolean,
): void {
  view.setUint32(at, NBD_STRUCTURED_REPLY_MAGIC);
  view.setUint16(at + 4, isLast ? NBD_REPLY_FLAG_DONE : 0);
  view.setUint16(at + 6, type);
  view.setUint32(at + 8, cookie.cookieHigh);
  view.setUint32(at + 12, cookie.cookieLow);
  view.setUint32(at + 16, lengthBytes);
}

function setU64(view: DataView, at: number, value: number): void {
  view.setUint32(at, Math.floor(value / U32_RANGE));
  view.setUint32(at + 4, value % U32_RANGE);
}
