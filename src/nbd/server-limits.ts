/**
 * What one server allows its peers, so that no peer, and no number of peers, makes it stick or
 * grow. Worst case of memory: `connectionsMax` times `allowanceBytes`, plus `budgetBytes`, plus one
 * `unsentBytesMax` per connection that does not read. All numbers are choices; docs/nbd.md has why.
 */
import { assert } from "../common/assert.ts";

const KIB = 1024;
const MIB = 1024 * KIB;

/** Room for a reply's head, so that a read of 256 KiB is within the allowance too. */
const REPLY_HEAD_BYTES = 64;

/** Limits of each connection. */
export interface ConnectionLimits {
  /** Requests parsed and not yet answered; the Linux client has up to 128 under way. */
  readonly requestsMax: number;
  /** Replies that the socket has not taken; past it no request is parsed. */
  readonly unsentBytesMax: number;
  /** Ready replies go to the socket in the middle of a batch when they reach this. */
  readonly flushBytes: number;
  /** Payload bytes a connection may hold without asking the server's budget. */
  readonly allowanceBytes: number;
}

/** Limits of a server: all its connections together, and time. */
export interface ServerLimits extends ConnectionLimits {
  /** Connections past the handshake; further handshakes end with an error. */
  readonly connectionsMax: number;
  /** Handshakes at a time; a further one ends the oldest. */
  readonly handshakesMax: number;
  /** Payload bytes that all connections may hold beyond their allowances. */
  readonly budgetBytes: number;
  /** A handshake that takes longer is ended. */
  readonly handshakeMs: number;
  /** One that waits for an export which is to come may take this long instead. */
  readonly comingMs: number;
  /** A peer may rest this long in the middle of a message. */
  readonly stallMs: number;
  /** A peer that takes nothing of its replies may rest this long while others wait for memory. */
  readonly contendedMs: number;
  /** Time for a message on top of `stallMs`: its length over this rate. */
  readonly slowestBytesPerSecond: number;
  /** A connection that ends is cut off after this. */
  readonly closingMs: number;
}

export const DEFAULT_LIMITS: ServerLimits = {
  requestsMax: 128,
  unsentBytesMax: 4 * MIB,
  flushBytes: 256 * KIB,
  allowanceBytes: 256 * KIB + REPLY_HEAD_BYTES,
  connectionsMax: 512,
  handshakesMax: 128,
  budgetBytes: 128 * MIB,
  handshakeMs: 10_000,
  comingMs: 60_000,
  stallMs: 30_000,
  contendedMs: 3_000,
  slowestBytesPerSecond: 64 * KIB,
  closingMs: 5_000,
};

/** The defaults with some of them replaced; asserts that the result makes sense. */
export function serverLimits(replaced: Partial<ServerLimits> = {}): ServerLimits {
  const limits = { ...DEFAULT_LIMITS, ...replaced };
  for (const [name, value] of Object.entries(limits)) {
    assert(Number.isInteger(value) && value > 0, `limit ${name} is ${value}`);
  }
  assert(limits.flushBytes <= limits.unsentBytesMax, "replies are held back past their limit");
  return limits;
}
