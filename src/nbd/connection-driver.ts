/**
 * The transmission phase of one connection: requests are parsed in place from the chunks that the
 * socket delivers, checked, and dispatched one by one while they last; replies of a batch go to the
 * socket as one write. What completes later is gathered until the event loop's check phase.
 *
 * It stops reading when too much is under way: requests, payload bytes, or replies that the client
 * does not take. It never waits for a promise and makes no closure per request.
 *
 *   open ─► draining (nothing more is parsed; requests under way are answered) ─► closed
 *
 * Source: NBD protocol doc/proto.md, "Transmission".
 */
import type { Socket } from "node:net";
import { assert } from "../common/assert.ts";
import type { BusyPoll } from "./busy-poll-driver.ts";
import {
  NBD_CMD_DISC,
  NBD_CMD_READ,
  NBD_CMD_WRITE,
  PAYLOAD_MAX_BYTES,
  REQUEST_BYTES,
} from "./constants.ts";
import type { InputBlock } from "./input-block.ts";
import type { IoStatistics } from "./io-statistics.ts";
import type { Session } from "./negotiation.ts";
import { type BudgetWaiter, PayloadAccount, type PayloadBudget } from "./payload-budget.ts";
import type { ReceiveQueue } from "./receive-queue.ts";
import { ReplyQueue } from "./reply-queue.ts";
import type { SlabPool } from "./reply-slab.ts";
import { ReplyWriter } from "./reply-writer.ts";
import { NbdRequest, type RequestOwner } from "./request.ts";
import { decodeRequest } from "./request-codec.ts";
import { dispatchRequest } from "./request-dispatch.ts";
import { checkRequest, type RequestLimits, requestLimits } from "./request-rules.ts";
import type { ConnectionLimits } from "./server-limits.ts";
import type { SocketInput } from "./socket-input-driver.ts";
import { sendNow } from "./socket-output-driver.ts";
import { NO_DEBT, type PeerDebt } from "./stall-watch.ts";

/** What the connections of a server share. */
export interface ConnectionSurroundings {
  readonly limits: ConnectionLimits;
  readonly budget: PayloadBudget;
  readonly slabs: SlabPool;
  readonly statistics: IoStatistics;
  /** Milliseconds of a monotonic clock. */
  readonly now: () => number;
  readonly poll: BusyPoll;
  /** Lets the socket of this descriptor hold about twice so many bytes; null: nobody can. */
  readonly makeRoom: ((fd: number, bytes: number) => void) | null;
}

/** More than a socket ever has waiting. */
const QUEUED_MAX = 2 ** 32;

/**
 * From its first read of this length on a unix socket holds more than the kernel's 208 KiB of
 * replies: twice what is asked for, a reply of a MiB. Choice: measured, docs/performance.md. What
 * TCP holds follows from the network, and the kernel knows that better.
 */
const LONG_READ_BYTES = 64 * 1024;
const ROOM_BYTES = 512 * 1024;

/** What the parser does next. */
const PARSE_NEXT = 0;
const AWAIT_BYTES = 1;
const AWAIT_ROOM = 2;

/** What the request in hand waits for. */
const NO_REQUEST = 0;
const ADMISSION = 1;
const PAYLOAD = 2;
const SKIPPING = 3;

export class NbdConnection implements RequestOwner, BudgetWaiter {
  readonly session: Session;
  readonly #input: SocketInput;
  readonly #socket: Socket;
  readonly #received: ReceiveQueue;
  readonly #around: ConnectionSurroundings;
  readonly #limits: RequestLimits;
  readonly #replies: ReplyQueue;
  readonly #writer: ReplyWriter;
  readonly #account: PayloadAccount;
  readonly #free: NbdRequest[] = [];
  readonly #onClosed: (reason: string) => void;
  readonly #onGone: () => void;
  readonly #sent = (error?: Error | null): void => {
    // A failed write closes the socket; what it did not send is dropped then.
    if (error !== undefined && error !== null) return;
    if (this.#socketClosed || this.#socket.destroyed) return;
    this.#onSent();
    if (this.#blocked) this.#pump();
  };
  readonly #late = (): void => this.#onLate();

  #phase: "open" | "draining" | "closed" = "open";
  #reason: string | null = null;
  #underWay = 0;
  #inHand: NbdRequest | null = null;
  #inHandStage = NO_REQUEST;
  #skipLeft = 0;
  #pumping = false;
  #blocked = false;
  #paused = false;
  #lateScheduled = false;
  #socketClosed = false;
  #ended = false;
  #readBytes = 0;
  #writtenBytes = 0;
  #requestCount = 0;
  #sentCount = 0;
  #hasRoom = false;
  /** The clock as last looked at: once per batch and per answer. */
  #lookAt = 0;

  /**
   * `received` holds what came after the handshake. `onGone`: the socket is closed; `onClosed`
   * AFTER the last request ended.
   */
  constructor(
    input: SocketInput,
    session: Session,
    received: ReceiveQueue,
    surroundings: ConnectionSurroundings,
    onClosed: (reason: string) => void,
    onGone: () => void = () => undefined,
  ) {
    this.session = session;
    this.#input = input;
    this.#socket = input.socket;
    this.#received = received;
    this.#around = surroundings;
    this.#limits = requestLimits(session);
    this.#replies = new ReplyQueue(surroundings.slabs);
    this.#account = new PayloadAccount(
      surroundings.budget,
      surroundings.limits.allowanceBytes,
      this,
    );
    this.#writer = new ReplyWriter(session, this.#replies, this.#account);
    this.#onClosed = onClosed;
    this.#onGone = onGone;
  }

  /** Takes the socket over: what was received is parsed, then what comes. */
  start(): void {
    const socket = this.#socket;
    socket.on("end", () => this.drain("closed by the client"));
    socket.on("error", (error) => this.#setReason(error.message));
    socket.on("close", () => this.#onSocketClose());
    this.#input.deliverTo((chunk, block) => this.#onData(chunk, block));
    this.#pump();
  }

  get readBytes(): number {
    return this.#readBytes;
  }

  get writtenBytes(): number {
    return this.#writtenBytes;
  }

  /** What the peer owes just now, for finding those that stall. */
  get debt(): PeerDebt {
    if (this.#ended) return { type: "closing", bytes: 0, progress: 0 };
    const unsent = this.#replies.unsentBytes;
    if (unsent > 0) return this.#readingDebt(unsent);
    const begun = this.#inHandStage === PAYLOAD || this.#inHandStage === SKIPPING;
    const owes = begun || (this.#inHandStage === NO_REQUEST && this.#received.available > 0);
    if (!owes || this.#paused || this.#phase !== "open") return NO_DEBT;
    const bytes = this.#inHand?.lengthBytes ?? 0;
    return { type: "message", bytes, progress: this.#requestCount };
  }

  /** Of a socket that tells what waits in it every byte taken counts, of others whole replies. */
  #readingDebt(unsent: number): PeerDebt {
    const { queuedBytes } = this.#input;
    if (queuedBytes === null) return { type: "reading", bytes: unsent, progress: this.#sentCount };
    return { type: "reading", bytes: 0, progress: this.#sentCount * QUEUED_MAX - queuedBytes };
  }

  /** Answers the requests under way, then closes. Nothing more is parsed. */
  drain(reason: string): void {
    if (this.#phase !== "open") return;
    this.#phase = "draining";
    this.#setReason(reason);
    this.#dropInHand();
    this.#received.clear();
    if (!this.#pumping) this.#settle();
  }

  /** Closes at once; requests under way end unanswered. */
  abort(reason: string): void {
    if (this.#phase === "open") {
      this.#phase = "draining";
      this.#setReason(reason);
      this.#dropInHand();
      this.#received.clear();
    }
    this.#socket.destroy();
  }

  onRequestDone(request: NbdRequest, errno: number): void {
    const { command, lengthBytes } = request;
    this.#lookAt = this.#around.now();
    const elapsed = this.#lookAt - request.startedAt;
    this.#around.statistics.record(command, errno, lengthBytes, elapsed);
    if (command === NBD_CMD_WRITE) {
      this.#account.free(lengthBytes);
      if (errno === 0) this.#writtenBytes += lengthBytes;
    } else if (command === NBD_CMD_READ && errno === 0) {
      this.#readBytes += lengthBytes;
    }
    if (this.#socketClosed) this.#writer.giveUp(request);
    else this.#writer.reply(request, errno);
    this.#recycle(request);
    if (!this.#pumping) this.#schedule();
  }

  onBudgetFreed(): void {
    this.#schedule();
  }

  #onData(chunk: Uint8Array, block: InputBlock | null): void {
    if (this.#phase !== "open") return;
    this.#received.push(chunk, block);
    const { poll } = this.#around;
    this.#pump();
    if (this.#underWay === 0) poll.rest(this.#lookAt);
  }

  /** Parses and dispatches as far as bytes and limits allow, then sends what is ready. */
  #pump(): void {
    if (this.#pumping) return;
    this.#pumping = true;
    this.#lookAt = this.#around.now();
    this.#around.poll.arrived(this.#lookAt);
    let next = PARSE_NEXT;
    while (next === PARSE_NEXT && this.#phase === "open") next = this.#step();
    this.#blocked = next === AWAIT_ROOM;
    this.#pumping = false;
    this.#settle();
  }

  #step(): number {
    switch (this.#inHandStage) {
      case ADMISSION:
        return this.#admit();
      case PAYLOAD:
        return this.#takePayload();
      case SKIPPING:
        return this.#skip();
      default:
        return this.#takeRequest();
    }
  }

  #takeRequest(): number {
    const { limits } = this.#around;
    if (this.#received.available < REQUEST_BYTES) return AWAIT_BYTES;
    if (this.#underWay >= limits.requestsMax) return AWAIT_ROOM;
    if (this.#replies.readyBytes >= limits.flushBytes) this.#flush();
    if (this.#replies.unsentBytes >= limits.unsentBytesMax) return AWAIT_ROOM;
    const request = this.#free.pop() ?? new NbdRequest(this);
    this.#received.locate(REQUEST_BYTES);
    if (!decodeRequest(this.#received.view, this.#received.viewAt, request)) {
      this.abort("bad request magic");
      return AWAIT_BYTES;
    }
    this.#received.drop(REQUEST_BYTES);
    this.#requestCount += 1;
    if (request.command === NBD_CMD_DISC) {
      this.drain("disconnected by the client");
      return AWAIT_BYTES;
    }
    request.startedAt = this.#lookAt;
    this.#underWay += 1;
    return this.#route(request);
  }

  /** Refuses the request, holds it until its payload is there, or dispatches it. */
  #route(request: NbdRequest): number {
    const refusal = checkRequest(request, this.#limits);
    if (refusal === null) {
      if (request.command !== NBD_CMD_READ && request.command !== NBD_CMD_WRITE) {
        dispatchRequest(request, this.session, this.#writer);
        return PARSE_NEXT;
      }
      this.#inHand = request;
      this.#inHandStage = ADMISSION;
      return this.#admit();
    }
    request.refusal = refusal;
    if (request.command !== NBD_CMD_WRITE) {
      this.#refuse(request);
      return PARSE_NEXT;
    }
    if (request.lengthBytes > PAYLOAD_MAX_BYTES) {
      this.#recycle(request);
      this.abort("write payload too long");
      return AWAIT_BYTES;
    }
    this.#inHand = request;
    this.#inHandStage = SKIPPING;
    this.#skipLeft = request.lengthBytes;
    return PARSE_NEXT;
  }

  #admit(): number {
    const request = this.#requestInHand();
    const bytes = this.#writer.payloadBytes(request);
    if (!this.#account.tryHold(bytes)) return AWAIT_ROOM;
    if (request.command === NBD_CMD_WRITE) {
      this.#inHandStage = PAYLOAD;
      return PARSE_NEXT;
    }
    this.#putDown();
    if (!this.#hasRoom && request.lengthBytes >= LONG_READ_BYTES) this.#makeRoom();
    this.#writer.placeRead(request);
    dispatchRequest(request, this.session, this.#writer);
    return PARSE_NEXT;
  }

  #makeRoom(): void {
    this.#hasRoom = true;
    const { fd, isLocal } = this.#input;
    if (isLocal && fd >= 0) this.#around.makeRoom?.(fd, ROOM_BYTES);
  }

  #takePayload(): number {
    const request = this.#requestInHand();
    if (this.#received.available < request.lengthBytes) return AWAIT_BYTES;
    this.#received.takePieces(request.lengthBytes, request.pieces, request.blocks);
    this.#putDown();
    dispatchRequest(request, this.session, this.#writer);
    return PARSE_NEXT;
  }

  #skip(): number {
    this.#skipLeft -= this.#received.drop(this.#skipLeft);
    if (this.#skipLeft > 0) return AWAIT_BYTES;
    const request = this.#requestInHand();
    this.#putDown();
    this.#refuse(request);
    return PARSE_NEXT;
  }

  #refuse(request: NbdRequest): void {
    const { refusal } = request;
    assert(refusal !== null, "a request is refused without a reason");
    const elapsed = this.#around.now() - request.startedAt;
    this.#around.statistics.record(request.command, refusal.errno, 0, elapsed);
    this.#writer.refuse(request, refusal);
    this.#recycle(request);
  }

  #requestInHand(): NbdRequest {
    assert(this.#inHand !== null, "no request is in hand");
    return this.#inHand;
  }

  #putDown(): void {
    this.#inHand = null;
    this.#inHandStage = NO_REQUEST;
  }

  /** Forgets the request whose payload or admission is awaited; it was not dispatched. */
  #dropInHand(): void {
    const request = this.#inHand;
    if (request === null) return;
    if (this.#inHandStage === PAYLOAD) this.#account.free(request.lengthBytes);
    if (this.#inHandStage === ADMISSION) this.#around.budget.leave(this);
    this.#skipLeft = 0;
    this.#putDown();
    this.#recycle(request);
  }

  #recycle(request: NbdRequest): void {
    this.#underWay -= 1;
    request.reset();
    this.#free.push(request);
  }

  /** Sends what is ready: at once as far as the socket takes it, the rest through its stream. */
  #flush(): void {
    const segments = this.#replies.handOver();
    const socket = this.#socket;
    const isCorked = segments.length > 1;
    if (isCorked) socket.cork();
    for (const { slab, start, end } of segments) {
      const took = sendNow(this.#input, slab.bytes, start, end - start);
      if (took === end - start) {
        this.#onSent();
        continue;
      }
      const { buffer, byteOffset } = slab.bytes;
      const from = start + took;
      socket.write(new Uint8Array(buffer, byteOffset + from, end - from), this.#sent);
    }
    if (isCorked) socket.uncork();
  }

  #onSent(): void {
    this.#sentCount += 1;
    this.#account.free(this.#replies.sent());
  }

  #schedule(): void {
    if (this.#lateScheduled) return;
    this.#lateScheduled = true;
    setImmediate(this.#late);
  }

  #onLate(): void {
    this.#lateScheduled = false;
    if (this.#blocked) this.#pump();
    else this.#settle();
  }

  /** Brings the socket in line: sends what is ready, reads or pauses, ends when all is answered. */
  #settle(): void {
    if (this.#socketClosed) {
      this.#finish();
      return;
    }
    if (this.#socket.destroyed) return;
    if (this.#replies.readyBytes > 0) {
      this.#flush();
      // What was sent at once tells nobody: room may be there now.
      if (this.#blocked && this.#replies.unsentBytes === 0) this.#schedule();
    }
    if (this.#phase === "open") {
      if (this.#blocked !== this.#paused) this.#setPaused(this.#blocked);
    } else if (this.#underWay === 0 && !this.#ended) {
      this.#ended = true;
      this.#socket.end();
      // What still comes is dropped, but the end of it must be seen.
      if (this.#paused) this.#setPaused(false);
    }
  }

  #setPaused(paused: boolean): void {
    this.#paused = paused;
    if (paused) this.#socket.pause();
    else this.#socket.resume();
  }

  #setReason(reason: string): void {
    this.#reason ??= reason;
  }

  #onSocketClose(): void {
    this.#socketClosed = true;
    this.#onGone();
    this.#blocked = false;
    if (this.#phase === "open") {
      this.#phase = "draining";
      this.#dropInHand();
      this.#received.clear();
    }
    this.#account.free(this.#replies.unsentBytes);
    this.#replies.abandon();
    this.#finish();
  }

  #finish(): void {
    if (this.#underWay > 0 || this.#phase === "closed") return;
    this.#phase = "closed";
    assert(this.#account.heldBytes === 0, "a closed connection holds payload bytes");
    this.#onClosed(this.#reason ?? "closed by the client");
  }
}
