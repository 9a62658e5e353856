/**
 * Messages as the value block of the `message` lock: the kernel's fields, and in bytes that it
 * leaves zero the sequence number and the sender's session epoch; `low` of METADATA_UPDATED, which
 * it leaves zero as well, is the events.
 *
 *   0 type u32 · 4 bitmap slot u32 · 8 low u64 · 16 high u64 · 24 uuid[16] · 40 raid_slot u32
 *   44 padding · 48 sequence number u64 · 56 session epoch u64                    little endian
 *
 * `raid_slot` is a device number, whatever its name says. Source: md-cluster.c struct cluster_msg.
 */
import { assert, assertNever } from "../../common/assert.ts";
import { ByteReader, ByteWriter, toSafeNumber } from "../../common/bytes.ts";
import { LVB_BYTES } from "../dlm/lvb-text.ts";
import { SLOTS_MAX, toBitmapSlot } from "../dlm/slot-table.ts";
import type { ClusterMessage, Envelope, UnknownMessage } from "./md-message.ts";

/** By code. Source: md-cluster.c enum msg_type. */
const TYPES: readonly ClusterMessage["type"][] = [
  "metadata-updated",
  "resyncing",
  "newdisk",
  "remove",
  "re-add",
  "bitmap-needs-sync",
  "change-capacity",
  "bitmap-resize",
];

const UUID_BYTES = 16;
const UUID = /^[0-9a-f]{32}$/;

/** Bytes that no sender can have written. Nobody may act on them, or acknowledge them. */
export interface Malformed {
  readonly type: "malformed";
  /** For people. */
  readonly why: string;
}

/** The fields that the types share. */
interface Fields {
  readonly low: number;
  readonly high: number;
  readonly uuid: string;
  readonly deviceNumber: number;
}

const NO_FIELDS: Fields = { low: 0, high: 0, uuid: "0".repeat(32), deviceNumber: 0 };

/** The value block. The envelope is our own: what does not fit fails an assertion. */
export const encodeMessage = ({ seq, origin, message }: Envelope): Uint8Array => {
  assert(message.type !== "unknown", "only known messages are sent");
  assert(origin.slot >= 1 && origin.slot <= SLOTS_MAX, `no member has the slot ${origin.slot}`);
  const { low, high, uuid, deviceNumber } = fieldsOf(message);
  assert(UUID.test(uuid), `${uuid} is no uuid of 32 hexadecimal digits`);
  const bytes = new Uint8Array(LVB_BYTES);
  const writer = new ByteWriter(bytes, "le")
    .u32(TYPES.indexOf(message.type))
    .u32(toBitmapSlot(origin.slot))
    .u64(low)
    .u64(high);
  for (let at = 0; at < UUID_BYTES; at += 1)
    writer.u8(Number.parseInt(uuid.slice(2 * at, 2 * at + 2), 16));
  writer.u32(deviceNumber).zeros(4).u64(seq).u64(origin.epoch);
  return bytes;
};

const fieldsOf = (message: ClusterMessage): Fields => {
  switch (message.type) {
    case "metadata-updated":
      return { ...NO_FIELDS, low: message.events, deviceNumber: message.deviceNumber };
    case "remove":
    case "re-add":
      return { ...NO_FIELDS, deviceNumber: message.deviceNumber };
    case "resyncing":
      assert(isRange(message.lo, message.hi), `[${message.lo}, ${message.hi}) is no range`);
      return { ...NO_FIELDS, low: message.lo, high: message.hi };
    case "newdisk":
      return { ...NO_FIELDS, uuid: message.uuid, deviceNumber: message.deviceNumber };
    case "bitmap-resize":
      return { ...NO_FIELDS, high: message.sectors };
    case "bitmap-needs-sync":
    case "change-capacity":
      return NO_FIELDS;
    default:
      return assertNever(message, "message");
  }
};

/** Sectors `[lo, hi)`, or none at all as 0, 0. */
const isRange = (lo: number, hi: number): boolean => lo < hi || (lo === 0 && hi === 0);

/** Reads any bytes. Never throws; what is no message is `malformed`. */
export const decodeMessage = (bytes: Uint8Array): Envelope | Malformed => {
  const reader = new ByteReader(bytes, "le");
  const code = reader.u32();
  const bitmapSlot = reader.u32();
  const low = toSafeNumber(reader.u64());
  const high = toSafeNumber(reader.u64());
  const uuid = toHex(reader.take(UUID_BYTES));
  const deviceNumber = reader.u32();
  reader.skip(4);
  const seq = toSafeNumber(reader.u64());
  const epoch = toSafeNumber(reader.u64());
  if (reader.overran) return malformed(`${bytes.length} bytes of ${LVB_BYTES}`);
  if (bitmapSlot >= SLOTS_MAX) return malformed(`bitmap slot ${bitmapSlot}`);
  if (low === undefined || high === undefined) return malformed("sectors or events beyond 2^53");
  if (seq === undefined || epoch === undefined) return malformed("a number beyond 2^53");
  const message = messageOf(code, { low, high, uuid, deviceNumber });
  if (message === null) return malformed(`no range: [${low}, ${high})`);
  return { seq, origin: { slot: bitmapSlot + 1, epoch }, message };
};

const messageOf = (code: number, fields: Fields): ClusterMessage | UnknownMessage | null => {
  const { low, high, uuid, deviceNumber } = fields;
  const type = TYPES[code];
  switch (type) {
    case undefined:
      return { type: "unknown", code };
    case "metadata-updated":
      return { type, deviceNumber, events: low };
    case "remove":
    case "re-add":
      return { type, deviceNumber };
    case "resyncing":
      return isRange(low, high) ? { type, lo: low, hi: high } : null;
    case "newdisk":
      return { type, uuid, deviceNumber };
    case "bitmap-resize":
      return { type, sectors: high };
    case "bitmap-needs-sync":
    case "change-capacity":
      return { type };
    default:
      return assertNever(type, "message");
  }
};

const toHex = (bytes: Uint8Array): string =>
  Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");

const malformed = (why: string): Malformed => ({ type: "malformed", why });
