/**
 * Codec of transmission requests. A request is 28 bytes, after a write its payload:
 *
 *   offset  size  field
 *        0     4  magic 0x25609513
 *        4     2  command flags
 *        6     2  command
 *        8     8  cookie ("handle"), chosen by the client, given back in every reply
 *       16     8  offset in the export, bytes
 *       24     4  length, bytes
 *
 * Source: NBD protocol doc/proto.md, "Request message".
 */
import { NBD_REQUEST_MAGIC } from "./constants.ts";

/** A decoded request. Filled in place, because one is made for every request of the hot path. */
export interface RequestFields {
  flags: number;
  command: number;
  cookieHigh: number;
  cookieLow: number;
  /** Above 2^53 it is rounded; it is then past the end of any export all the same. */
  offset: number;
  lengthBytes: number;
}

const U32_RANGE = 2 ** 32;

/** Reads the request at `at` (28 bytes exist there) into `into`; false when the magic is wrong. */
export function decodeRequest(view: DataView, at: number, into: RequestFields): boolean {
  if (view.getUint32(at) !== NBD_REQUEST_MAGIC) return false;
  into.flags = view.getUint16(at + 4);
  into.command = view.getUint16(at + 6);
  into.cookieHigh = view.getUint32(at + 8);
  into.cookieLow = view.getUint32(at + 12);
  into.offset = view.getUint32(at + 16) * U32_RANGE + view.getUint32(at + 20);
  into.lengthBytes = view.getUint32(at + 24);
  return true;
}

/** Writes a request at `at`, where 28 bytes exist. */
export function encodeRequest(view: DataView, at: number, request: Readonly<RequestFields>): void {
  view.setUint32(at, NBD_REQUEST_MAGIC);
  view.setUint16(at + 4, request.flags);
  view.setUint16(at + 6, request.command);
  view.setUint32(at + 8, request.cookieHigh);
  view.setUint32(at + 12, request.cookieLow);
  view.setUint32(at + 16, Math.floor(request.offset / U32_RANGE));
  view.setUint32(at + 20, request.offset % U32_RANGE);
  view.setUint32(at + 24, request.lengthBytes);
}
