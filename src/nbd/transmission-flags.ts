/**
 * What an export offers in the transmission phase.
 * Source: NBD protocol doc/proto.md, "Transmission flags", "Block size constraints".
 */
import {
  NBD_FLAG_CAN_MULTI_CONN,
  NBD_FLAG_HAS_FLAGS,
  NBD_FLAG_READ_ONLY,
  NBD_FLAG_SEND_CACHE,
  NBD_FLAG_SEND_DF,
  NBD_FLAG_SEND_FAST_ZERO,
  NBD_FLAG_SEND_FLUSH,
  NBD_FLAG_SEND_FUA,
  NBD_FLAG_SEND_TRIM,
  NBD_FLAG_SEND_WRITE_ZEROES,
  PAYLOAD_MAX_BYTES,
} from "./constants.ts";
import type { ExportEntry } from "./export-backend.ts";

const ALWAYS =
  NBD_FLAG_HAS_FLAGS |
  NBD_FLAG_SEND_FLUSH |
  NBD_FLAG_SEND_FUA |
  NBD_FLAG_SEND_CACHE |
  NBD_FLAG_CAN_MULTI_CONN;
const WRITABLE = NBD_FLAG_SEND_TRIM | NBD_FLAG_SEND_WRITE_ZEROES | NBD_FLAG_SEND_FAST_ZERO;

/** The 16 transmission flags of an export. */
export function transmissionFlags(entry: ExportEntry, structuredReplies: boolean): number {
  const access = entry.backend.readOnly ? NBD_FLAG_READ_ONLY : WRITABLE;
  return ALWAYS | access | (structuredReplies ? NBD_FLAG_SEND_DF : 0);
}

/** The longest read or write of an export in bytes: its own limit, within the server's. */
export function maximumPayload(entry: ExportEntry): number {
  return Math.min(entry.maximumPayload, PAYLOAD_MAX_BYTES);
}
