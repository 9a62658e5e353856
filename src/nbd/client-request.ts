/**
 * One request of a client between its call and its answer. Requests are reused: the few fields of
 * one are filled anew for each call, so that sending one allocates nothing.
 */
import type { CodedError } from "../common/errors.ts";
import type { AllocationRun } from "../hal/block-device.ts";
import type { RequestFields } from "./request-codec.ts";

const NO_PIECES: readonly Uint8Array[] = [];

/** Told once for each time that a request was handed over. */
export interface ClientRequestOwner {
  /** `errno` and `said`, or `failure`, tell how it ended. */
  onAnswered(request: ClientRequest): void;
}

export class ClientRequest implements RequestFields {
  command = 0;
  flags = 0;
  cookieHigh = 0;
  cookieLow = 0;
  offset = 0;
  lengthBytes = 0;
  /** Payload of a write. */
  pieces: readonly Uint8Array[] = NO_PIECES;
  /** Where a read's data goes; as long as the request. */
  target: Uint8Array | null = null;
  /** Bytes of `target` that have come, from its start on. */
  filled = 0;
  /** Where the answer to BLOCK_STATUS goes, as far as it fits. */
  runs: AllocationRun[] | null = null;
  /** No further run fits. */
  hasAllRuns = false;
  /** Bytes that the answer has told of. */
  told = 0;
  /** Error number of the answer, 0 for success. */
  errno = 0;
  /** The server's sentence about it. */
  said = "";
  /** It was not answered at all. */
  failure: CodedError | null = null;
  /** Milliseconds of its owner's clock. */
  sentAt = 0;
  /** Requests of a connection in the order in which they were sent. */
  sequence = 0;
  /** The one behind it in the queue that it waits in. */
  next: ClientRequest | null = null;
  readonly owner: ClientRequestOwner;

  constructor(owner: ClientRequestOwner) {
    this.owner = owner;
  }

  /** Bytes that go over the wire as data. */
  get payloadBytes(): number {
    return this.target !== null || this.pieces.length > 0 ? this.lengthBytes : 0;
  }

  /** BEFORE it is sent, and sent again: forgets what came of an answer so far. */
  restart(): void {
    this.filled = 0;
    this.errno = 0;
    this.said = "";
    this.failure = null;
    if (this.told === 0) return;
    this.told = 0;
    this.hasAllRuns = false;
    if (this.runs !== null) this.runs.length = 0;
  }

  /** Lets go of the memory of the last use. */
  reset(): void {
    this.pieces = NO_PIECES;
    this.target = null;
    this.runs = null;
    this.restart();
  }
}

/**
 * Requests that wait, first come first served. It takes no memory of its own, and has no limit but
 * that of its callers: in it are only requests that somebody waits for.
 */
export class ClientRequestQueue {
  #first: ClientRequest | null = null;
  #last: ClientRequest | null = null;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** The one that waits longest, left in place. */
  get first(): ClientRequest | null {
    return this.#first;
  }

  push(request: ClientRequest): void {
    request.next = null;
    if (this.#last === null) this.#first = request;
    else this.#last.next = request;
    this.#last = request;
    this.#length += 1;
  }

  shift(): ClientRequest | null {
    const request = this.#first;
    if (request === null) return null;
    this.#first = request.next;
    if (this.#first === null) this.#last = null;
    request.next = null;
    this.#length -= 1;
    return request;
  }
}
