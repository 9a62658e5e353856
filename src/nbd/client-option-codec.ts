/**
 * Codec of the handshake's messages on the client's side: options as a client sends them, replies
 * as a server does. Decoders take hostile bytes and never throw or over-read.
 * Source: NBD protocol doc/proto.md, "Option types", "Option reply types".
 */
import { ByteReader, ByteWriter } from "../common/bytes.ts";
import {
  CLIENT_FLAGS_BYTES,
  INIT_PASSWD,
  OPTION_HEADER_BYTES,
  OPTS_MAGIC,
  REP_MAGIC,
} from "./constants.ts";
import { decodeString } from "./option-codec.ts";

export interface ReplyHeader {
  readonly option: number;
  readonly type: number;
  /** Bytes of payload that follow, as the server claims. */
  readonly lengthBytes: number;
}

/** NBD_INFO_BLOCK_SIZE, in bytes. */
export interface BlockSizes {
  readonly minimum: number;
  readonly preferred: number;
  readonly maximum: number;
}

const NO_BYTES = new Uint8Array(0);
const encoder = new TextEncoder();

/** The handshake flags of a greeting; undefined when it is none of a newstyle server. */
export function decodeGreeting(bytes: Uint8Array): number | undefined {
  const reader = new ByteReader(bytes, "be");
  const isNbd = reader.u32() === INIT_PASSWD[0] && reader.u32() === INIT_PASSWD[1];
  const isNewstyle = reader.u32() === OPTS_MAGIC[0] && reader.u32() === OPTS_MAGIC[1];
  const flags = reader.u16();
  return isNbd && isNewstyle && !reader.overran ? flags : undefined;
}

/** The client's flags: what it says first. */
export function encodeClientFlags(flags: number): Uint8Array {
  const bytes = new Uint8Array(CLIENT_FLAGS_BYTES);
  new ByteWriter(bytes, "be").u32(flags);
  return bytes;
}

/** One option with its payload. */
export function encodeOption(option: number, payload: Uint8Array = NO_BYTES): Uint8Array {
  const bytes = new Uint8Array(OPTION_HEADER_BYTES + payload.length);
  new ByteWriter(bytes, "be")
    .u32(OPTS_MAGIC[0])
    .u32(OPTS_MAGIC[1])
    .u32(option)
    .u32(payload.length)
    .put(payload);
  return bytes;
}

/** Payload of GO: the export's name and the NBD_INFO types asked for. */
export function encodeExportRequest(exportName: string, types: readonly number[]): Uint8Array {
  const name = encoder.encode(exportName);
  const bytes = new Uint8Array(4 + name.length + 2 + 2 * types.length);
  const writer = new ByteWriter(bytes, "be").u32(name.length).put(name).u16(types.length);
  for (const type of types) writer.u16(type);
  return bytes;
}

/** Payload of SET_META_CONTEXT with one query. */
export function encodeContextRequest(exportName: string, query: string): Uint8Array {
  const name = encoder.encode(exportName);
  const context = encoder.encode(query);
  const bytes = new Uint8Array(4 + name.length + 4 + 4 + context.length);
  const writer = new ByteWriter(bytes, "be").u32(name.length).put(name);
  writer.u32(1).u32(context.length).put(context);
  return bytes;
}

/** The 20 bytes before a reply's payload; undefined when they do not start with the magic. */
export function decodeReplyHeader(bytes: Uint8Array): ReplyHeader | undefined {
  const reader = new ByteReader(bytes, "be");
  const isReply = reader.u32() === REP_MAGIC[0] && reader.u32() === REP_MAGIC[1];
  const header = { option: reader.u32(), type: reader.u32(), lengthBytes: reader.u32() };
  return isReply && !reader.overran ? header : undefined;
}

/** The NBD_INFO type that a payload of REP_INFO begins with; undefined when it is too short. */
export function informationType(bytes: Uint8Array): number | undefined {
  const reader = new ByteReader(bytes, "be");
  const type = reader.u16();
  return reader.overran ? undefined : type;
}

/** NBD_INFO_EXPORT: size and transmission flags; undefined when it is malformed. */
export function decodeExportInformation(
  bytes: Uint8Array,
): { readonly sizeBytes: bigint; readonly flags: number } | undefined {
  const reader = new ByteReader(bytes.subarray(2), "be");
  const information = { sizeBytes: reader.u64(), flags: reader.u16() };
  return reader.overran || reader.remaining > 0 ? undefined : information;
}

/** NBD_INFO_BLOCK_SIZE; undefined when it is malformed. */
export function decodeBlockSizes(bytes: Uint8Array): BlockSizes | undefined {
  const reader = new ByteReader(bytes.subarray(2), "be");
  const sizes = { minimum: reader.u32(), preferred: reader.u32(), maximum: reader.u32() };
  return reader.overran || reader.remaining > 0 ? undefined : sizes;
}

/** Payload of REP_META_CONTEXT; undefined when it is malformed. */
export function decodeContextEntry(
  bytes: Uint8Array,
): { readonly id: number; readonly name: string } | undefined {
  const reader = new ByteReader(bytes, "be");
  const id = reader.u32();
  const name = decodeString(reader.take(reader.remaining));
  return reader.overran || name === undefined ? undefined : { id, name };
}
