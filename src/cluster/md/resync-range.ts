/**
 * The value block of a bitmap's lock: the sectors that the node resyncs, which a node that joins
 * reads. Two u64, little endian: lo, hi; 0, 0: none. Source: md-cluster.c struct resync_info.
 */
import { assert } from "../../common/assert.ts";
import { ByteReader, ByteWriter, toSafeNumber } from "../../common/bytes.ts";
import { LVB_BYTES } from "../dlm/lvb-text.ts";

/** Sectors `[lo, hi)`, `lo < hi`. */
export interface ResyncRange {
  readonly lo: number;
  readonly hi: number;
}

/** The value block for a range, or for none. */
export const encodeResyncRange = (range: ResyncRange | null): Uint8Array => {
  const { lo, hi } = range ?? { lo: 0, hi: 0 };
  assert(range === null || lo < hi, `[${lo}, ${hi}) is no range`);
  const bytes = new Uint8Array(LVB_BYTES);
  new ByteWriter(bytes, "le").u64(lo).u64(hi);
  return bytes;
};

/**
 * Reads any bytes. Null: no range; `malformed`: nobody can have written this, and the reader has to
 * take the whole array for suspended. A range from 0 is a range: only `hi` 0 means none.
 */
export const decodeResyncRange = (bytes: Uint8Array): ResyncRange | null | "malformed" => {
  const reader = new ByteReader(bytes, "le");
  const lo = toSafeNumber(reader.u64());
  const hi = toSafeNumber(reader.u64());
  if (reader.overran || lo === undefined || hi === undefined) return "malformed";
  if (lo === 0 && hi === 0) return null;
  return lo < hi ? { lo, hi } : "malformed";
};
