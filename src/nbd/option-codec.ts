/**
 * Codec of the handshake's messages: what the server greets with, option headers and payloads as
 * clients send them, option replies. Decoders take hostile bytes and never throw or over-read.
 * Source: NBD protocol doc/proto.md, "Option types", "Option reply types".
 */
import { assert } from "../common/assert.ts";
import { ByteReader, ByteWriter } from "../common/bytes.ts";
import {
  EXPORT_NAME_PADDING_BYTES,
  INIT_PASSWD,
  NBD_FLAG_FIXED_NEWSTYLE,
  NBD_FLAG_NO_ZEROES,
  OPTION_REPLY_HEADER_BYTES,
  OPTS_MAGIC,
  QUERIES_MAX,
  REP_MAGIC,
  STRING_MAX_BYTES,
} from "./constants.ts";

/** Why an option's payload is refused; `option-too-big` is a count or length past our limits. */
export type OptionReason = "option-malformed" | "option-too-big";

export type OptionDecoded<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly reason: OptionReason };

export interface OptionHeader {
  readonly option: number;
  /** Bytes of payload that follow, as the client claims. */
  readonly lengthBytes: number;
}

/** Payload of INFO and GO. */
export interface ExportRequest {
  readonly exportName: string;
  /** The NBD_INFO types asked for; unknown ones and repetitions included. */
  readonly informationTypes: readonly number[];
}

/** Payload of LIST_META_CONTEXT and SET_META_CONTEXT. */
export interface ContextRequest {
  readonly exportName: string;
  readonly queries: readonly string[];
}

/** One reply to an option: a NBD_REP number and its payload. */
export interface OptionReply {
  readonly type: number;
  readonly payload: Uint8Array;
}

const NO_BYTES = new Uint8Array(0);
const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** What the server sends first: both magics and the handshake flags. */
export function encodeGreeting(): Uint8Array {
  const bytes = new Uint8Array(18);
  new ByteWriter(bytes, "be")
    .u32(INIT_PASSWD[0])
    .u32(INIT_PASSWD[1])
    .u32(OPTS_MAGIC[0])
    .u32(OPTS_MAGIC[1])
    .u16(NBD_FLAG_FIXED_NEWSTYLE | NBD_FLAG_NO_ZEROES);
  return bytes;
}

/** The 16 bytes before an option's payload; undefined when they do not start with the magic. */
export function decodeOptionHeader(bytes: Uint8Array): OptionHeader | undefined {
  const reader = new ByteReader(bytes, "be");
  const isOption = reader.u32() === OPTS_MAGIC[0] && reader.u32() === OPTS_MAGIC[1];
  const header = { option: reader.u32(), lengthBytes: reader.u32() };
  return isOption && !reader.overran ? header : undefined;
}

/** A string of the protocol: UTF-8, no NUL, at most 4096 bytes; undefined when it is not. */
export function decodeString(bytes: Uint8Array): string | undefined {
  if (bytes.length > STRING_MAX_BYTES || bytes.includes(0)) return undefined;
  try {
    return decoder.decode(bytes);
  } catch (error) {
    if (error instanceof TypeError) return undefined;
    throw error;
  }
}

/** Payload of INFO and GO: u32 name length, name, u16 count, count times u16. */
export function decodeExportRequest(bytes: Uint8Array): OptionDecoded<ExportRequest> {
  const reader = new ByteReader(bytes, "be");
  const exportName = decodeString(reader.take(reader.u32()));
  const count = reader.u16();
  const informationTypes: number[] = [];
  for (let at = 0; at < count && !reader.overran; at += 1) informationTypes.push(reader.u16());
  if (reader.overran || reader.remaining !== 0 || exportName === undefined) {
    return { ok: false, reason: "option-malformed" };
  }
  return { ok: true, value: { exportName, informationTypes } };
}

/** Payload of LIST/SET_META_CONTEXT: u32 + name, u32 count, count times (u32 + query). */
export function decodeContextRequest(bytes: Uint8Array): OptionDecoded<ContextRequest> {
  const reader = new ByteReader(bytes, "be");
  const exportName = decodeString(reader.take(reader.u32()));
  const count = reader.u32();
  if (reader.overran || exportName === undefined) return { ok: false, reason: "option-malformed" };
  if (count > QUERIES_MAX) return { ok: false, reason: "option-too-big" };
  const queries: string[] = [];
  for (let at = 0; at < count; at += 1) {
    const query = decodeString(reader.take(reader.u32()));
    if (reader.overran || query === undefined) return { ok: false, reason: "option-malformed" };
    queries.push(query);
  }
  if (reader.remaining !== 0) return { ok: false, reason: "option-malformed" };
  return { ok: true, value: { exportName, queries } };
}

/** One reply packet to `option`, header and payload. */
export function encodeOptionReply(option: number, reply: OptionReply): Uint8Array {
  const bytes = new Uint8Array(OPTION_REPLY_HEADER_BYTES + reply.payload.length);
  new ByteWriter(bytes, "be")
    .u32(REP_MAGIC[0])
    .u32(REP_MAGIC[1])
    .u32(option)
    .u32(reply.type)
    .u32(reply.payload.length)
    .put(reply.payload);
  return bytes;
}

/** A reply without payload, or an error reply with a sentence for people. */
export function plainReply(type: number, message = ""): OptionReply {
  return { type, payload: message === "" ? NO_BYTES : encodeString(message) };
}

/** Payload of REP_SERVER: u32 name length, name, description. */
export function encodeServerEntry(name: string, description: string): Uint8Array {
  const nameBytes = encodeString(name);
  const descriptionBytes = encodeString(description);
  const bytes = new Uint8Array(4 + nameBytes.length + descriptionBytes.length);
  new ByteWriter(bytes, "be").u32(nameBytes.length).put(nameBytes).put(descriptionBytes);
  return bytes;
}

/** Payload of INFO_EXPORT: u16 type, u64 size in bytes, u16 transmission flags. */
export function encodeExportInformation(
  type: number,
  sizeBytes: number,
  flags: number,
): Uint8Array {
  const bytes = new Uint8Array(12);
  new ByteWriter(bytes, "be").u16(type).u64(sizeBytes).u16(flags);
  return bytes;
}

/** Payload of INFO_NAME and INFO_DESCRIPTION: u16 type, string. */
export function encodeTextInformation(type: number, text: string): Uint8Array {
  const textBytes = encodeString(text);
  const bytes = new Uint8Array(2 + textBytes.length);
  new ByteWriter(bytes, "be").u16(type).put(textBytes);
  return bytes;
}

/** Payload of INFO_BLOCK_SIZE: u16 type, u32 minimum, preferred and maximum in bytes. */
export function encodeBlockSizes(type: number, sizes: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(2 + 4 * sizes.length);
  const writer = new ByteWriter(bytes, "be").u16(type);
  for (const size of sizes) writer.u32(size);
  return bytes;
}

/** Payload of REP_META_CONTEXT: u32 context id, name. */
export function encodeContextEntry(id: number, name: string): Uint8Array {
  const nameBytes = encodeString(name);
  const bytes = new Uint8Array(4 + nameBytes.length);
  new ByteWriter(bytes, "be").u32(id).put(nameBytes);
  return bytes;
}

/** The answer to EXPORT_NAME: u64 size, u16 transmission flags, zeroes unless agreed without. */
export function encodeExportNameAnswer(
  sizeBytes: number,
  flags: number,
  noZeroes: boolean,
): Uint8Array {
  const bytes = new Uint8Array(10 + (noZeroes ? 0 : EXPORT_NAME_PADDING_BYTES));
  new ByteWriter(bytes, "be").u64(sizeBytes).u16(flags);
  return bytes;
}

function encodeString(text: string): Uint8Array {
  const bytes = encoder.encode(text);
  assert(bytes.length <= STRING_MAX_BYTES, `a string of ${bytes.length} bytes is too long to send`);
  return bytes;
}
