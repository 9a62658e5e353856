/**
 * The transmission phase of one client connection: requests are sent in batches, one for each turn
 * of the event loop; a batch is one write to the socket. Answers are taken in place as they come,
 * in any order. How much may be under way is its owner's choice (`hasRoom`).
 *
 * It has no clock: its owner looks at it now and then (`look`), asks by `probe`, and cuts it.
 *
 * Source: NBD protocol doc/proto.md, "Transmission".
 */
import type { Socket } from "node:net";
import { assert } from "../common/assert.ts";
import type { CodedError } from "../common/errors.ts";
import { type Attached, resetSocket } from "./client-connect-driver.ts";
import { lost, misbehaved } from "./client-errors.ts";
import type { Agreed } from "./client-handshake.ts";
import { ReplyParser, type RequestsUnderWay } from "./client-reply-parser.ts";
import { ClientRequest } from "./client-request.ts";
import { NBD_CMD_DISC, NBD_CMD_READ, REQUEST_BYTES } from "./constants.ts";
import type { ReceiveQueue } from "./receive-queue.ts";
import { encodeRequest } from "./request-codec.ts";

const KIB = 1024;
const MIB = 1024 * KIB;
/** Requests under way; servers take 128 at least, one is left for the probe. Choice. */
const REQUESTS_MAX = 64;
/** Payload bytes under way. Choice: a round trip of 1 ms at 50 Gbit/s. */
const PAYLOAD_MAX = 8 * MIB;
/** Requests are written into blocks of this size, each byte of one once. */
const HEADERS_BYTES = 16 * KIB;
/** A server that does not answer the good-bye is left after this. */
const CLOSING_MS = 2_000;

/**
 * `heard`: something came; `idle`: it owes nothing; `fresh`: it owes answers only since the last
 * look; `silent`: it owes answers and gave none.
 */
export type ConnectionLook = "heard" | "idle" | "fresh" | "silent";

export interface ClientConnectionOwner {
  /**
   * The connection has ended, unasked; `unanswered`, in the order in which they were sent, are the
   * owner's again. Whether the server carries them out is not known.
   */
  onEnded(error: CodedError, unanswered: ClientRequest[]): void;
}

export class NbdClientConnection implements RequestsUnderWay {
  readonly agreed: Agreed;
  readonly #attached: Attached;
  readonly #socket: Socket;
  readonly #received: ReceiveQueue;
  readonly #owner: ClientConnectionOwner;
  readonly #parser: ReplyParser;
  /** By the low half of their cookies; the high half counts the uses of a slot. */
  readonly #slots: (ClientRequest | null)[] = new Array<null>(REQUESTS_MAX + 1).fill(null);
  readonly #uses = new Uint32Array(REQUESTS_MAX + 1);
  readonly #free: number[] = this.#slots.map((_, slot) => slot);
  readonly #sendLater = (): void => this.#send();
  readonly #probe: ClientRequest;
  #underWay = 0;
  #payloadBytes = 0;
  #sequence = 0;
  #isProbing = false;
  #wasHeard = false;
  #isFresh = false;
  #isEnded = false;
  #outgoing: Uint8Array[] = [];
  #headers = new Uint8Array(0);
  #headersView = new DataView(this.#headers.buffer);
  /** Headers written, and from where on they are not in `outgoing` yet. */
  #headersEnd = 0;
  #headersSent = 0;
  #isSending = false;

  /** Takes the socket over; answers that came with the handshake are a fault. */
  constructor(attached: Attached, owner: ClientConnectionOwner) {
    this.agreed = attached.agreed;
    this.#attached = attached;
    this.#socket = attached.socket;
    this.#received = attached.received;
    this.#owner = owner;
    this.#parser = new ReplyParser(this, attached.agreed);
    this.#probe = new ClientRequest({ onAnswered: () => this.#onProbed() });
    const { server } = attached.target;
    const socket = this.#socket;
    socket.on("data", (chunk: Uint8Array) => this.#onData(chunk));
    socket.on("end", () => this.cut(lost(server, "it ended the connection")));
    socket.on("error", (error) => this.cut(lost(server, error.message, error)));
    socket.on("close", () => this.cut(lost(server, "the connection was cut")));
    if (socket.destroyed) process.nextTick(() => this.cut(lost(server, "the connection was cut")));
    else socket.resume();
  }

  /** Requests under way. */
  get underWay(): number {
    return this.#underWay;
  }

  /** For comparing connections: requests count as the bytes that they are worth on the wire. */
  get load(): number {
    return this.#payloadBytes + this.#underWay * KIB;
  }

  /** True while another request with this much payload may be sent; one always may alone. */
  hasRoom(payloadBytes: number): boolean {
    if (this.#underWay === 0) return true;
    return this.#underWay < REQUESTS_MAX && this.#payloadBytes + payloadBytes <= PAYLOAD_MAX;
  }

  /** How it did since the last call. */
  look(): ConnectionLook {
    const busy = this.#isFresh ? "fresh" : "silent";
    const look = this.#underWay === 0 ? "idle" : busy;
    const wasHeard = this.#wasHeard;
    this.#isFresh = false;
    this.#wasHeard = false;
    return wasHeard ? "heard" : look;
  }

  /** Sends it with what else is sent in this turn. BEFORE it: `hasRoom`. */
  submit(request: ClientRequest): void {
    this.#isFresh ||= this.#underWay === 0;
    this.#underWay += 1;
    this.#payloadBytes += request.payloadBytes;
    this.#enqueue(request);
  }

  /**
   * Asks for what every server refuses at once, a read behind the end: whatever its disk does, an
   * answer shows that it is there.
   */
  probe(): void {
    if (this.#isProbing || this.#isEnded) return;
    this.#isProbing = true;
    this.#probe.command = NBD_CMD_READ;
    this.#probe.offset = this.agreed.sizeBytes;
    this.#probe.lengthBytes = this.agreed.sizes.minimum;
    this.#probe.target = new Uint8Array(this.agreed.sizes.minimum);
    this.#enqueue(this.#probe);
  }

  /** Ends it at once; what was not sent yet is never sent. */
  cut(error: CodedError): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#outgoing = [];
    resetSocket(this.#socket, this.#attached.wire);
    this.#received.clear();
    const unanswered = this.#slots
      .filter((request) => request !== null && request !== this.#probe)
      .map((request) => request as ClientRequest)
      .sort((a, b) => a.sequence - b.sequence);
    this.#slots.fill(null);
    this.#underWay = 0;
    this.#payloadBytes = 0;
    this.#owner.onEnded(error, unanswered);
  }

  /**
   * Says good-bye and resolves when the server has hung up, or did not for long. Its owner hears
   * nothing more of it. BEFORE it, all is answered.
   */
  disconnect(): Promise<void> {
    const socket = this.#socket;
    if (this.#isEnded || socket.destroyed) return Promise.resolve();
    this.#isEnded = true;
    const bye = new Uint8Array(REQUEST_BYTES);
    const fields = { flags: 0, cookieHigh: 0, cookieLow: 0, offset: 0, lengthBytes: 0 };
    encodeRequest(new DataView(bye.buffer), 0, { ...fields, command: NBD_CMD_DISC });
    const { promise, resolve } = Promise.withResolvers<void>();
    socket.once("close", () => resolve());
    socket.setTimeout(CLOSING_MS, () => resetSocket(socket, this.#attached.wire));
    socket.end(bye);
    return promise;
  }

  find(cookieHigh: number, cookieLow: number): ClientRequest | null {
    const request = this.#slots[cookieLow] ?? null;
    return request?.cookieHigh === cookieHigh ? request : null;
  }

  answered(request: ClientRequest): void {
    this.#slots[request.cookieLow] = null;
    this.#free.push(request.cookieLow);
    if (request !== this.#probe) {
      this.#underWay -= 1;
      this.#payloadBytes -= request.payloadBytes;
    }
    request.owner.onAnswered(request);
  }

  #onProbed(): void {
    this.#isProbing = false;
    this.#probe.reset();
  }

  #enqueue(request: ClientRequest): void {
    const slot = this.#free.pop();
    assert(slot !== undefined && !this.#isEnded, "more requests than a connection has room for");
    request.restart();
    const uses = ((this.#uses[slot] ?? 0) + 1) >>> 0;
    this.#uses[slot] = uses;
    request.cookieHigh = uses;
    request.cookieLow = slot;
    request.sequence = this.#sequence;
    this.#sequence += 1;
    this.#slots[slot] = request;
    this.#writeHeader(request);
    if (request.pieces.length > 0) {
      this.#closeHeaders();
      for (const piece of request.pieces) if (piece.length > 0) this.#outgoing.push(piece);
    }
    if (this.#isSending) return;
    this.#isSending = true;
    process.nextTick(this.#sendLater);
  }

  /** Headers without payload between them lie side by side and go out as one piece. */
  #writeHeader(request: ClientRequest): void {
    if (this.#headersEnd + REQUEST_BYTES > this.#headers.length) {
      this.#closeHeaders();
      this.#headers = new Uint8Array(HEADERS_BYTES);
      this.#headersView = new DataView(this.#headers.buffer);
      this.#headersEnd = 0;
      this.#headersSent = 0;
    }
    encodeRequest(this.#headersView, this.#headersEnd, request);
    this.#headersEnd += REQUEST_BYTES;
  }

  #closeHeaders(): void {
    if (this.#headersSent === this.#headersEnd) return;
    this.#outgoing.push(this.#headers.subarray(this.#headersSent, this.#headersEnd));
    this.#headersSent = this.#headersEnd;
  }

  #send(): void {
    this.#isSending = false;
    if (this.#isEnded) return;
    this.#closeHeaders();
    const pieces = this.#outgoing;
    this.#outgoing = [];
    const socket = this.#socket;
    if (pieces.length > 1) socket.cork();
    for (const piece of pieces) socket.write(piece);
    if (pieces.length > 1) socket.uncork();
  }

  #onData(chunk: Uint8Array): void {
    if (this.#isEnded) return;
    this.#wasHeard = true;
    this.#received.push(chunk, null);
    const fault = this.#parser.parse(this.#received);
    if (fault !== null) this.cut(misbehaved(this.#attached.target.server, fault));
  }
}
