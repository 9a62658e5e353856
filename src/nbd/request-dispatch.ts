/** Hands a checked request to the back end of its export, command by command. */
import { assert } from "../common/assert.ts";
import {
  EXTENTS_MAX,
  NBD_CMD_BLOCK_STATUS,
  NBD_CMD_CACHE,
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
import type { BlockExtent } from "./export-backend.ts";
import type { Session } from "./negotiation.ts";
import type { ReplyWriter } from "./reply-writer.ts";
import type { NbdRequest } from "./request.ts";

/** AFTER `checkRequest` passed it; a write has its pieces, a read its reply placed. */
export function dispatchRequest(request: NbdRequest, session: Session, writer: ReplyWriter): void {
  const { backend } = session.entry;
  const { command, flags, offset, lengthBytes, complete } = request;
  const fua = (flags & NBD_CMD_FLAG_FUA) !== 0;
  request.handToBackend();
  switch (command) {
    case NBD_CMD_READ:
      backend.read(writer.readTarget(request), offset, complete);
      return;
    case NBD_CMD_WRITE:
      backend.write(request.pieces, offset, fua, complete);
      return;
    case NBD_CMD_FLUSH:
      backend.flush(complete);
      return;
    case NBD_CMD_TRIM:
      backend.trim(offset, lengthBytes, fua, complete);
      return;
    case NBD_CMD_WRITE_ZEROES: {
      const mayPunch = (flags & NBD_CMD_FLAG_NO_HOLE) === 0;
      const fast = (flags & NBD_CMD_FLAG_FAST_ZERO) !== 0;
      backend.writeZeroes(offset, lengthBytes, { fua, mayPunch, fast }, complete);
      return;
    }
    case NBD_CMD_CACHE:
      backend.cache(offset, lengthBytes, complete);
      return;
    case NBD_CMD_BLOCK_STATUS:
      collectExtents(request, session);
      return;
    default:
      assert(false, `command ${command} was let through`);
  }
}

/** Asks for every context that the client set, and completes the request with the last answer. */
function collectExtents(request: NbdRequest, session: Session): void {
  const { flags, offset, lengthBytes, complete } = request;
  const { contexts, entry } = session;
  const extentsMax = (flags & NBD_CMD_FLAG_REQ_ONE) === 0 ? EXTENTS_MAX : 1;
  const answers = new Array<readonly BlockExtent[]>(contexts.length).fill([]);
  let open = contexts.length;
  let failure = 0;
  for (const [index, context] of contexts.entries()) {
    entry.backend.blockStatus(context, offset, lengthBytes, extentsMax, (errno, extents) => {
      if (errno !== 0) failure = errno;
      answers[index] = extents;
      open -= 1;
      if (open > 0) return;
      request.extents = answers;
      complete(failure);
    });
  }
}
