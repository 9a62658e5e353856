/**
 * Writes the replies of one connection into its reply queue, simple or structured as negotiated.
 * A successful reply without data is a simple one in both cases; errors are chunks with a sentence
 * when structured replies were agreed.
 * Source: NBD protocol doc/proto.md, "Structured reply chunk message".
 */
import { assert } from "../common/assert.ts";
import {
  DATA_CHUNK_HEAD_BYTES,
  NBD_CMD_BLOCK_STATUS,
  NBD_CMD_READ,
  SIMPLE_REPLY_BYTES,
} from "./constants.ts";
import {
  NBD_EINVAL,
  NBD_EIO,
  NBD_ENOMEM,
  NBD_ENOSPC,
  NBD_ENOTSUP,
  NBD_EOVERFLOW,
  NBD_EPERM,
  NBD_ESHUTDOWN,
} from "./export-backend.ts";
import { contextId } from "./metadata-context.ts";
import type { Session } from "./negotiation.ts";
import type { PayloadAccount } from "./payload-budget.ts";
import {
  encodeDataHead,
  encodeErrorChunk,
  encodeSimpleReply,
  encodeStatusChunk,
  errorChunkBytes,
  statusChunkBytes,
} from "./reply-codec.ts";
import type { ReplyQueue } from "./reply-queue.ts";
import type { NbdRequest } from "./request.ts";
import type { Refusal } from "./request-rules.ts";

const encoder = new TextEncoder();
/** What the back end's errors mean, for the client's user. An unknown error is told as EIO. */
const MESSAGES: ReadonlyMap<number, Uint8Array> = new Map(
  (
    [
      [NBD_EPERM, "the export does not take writes now"],
      [NBD_EIO, "input/output error of the array"],
      [NBD_ENOMEM, "the server is out of memory"],
      [NBD_EINVAL, "the array refused the request"],
      [NBD_ENOSPC, "no space left under the array"],
      [NBD_EOVERFLOW, "the range is too large"],
      [NBD_ENOTSUP, "not faster than writing zeroes"],
      [NBD_ESHUTDOWN, "the array is being stopped"],
    ] as const
  ).map(([errno, text]) => [errno, encoder.encode(text)]),
);
const EIO_MESSAGE = encoder.encode("input/output error of the array");
/** An error's offset lies within the request's range; a flush has none. libnbd hangs up else. */
const offsetOf = ({ offset, lengthBytes }: NbdRequest): number | null =>
  lengthBytes === 0 ? null : offset;
const refusalMessages = new WeakMap<Refusal, Uint8Array>();

export class ReplyWriter {
  readonly #session: Session;
  readonly #replies: ReplyQueue;
  readonly #account: PayloadAccount;
  readonly #readHeadBytes: number;

  constructor(session: Session, replies: ReplyQueue, account: PayloadAccount) {
    this.#session = session;
    this.#replies = replies;
    this.#account = account;
    this.#readHeadBytes = session.structuredReplies ? DATA_CHUNK_HEAD_BYTES : SIMPLE_REPLY_BYTES;
  }

  /** Bytes that a read or write holds while it is under way: a read's whole reply. */
  payloadBytes(request: NbdRequest): number {
    const head = request.command === NBD_CMD_READ ? this.#readHeadBytes : 0;
    return head + request.lengthBytes;
  }

  /** Reserves the reply of a read. AFTER its payload bytes are held. */
  placeRead(request: NbdRequest): void {
    request.slab = this.#replies.place(this.payloadBytes(request));
    request.placedAt = this.#replies.placedAt;
  }

  /** Where the back end puts the data of a read. */
  readTarget(request: NbdRequest): Uint8Array {
    const { slab } = request;
    assert(slab !== null, "a read has no reply placed");
    const start = slab.bytes.byteOffset + request.placedAt + this.#readHeadBytes;
    return new Uint8Array(slab.bytes.buffer, start, request.lengthBytes);
  }

  /** The reply to a request that the back end completed. */
  reply(request: NbdRequest, errno: number): void {
    if (errno !== 0) {
      this.giveUp(request);
      const known = MESSAGES.get(errno);
      const message = known ?? EIO_MESSAGE;
      this.#error(request, known === undefined ? NBD_EIO : errno, message, offsetOf(request));
    } else if (request.command === NBD_CMD_READ) this.#data(request);
    else if (request.command === NBD_CMD_BLOCK_STATUS) this.#status(request);
    else this.#simple(request, 0);
  }

  /** The reply to a request that broke a rule and was not dispatched. */
  refuse(request: NbdRequest, refusal: Refusal): void {
    let message = refusalMessages.get(refusal);
    if (message === undefined) {
      message = encoder.encode(refusal.message);
      refusalMessages.set(refusal, message);
    }
    this.#error(request, refusal.errno, message, null);
  }

  /** Lets go of the reply reserved for a read, if any. */
  giveUp(request: NbdRequest): void {
    if (request.slab === null) return;
    this.#account.free(this.payloadBytes(request));
    this.#replies.cancel(request.slab);
    request.slab = null;
  }

  #data(request: NbdRequest): void {
    const { slab, placedAt, lengthBytes } = request;
    assert(slab !== null, "a read has no reply placed");
    if (this.#session.structuredReplies) {
      encodeDataHead(slab.view, placedAt, request, request.offset, lengthBytes);
    } else encodeSimpleReply(slab.view, placedAt, request, 0);
    this.#replies.commit(slab, placedAt, placedAt + this.#readHeadBytes + lengthBytes);
  }

  #simple(request: NbdRequest, errno: number): void {
    this.#account.hold(SIMPLE_REPLY_BYTES);
    const slab = this.#replies.place(SIMPLE_REPLY_BYTES);
    const at = this.#replies.placedAt;
    encodeSimpleReply(slab.view, at, request, errno);
    this.#replies.commit(slab, at, at + SIMPLE_REPLY_BYTES);
  }

  #error(request: NbdRequest, errno: number, message: Uint8Array, offset: number | null): void {
    if (!this.#session.structuredReplies) {
      this.#simple(request, errno);
      return;
    }
    const size = errorChunkBytes(message, offset);
    this.#account.hold(size);
    const slab = this.#replies.place(size);
    const at = this.#replies.placedAt;
    encodeErrorChunk(slab.view, at, request, errno, message, offset);
    this.#replies.commit(slab, at, at + size);
  }

  /** One chunk per metadata context, in the order of the session's contexts. */
  #status(request: NbdRequest): void {
    const { contexts } = this.#session;
    for (const [index, context] of contexts.entries()) {
      const extents = request.extents[index];
      assert(extents !== undefined && extents.length > 0, `no extents of ${context}`);
      const size = statusChunkBytes(extents.length);
      this.#account.hold(size);
      const slab = this.#replies.place(size);
      const at = this.#replies.placedAt;
      const isLast = index === contexts.length - 1;
      encodeStatusChunk(slab.view, at, request, contextId(context), extents, isLast);
      this.#replies.commit(slab, at, at + size);
    }
  }
}
