/**
 * The rules that every request must pass BEFORE it reaches the back end, in one function. Order: is
 * the command known, are its flags, may it write, is its range inside the export, aligned, not too
 * long. The first rule broken decides the error.
 * Source: NBD protocol doc/proto.md, "Error values", "Command flags", "Block size constraints".
 */
import {
  NBD_CMD_BLOCK_STATUS,
  NBD_CMD_FLAG_DF,
  NBD_CMD_FLAG_FAST_ZERO,
  NBD_CMD_FLAG_FUA,
  NBD_CMD_FLAG_NO_HOLE,
  NBD_CMD_FLAG_REQ_ONE,
  NBD_CMD_FLUSH,
  NBD_CMD_READ,
  NBD_CMD_TRIM,
  NBD_CMD_WRITE,
  NBD_CMD_WRITE_ZEROES,
} from "./constants.ts";
import { NBD_EINVAL, NBD_ENOSPC, NBD_EOVERFLOW, NBD_EPERM } from "./export-backend.ts";
import type { Session } from "./negotiation.ts";
import type { RequestFields } from "./request-codec.ts";
import { maximumPayload } from "./transmission-flags.ts";

/** Why a request is refused: the error number and a sentence for the client's user. */
export interface Refusal {
  readonly errno: number;
  readonly message: string;
}

/** The limits of one session, looked up once so that checking a request costs little. */
export interface RequestLimits {
  readonly sizeBytes: number;
  readonly readOnly: boolean;
  readonly structuredReplies: boolean;
  readonly hasContexts: boolean;
  /** Offsets and lengths are multiples of minimumBlock, a power of two. */
  readonly minimumBlock: number;
  readonly maximumPayload: number;
}

const refusal = (errno: number, message: string): Refusal => ({ errno, message });

export const UNKNOWN_COMMAND = refusal(NBD_EINVAL, "the command is not known here");
export const UNKNOWN_FLAG = refusal(NBD_EINVAL, "a flag does not fit the command");
export const DF_NOT_AGREED = refusal(NBD_EINVAL, "DF needs structured replies");
export const FLUSH_WITH_RANGE = refusal(NBD_EINVAL, "flush takes neither offset nor length");
export const NO_CONTEXT = refusal(NBD_EINVAL, "no metadata context was set");
export const READ_ONLY = refusal(NBD_EPERM, "the export is read-only");
export const EMPTY_RANGE = refusal(NBD_EINVAL, "the length is zero");
export const READ_PAST_END = refusal(NBD_EINVAL, "the range ends past the end of the export");
export const WRITE_PAST_END = refusal(NBD_ENOSPC, "the range ends past the end of the export");
export const UNALIGNED = refusal(NBD_EINVAL, "the range is not aligned to the minimum block size");
export const TOO_LONG = refusal(NBD_EINVAL, "the length is above the maximum block size");
export const TOO_LONG_FOR_ONE_CHUNK = refusal(NBD_EOVERFLOW, "too long for one chunk");

/**
 * Flags that fit each command. FUA fits all: "the server MUST accept all commands with this bit".
 */
const FLAGS_OF_COMMAND: readonly (number | undefined)[] = [
  /* READ */ NBD_CMD_FLAG_FUA | NBD_CMD_FLAG_DF,
  /* WRITE */ NBD_CMD_FLAG_FUA,
  /* DISC */ undefined,
  /* FLUSH */ NBD_CMD_FLAG_FUA,
  /* TRIM */ NBD_CMD_FLAG_FUA,
  /* CACHE */ NBD_CMD_FLAG_FUA,
  /* WRITE_ZEROES */ NBD_CMD_FLAG_FUA | NBD_CMD_FLAG_NO_HOLE | NBD_CMD_FLAG_FAST_ZERO,
  /* BLOCK_STATUS */ NBD_CMD_FLAG_FUA | NBD_CMD_FLAG_REQ_ONE,
];

/** The limits of `session`; the export's size is fixed for the connection's lifetime. */
export function requestLimits(session: Session): RequestLimits {
  const { entry } = session;
  return {
    sizeBytes: entry.backend.sizeBytes,
    readOnly: entry.backend.readOnly,
    structuredReplies: session.structuredReplies,
    hasContexts: session.contexts.length > 0,
    minimumBlock: entry.minimumBlock,
    maximumPayload: maximumPayload(entry),
  };
}

/**
 * The first rule that `request` breaks; null when it may be dispatched. DISC does not come here.
 */
export function checkRequest(request: RequestFields, limits: RequestLimits): Refusal | null {
  const { command, flags, offset, lengthBytes } = request;
  const allowed = FLAGS_OF_COMMAND[command];
  if (allowed === undefined) return UNKNOWN_COMMAND;
  if ((flags & ~allowed) !== 0) return UNKNOWN_FLAG;
  if (command === NBD_CMD_FLUSH) {
    return offset === 0 && lengthBytes === 0 ? null : FLUSH_WITH_RANGE;
  }
  const writes =
    command === NBD_CMD_WRITE || command === NBD_CMD_TRIM || command === NBD_CMD_WRITE_ZEROES;
  if (writes && limits.readOnly) return READ_ONLY;
  if (lengthBytes === 0) return EMPTY_RANGE;
  if (offset > limits.sizeBytes - lengthBytes) {
    // A trim past the end is EINVAL, unlike a write: doc/proto.md, "Error values".
    return writes && command !== NBD_CMD_TRIM ? WRITE_PAST_END : READ_PAST_END;
  }
  const belowBlock = limits.minimumBlock - 1;
  if (
    belowBlock !== 0 &&
    (offset % limits.minimumBlock !== 0 || (lengthBytes & belowBlock) !== 0)
  ) {
    return UNALIGNED;
  }
  if (command === NBD_CMD_READ) return checkRead(request, limits);
  if (command === NBD_CMD_WRITE && lengthBytes > limits.maximumPayload) return TOO_LONG;
  if (command === NBD_CMD_BLOCK_STATUS && !limits.hasContexts) return NO_CONTEXT;
  return null;
}

function checkRead(request: RequestFields, limits: RequestLimits): Refusal | null {
  const unfragmented = (request.flags & NBD_CMD_FLAG_DF) !== 0;
  if (unfragmented && !limits.structuredReplies) return DF_NOT_AGREED;
  if (request.lengthBytes <= limits.maximumPayload) return null;
  return unfragmented ? TOO_LONG_FOR_ONE_CHUNK : TOO_LONG;
}
