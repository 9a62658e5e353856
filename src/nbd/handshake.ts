/**
 * The handshake of one connection (fixed newstyle) as a state machine: bytes of the client in,
 * bytes to send and what to do next out. The driver delivers exactly the bytes that `wantedBytes`
 * asks for.
 *
 *   client-flags ─► option-header ─► option-payload ─┬─► option-header   (answered)
 *                        │ ▲                         ├─► tls-start ─► option-header (all forgotten)
 *                        ▼ │                         ├─► transmission
 *                     option-skip (too long)         └─► closed
 *
 * An option for an export that is to come leaves the state as it was, with the effect `wait`: the
 * driver gives the same event again when the directory has changed.
 *
 * Source: NBD protocol doc/proto.md, "Handshake", "Fixed newstyle negotiation".
 */
import { assert } from "../common/assert.ts";
import {
  CLIENT_FLAGS_BYTES,
  NBD_FLAG_FIXED_NEWSTYLE,
  NBD_FLAG_NO_ZEROES,
  NBD_OPT_EXPORT_NAME,
  NBD_REP_ERR_TOO_BIG,
  OPTION_HEADER_BYTES,
  OPTION_MAX_BYTES,
  OPTION_SKIP_MAX_BYTES,
  OPTIONS_MAX,
} from "./constants.ts";
import { answerOption, type OptionOutcome } from "./handshake-option.ts";
import type { HandshakeClose, HandshakeSurroundings, Negotiated, Session } from "./negotiation.ts";
import {
  decodeOptionHeader,
  encodeOptionReply,
  type OptionReply,
  plainReply,
} from "./option-codec.ts";

interface Haggling {
  readonly negotiated: Negotiated;
  /** Options received so far. */
  readonly options: number;
}

export type HandshakeState =
  | { readonly type: "client-flags" }
  | ({ readonly type: "option-header" } & Haggling)
  | ({
      readonly type: "option-payload" | "option-skip";
      readonly option: number;
      readonly lengthBytes: number;
    } & Haggling)
  | ({ readonly type: "tls-start" } & Haggling)
  | { readonly type: "transmission" }
  | { readonly type: "closed" };

export type HandshakeEvent =
  /**
   * Exactly `wantedBytes(state)` bytes; in `option-skip` they were dropped and `bytes` is empty.
   */
  { readonly type: "bytes"; readonly bytes: Uint8Array } | { readonly type: "tls-established" };

export type HandshakeEffect =
  | { readonly type: "send"; readonly bytes: Uint8Array }
  /** AFTER the bytes sent before it; bytes received in between are an attack. */
  | { readonly type: "start-tls" }
  | { readonly type: "enter-transmission"; readonly session: Session }
  /** The only effect of its step. */
  | { readonly type: "wait" }
  /** AFTER the bytes sent before it. */
  | { readonly type: "close"; readonly reason: HandshakeClose };

export interface HandshakeStep {
  readonly state: HandshakeState;
  readonly effects: readonly HandshakeEffect[];
}

export const HANDSHAKE_START: HandshakeState = { type: "client-flags" };

/** Bytes the machine waits for; null when it waits for something else or is done. */
export function wantedBytes(state: HandshakeState): number | null {
  switch (state.type) {
    case "client-flags":
      return CLIENT_FLAGS_BYTES;
    case "option-header":
      return OPTION_HEADER_BYTES;
    case "option-payload":
    case "option-skip":
      return state.lengthBytes;
    case "tls-start":
    case "transmission":
    case "closed":
      return null;
  }
}

/** One transition; asserts that the event fits the state. */
export function stepHandshake(
  state: HandshakeState,
  event: HandshakeEvent,
  surroundings: HandshakeSurroundings,
): HandshakeStep {
  if (event.type === "tls-established") {
    assert(state.type === "tls-start", `TLS established in ${state.type}`);
    return stay(forgetNegotiation(state));
  }
  const wanted = state.type === "option-skip" ? 0 : wantedBytes(state);
  assert(event.bytes.length === wanted, `${event.bytes.length} bytes in ${state.type}`);
  switch (state.type) {
    case "client-flags":
      return onClientFlags(event.bytes);
    case "option-header":
      return onOptionHeader(state, event.bytes);
    case "option-skip":
      return reply(state, state.option, [
        plainReply(NBD_REP_ERR_TOO_BIG, "the option is too long"),
      ]);
    case "option-payload":
      return onOption(state, answerOption(state, event.bytes, surroundings));
    default:
      assert(false, `bytes in ${state.type}`);
  }
}

function onClientFlags(bytes: Uint8Array): HandshakeStep {
  const flags = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getUint32(0);
  if ((flags & ~(NBD_FLAG_FIXED_NEWSTYLE | NBD_FLAG_NO_ZEROES)) !== 0) {
    return close("unknown client flags");
  }
  const negotiated: Negotiated = {
    fixedNewstyle: (flags & NBD_FLAG_FIXED_NEWSTYLE) !== 0,
    noZeroes: (flags & NBD_FLAG_NO_ZEROES) !== 0,
    structuredReplies: false,
    selection: null,
  };
  return stay({ type: "option-header", negotiated, options: 0 });
}

function onOptionHeader(state: Haggling, bytes: Uint8Array): HandshakeStep {
  const header = decodeOptionHeader(bytes);
  if (header === undefined) return close("bad option magic");
  const { option, lengthBytes } = header;
  const options = state.options + 1;
  const { negotiated } = state;
  if (options > OPTIONS_MAX) return close("too many options");
  if (!negotiated.fixedNewstyle && option !== NBD_OPT_EXPORT_NAME) {
    return close("option before fixed newstyle");
  }
  if (lengthBytes <= OPTION_MAX_BYTES) {
    return stay({ type: "option-payload", option, lengthBytes, negotiated, options });
  }
  // EXPORT_NAME has no error reply.
  if (lengthBytes > OPTION_SKIP_MAX_BYTES || option === NBD_OPT_EXPORT_NAME) {
    return close("option too long");
  }
  return stay({ type: "option-skip", option, lengthBytes, negotiated, options });
}

function onOption(
  state: HandshakeState & Haggling & { option: number },
  outcome: OptionOutcome,
): HandshakeStep {
  switch (outcome.type) {
    case "wait":
      return { state, effects: [{ type: "wait" }] };
    case "answered":
      return reply({ ...state, negotiated: outcome.negotiated }, state.option, outcome.replies);
    case "start-tls": {
      const { effects } = reply(state, state.option, outcome.replies);
      const { negotiated, options } = state;
      return {
        state: { type: "tls-start", negotiated, options },
        effects: [...effects, { type: "start-tls" }],
      };
    }
    case "transmission": {
      const { session } = outcome;
      const effects = sends(state.option, outcome.replies);
      if (outcome.plain !== null) effects.push({ type: "send", bytes: outcome.plain });
      effects.push({ type: "enter-transmission", session });
      return { state: { type: "transmission" }, effects };
    }
    case "close": {
      const ended = close(outcome.reason);
      return { ...ended, effects: [...sends(state.option, outcome.replies), ...ended.effects] };
    }
  }
}

/** TLS begins anew: "the server MUST NOT preserve any negotiation state". */
function forgetNegotiation(state: Haggling): HandshakeState {
  const negotiated = { ...state.negotiated, structuredReplies: false, selection: null };
  return { type: "option-header", negotiated, options: state.options };
}

function reply(state: Haggling, option: number, replies: readonly OptionReply[]): HandshakeStep {
  const { negotiated, options } = state;
  return {
    state: { type: "option-header", negotiated, options },
    effects: sends(option, replies),
  };
}

function sends(option: number, replies: readonly OptionReply[]): HandshakeEffect[] {
  return replies.map((one) => ({ type: "send", bytes: encodeOptionReply(option, one) }));
}

function stay(state: HandshakeState): HandshakeStep {
  return { state, effects: [] };
}

function close(reason: HandshakeClose): HandshakeStep {
  return { state: { type: "closed" }, effects: [{ type: "close", reason }] };
}
