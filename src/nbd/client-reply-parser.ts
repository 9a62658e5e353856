/**
 * Takes the replies of a server out of what was received, in place: a read's data goes straight to
 * where it was asked for. The bytes may be hostile: nothing is written outside the request that a
 * reply names, and the first thing that breaks the protocol ends the parsing for good.
 *
 *   head ─┬─► data (of a simple reply, of OFFSET_DATA) ─► head
 *         ├─► extents ─► head
 *         └─► (NONE, hole, error: at once) ─► head
 *
 * Chunks with data are taken in the order of their offsets only: without DF a server may send
 * others, none does.
 * Source: NBD protocol doc/proto.md, "Simple reply message", "Structured reply chunk message".
 */
import { assert } from "../common/assert.ts";
import { appendRun } from "../hal/allocation-runs.ts";
import type { ClientRequest } from "./client-request.ts";
import {
  NBD_CMD_BLOCK_STATUS,
  NBD_CMD_READ,
  NBD_REPLY_FLAG_DONE,
  NBD_REPLY_TYPE_BLOCK_STATUS,
  NBD_REPLY_TYPE_ERROR_BIT,
  NBD_REPLY_TYPE_NONE,
  NBD_REPLY_TYPE_OFFSET_DATA,
  NBD_REPLY_TYPE_OFFSET_HOLE,
  NBD_SIMPLE_REPLY_MAGIC,
  NBD_STATE_HOLE,
  NBD_STATE_ZERO,
  NBD_STRUCTURED_REPLY_MAGIC,
  SIMPLE_REPLY_BYTES,
  STRING_MAX_BYTES,
  STRUCTURED_REPLY_BYTES,
} from "./constants.ts";
import { NBD_EIO } from "./export-backend.ts";
import { decodeString } from "./option-codec.ts";
import type { ReceiveQueue } from "./receive-queue.ts";

/** The requests under way. */
export interface RequestsUnderWay {
  /** The one with this cookie; null: there is none. */
  find(cookieHigh: number, cookieLow: number): ClientRequest | null;
  /** Its answer is complete. */
  answered(request: ClientRequest): void;
}

/** How replies look on this connection. */
export interface ReplyForm {
  readonly structuredReplies: boolean;
  readonly allocationContext: number | null;
}

/** An error chunk: number, length of the message, message, offset. */
const ERROR_MAX_BYTES = 6 + STRING_MAX_BYTES + 8;
/** Extents of one chunk; the servers known send up to 2^17 of them. */
const STATUS_MAX_BYTES = 4 + 8 * 2 ** 20;
const U32_RANGE = 2 ** 32;
const HOLE_AND_ZERO = NBD_STATE_HOLE | NBD_STATE_ZERO;

/** What the parser does next. */
const PARSE_NEXT = 0;
const AWAIT_BYTES = 1;
const BROKEN = 2;

/** What comes next on the wire. */
const HEAD = 0;
const DATA_OFFSET = 1;
const DATA = 2;
const HOLE = 3;
const CONTEXT = 4;
const EXTENTS = 5;
const ERROR = 6;

export class ReplyParser {
  readonly #requests: RequestsUnderWay;
  readonly #form: ReplyForm;
  #stage = HEAD;
  #request: ClientRequest | null = null;
  /** Bytes of the payload that are still to come. */
  #left = 0;
  #isLast = false;
  #fault: string | null = null;

  constructor(requests: RequestsUnderWay, form: ReplyForm) {
    this.#requests = requests;
    this.#form = form;
  }

  /** Takes what is whole, and data as it comes. Null, or how the server broke the protocol. */
  parse(received: ReceiveQueue): string | null {
    let next = this.#fault === null ? PARSE_NEXT : BROKEN;
    while (next === PARSE_NEXT) next = this.#step(received);
    return this.#fault;
  }

  #step(received: ReceiveQueue): number {
    switch (this.#stage) {
      case DATA_OFFSET:
        return received.available < 8 ? AWAIT_BYTES : this.#onDataOffset(received);
      case DATA:
        return this.#onData(received);
      case HOLE:
        return received.available < 12 ? AWAIT_BYTES : this.#onHole(received);
      case CONTEXT:
        return received.available < 4 ? AWAIT_BYTES : this.#onContext(received);
      case EXTENTS:
        return received.available < 8 ? AWAIT_BYTES : this.#onExtent(received);
      case ERROR:
        return received.available < this.#left ? AWAIT_BYTES : this.#onError(received);
      default:
        return received.available < SIMPLE_REPLY_BYTES ? AWAIT_BYTES : this.#onHead(received);
    }
  }

  #onHead(received: ReceiveQueue): number {
    received.locate(SIMPLE_REPLY_BYTES);
    const magic = received.view.getUint32(received.viewAt);
    if (magic === NBD_SIMPLE_REPLY_MAGIC) return this.#onSimple(received);
    if (magic !== NBD_STRUCTURED_REPLY_MAGIC) return this.#break("bad reply magic");
    if (!this.#form.structuredReplies) return this.#break("a structured reply was not agreed");
    return received.available < STRUCTURED_REPLY_BYTES ? AWAIT_BYTES : this.#onChunk(received);
  }

  #onSimple(received: ReceiveQueue): number {
    const { view, viewAt } = received;
    const errno = view.getUint32(viewAt + 4);
    const request = this.#find(view.getUint32(viewAt + 8), view.getUint32(viewAt + 12));
    if (request === null) return BROKEN;
    received.drop(SIMPLE_REPLY_BYTES);
    if (request.command === NBD_CMD_READ && this.#form.structuredReplies)
      return this.#break("a simple reply to a read");
    if (request.filled > 0 || request.told > 0)
      return this.#break("a simple reply after a structured one");
    this.#isLast = true;
    request.errno = errno;
    if (errno !== 0 || request.command !== NBD_CMD_READ) return this.#endChunk(request);
    this.#left = request.lengthBytes;
    this.#stage = DATA;
    return PARSE_NEXT;
  }

  #onChunk(received: ReceiveQueue): number {
    received.locate(STRUCTURED_REPLY_BYTES);
    const { view, viewAt } = received;
    const flags = view.getUint16(viewAt + 4);
    const type = view.getUint16(viewAt + 6);
    const request = this.#find(view.getUint32(viewAt + 8), view.getUint32(viewAt + 12));
    if (request === null) return BROKEN;
    this.#left = view.getUint32(viewAt + 16);
    this.#isLast = (flags & NBD_REPLY_FLAG_DONE) !== 0;
    received.drop(STRUCTURED_REPLY_BYTES);
    return this.#enterChunk(request, type);
  }

  #enterChunk(request: ClientRequest, type: number): number {
    const length = this.#left;
    if ((type & NBD_REPLY_TYPE_ERROR_BIT) !== 0)
      return this.#enter(ERROR, length >= 6 && length <= ERROR_MAX_BYTES);
    const isRead = request.command === NBD_CMD_READ;
    switch (type) {
      case NBD_REPLY_TYPE_NONE:
        if (length > 0 || !this.#isLast) return this.#break("a chunk without content has some");
        return this.#endChunk(request);
      case NBD_REPLY_TYPE_OFFSET_DATA:
        return this.#enter(DATA_OFFSET, isRead && length > 8);
      case NBD_REPLY_TYPE_OFFSET_HOLE:
        return this.#enter(HOLE, isRead && length === 12);
      case NBD_REPLY_TYPE_BLOCK_STATUS: {
        const isWhole = length >= 12 && length % 8 === 4 && length <= STATUS_MAX_BYTES;
        return this.#enter(CONTEXT, isWhole && request.command === NBD_CMD_BLOCK_STATUS);
      }
      default:
        return this.#break(`a chunk of the unknown type ${type}`);
    }
  }

  #enter(stage: number, isAllowed: boolean): number {
    if (!isAllowed) return this.#break("a chunk that does not fit the request");
    this.#stage = stage;
    return PARSE_NEXT;
  }

  #onDataOffset(received: ReceiveQueue): number {
    const offset = takeU64(received);
    this.#left -= 8;
    this.#stage = DATA;
    return this.#isNext(offset, this.#left) ? PARSE_NEXT : this.#break("data beyond the request");
  }

  /** True for the bytes that the request waits for next. */
  #isNext(offset: number, length: number): boolean {
    const { offset: start, filled, lengthBytes } = this.#current();
    return offset === start + filled && length > 0 && length <= lengthBytes - filled;
  }

  #onData(received: ReceiveQueue): number {
    const request = this.#current();
    if (request.target !== null) {
      const moved = received.moveInto(request.target, request.filled, this.#left);
      request.filled += moved;
      this.#left -= moved;
    }
    return this.#left > 0 ? AWAIT_BYTES : this.#endChunk(request);
  }

  #onHole(received: ReceiveQueue): number {
    const request = this.#current();
    const offset = takeU64(received);
    const length = takeU32(received);
    if (!this.#isNext(offset, length)) return this.#break("a hole beyond the request");
    request.target?.fill(0, request.filled, request.filled + length);
    request.filled += length;
    return this.#endChunk(request);
  }

  #onContext(received: ReceiveQueue): number {
    const context = takeU32(received);
    this.#left -= 4;
    this.#stage = EXTENTS;
    if (context !== this.#form.allocationContext)
      return this.#break("the state of a metadata context that was not asked for");
    const isFirst = this.#current().told === 0;
    return isFirst ? PARSE_NEXT : this.#break("two answers of one metadata context");
  }

  /** The last extent may end beyond the request; what does is cut off. */
  #onExtent(received: ReceiveQueue): number {
    const request = this.#current();
    const length = takeU32(received);
    const flags = takeU32(received);
    const asked = request.lengthBytes - request.told;
    if (length === 0 || asked <= 0) return this.#break("extents beyond the request");
    const isHole = (flags & HOLE_AND_ZERO) === HOLE_AND_ZERO;
    const { runs } = request;
    if (runs !== null && !request.hasAllRuns)
      request.hasAllRuns = !appendRun(runs, Math.min(length, asked), isHole);
    request.told += length;
    this.#left -= 8;
    return this.#left > 0 ? PARSE_NEXT : this.#endChunk(request);
  }

  #onError(received: ReceiveQueue): number {
    const request = this.#current();
    const payload = received.take(this.#left);
    const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
    const length = view.getUint16(4);
    if (6 + length > payload.length) return this.#break("an error longer than its chunk");
    if (request.errno === 0) {
      request.errno = view.getUint32(0) || NBD_EIO;
      request.said = decodeString(payload.subarray(6, 6 + length)) ?? "";
    }
    return this.#endChunk(request);
  }

  #endChunk(request: ClientRequest): number {
    this.#stage = HEAD;
    if (!this.#isLast) return PARSE_NEXT;
    const { command, errno, filled, lengthBytes } = request;
    if (errno === 0 && command === NBD_CMD_READ && filled !== lengthBytes)
      return this.#break("less data than was asked for");
    if (errno === 0 && command === NBD_CMD_BLOCK_STATUS && request.told === 0)
      return this.#break("a block status that tells nothing");
    this.#request = null;
    this.#requests.answered(request);
    return PARSE_NEXT;
  }

  /** Null, and broken, when no request has the cookie. */
  #find(cookieHigh: number, cookieLow: number): ClientRequest | null {
    const request = this.#requests.find(cookieHigh, cookieLow);
    if (request === null) this.#break("a reply to no request");
    this.#request = request;
    return request;
  }

  #current(): ClientRequest {
    assert(this.#request !== null, "no reply is being taken");
    return this.#request;
  }

  #break(what: string): number {
    this.#fault = what;
    return BROKEN;
  }
}

function takeU32(received: ReceiveQueue): number {
  received.locate(4);
  const value = received.view.getUint32(received.viewAt);
  received.drop(4);
  return value;
}

/** Above 2^53 it is rounded; it is then beyond any request all the same. */
function takeU64(received: ReceiveQueue): number {
  const high = takeU32(received);
  return high * U32_RANGE + takeU32(received);
}
