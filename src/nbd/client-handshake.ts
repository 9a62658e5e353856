/**
 * The handshake on the client's side as a pure state machine: (state, event) to (state, effects).
 * STARTTLS comes first where TLS is given, then STRUCTURED_REPLY, SET_META_CONTEXT and GO, each
 * after the answer to the one before.
 *
 *   greeting ─► reply-header ─► reply-payload ─┬─► reply-header (of this option, or of the next)
 *                                              ├─► tls-start ─► reply-header
 *                                              ├─► attached
 *                                              └─► failed
 *
 * Source: NBD protocol doc/proto.md, "Handshake", "Fixed newstyle negotiation".
 */
import { assert } from "../common/assert.ts";
import { toSafeNumber } from "../common/bytes.ts";
import type { CodedError } from "../common/errors.ts";
import { misbehaved, refused } from "./client-errors.ts";
import {
  type BlockSizes,
  decodeBlockSizes,
  decodeContextEntry,
  decodeExportInformation,
  decodeGreeting,
  decodeReplyHeader,
  encodeClientFlags,
  encodeContextRequest,
  encodeExportRequest,
  encodeOption,
  informationType,
} from "./client-option-codec.ts";
import {
  GREETING_BYTES,
  NBD_FLAG_FIXED_NEWSTYLE,
  NBD_FLAG_NO_ZEROES,
  NBD_INFO_BLOCK_SIZE,
  NBD_INFO_EXPORT,
  NBD_OPT_GO,
  NBD_OPT_SET_META_CONTEXT,
  NBD_OPT_STARTTLS,
  NBD_OPT_STRUCTURED_REPLY,
  NBD_REP_ACK,
  NBD_REP_ERR_INVALID,
  NBD_REP_ERR_UNSUP,
  NBD_REP_INFO,
  NBD_REP_META_CONTEXT,
  OPTION_REPLY_HEADER_BYTES,
  PAYLOAD_MAX_BYTES,
  STRING_MAX_BYTES,
} from "./constants.ts";
import { decodeString } from "./option-codec.ts";

const ALLOCATION = "base:allocation";
/** Replies to one option; real servers send fewer than ten. */
const REPLIES_MAX = 64;
/** The longest reply holds a string and a few numbers. */
const REPLY_MAX_BYTES = STRING_MAX_BYTES + 64;
const FIRST_ERROR = 0x8000_0001;
/** Of a server that tells none. Source: doc/proto.md, "Block size constraints". */
const USUAL_SIZES: BlockSizes = { minimum: 1, preferred: 4096, maximum: PAYLOAD_MAX_BYTES };

/** As a maximum block size: there is none. */
const NO_MAXIMUM = 0xffff_ffff;

/** What the client wants. */
export interface ClientWishes {
  /** Of the server, for messages. */
  readonly server: string;
  readonly exportName: string;
  readonly tls: boolean;
}

/** What client and server have agreed on. */
export interface Agreed {
  readonly sizeBytes: number;
  /** NBD_FLAG_*, the transmission flags. */
  readonly flags: number;
  readonly structuredReplies: boolean;
  /** Id of `base:allocation` in replies; null: the server does not tell it. */
  readonly allocationContext: number | null;
  readonly sizes: BlockSizes;
}

interface Haggling {
  /** The option whose replies are awaited. */
  readonly option: number;
  readonly replies: number;
  readonly structuredReplies: boolean;
  readonly allocationContext: number | null;
  readonly exported: { readonly sizeBytes: number; readonly flags: number } | null;
  readonly sizes: BlockSizes;
}

export type ClientHandshakeState =
  | { readonly type: "greeting" }
  | ({ readonly type: "reply-header" } & Haggling)
  | ({
      readonly type: "reply-payload";
      readonly reply: number;
      readonly lengthBytes: number;
    } & Haggling)
  | { readonly type: "tls-start" }
  | { readonly type: "attached" }
  | { readonly type: "failed" };

export type ClientHandshakeEvent =
  /** Exactly `wantedFromServer(state)` bytes. */
  { readonly type: "bytes"; readonly bytes: Uint8Array } | { readonly type: "tls-established" };

export type ClientHandshakeEffect =
  | { readonly type: "send"; readonly bytes: Uint8Array }
  /** Bytes received before TLS is established are an attack. */
  | { readonly type: "start-tls" }
  | { readonly type: "attach"; readonly agreed: Agreed }
  | { readonly type: "fail"; readonly error: CodedError };

export interface ClientHandshakeStep {
  readonly state: ClientHandshakeState;
  readonly effects: readonly ClientHandshakeEffect[];
}

export const CLIENT_HANDSHAKE_START: ClientHandshakeState = { type: "greeting" };

/** Bytes the machine waits for; null when it waits for something else or is done. */
export function wantedFromServer(state: ClientHandshakeState): number | null {
  switch (state.type) {
    case "greeting":
      return GREETING_BYTES;
    case "reply-header":
      return OPTION_REPLY_HEADER_BYTES;
    case "reply-payload":
      return state.lengthBytes;
    default:
      return null;
  }
}

/** One transition; asserts that the event fits the state. */
export function stepClientHandshake(
  state: ClientHandshakeState,
  event: ClientHandshakeEvent,
  wishes: ClientWishes,
): ClientHandshakeStep {
  if (event.type === "tls-established") {
    assert(state.type === "tls-start", `TLS established in ${state.type}`);
    return ask(NBD_OPT_STRUCTURED_REPLY, FRESH, wishes);
  }
  assert(event.bytes.length === wantedFromServer(state), `bytes in ${state.type}`);
  switch (state.type) {
    case "greeting":
      return onGreeting(event.bytes, wishes);
    case "reply-header":
      return onReplyHeader(state, event.bytes, wishes);
    case "reply-payload":
      return onReply(state, event.bytes, wishes);
    default:
      assert(false, `bytes in ${state.type}`);
  }
}

const FRESH: Omit<Haggling, "option"> = {
  replies: 0,
  structuredReplies: false,
  allocationContext: null,
  exported: null,
  sizes: USUAL_SIZES,
};

function onGreeting(bytes: Uint8Array, wishes: ClientWishes): ClientHandshakeStep {
  const flags = decodeGreeting(bytes);
  if (flags === undefined) return broken(wishes, "it greets as no newstyle NBD server does");
  if ((flags & NBD_FLAG_FIXED_NEWSTYLE) === 0) return broken(wishes, "no fixed newstyle");
  const ours = flags & (NBD_FLAG_FIXED_NEWSTYLE | NBD_FLAG_NO_ZEROES);
  const first = wishes.tls ? NBD_OPT_STARTTLS : NBD_OPT_STRUCTURED_REPLY;
  const { state, effects } = ask(first, FRESH, wishes);
  return { state, effects: [{ type: "send", bytes: encodeClientFlags(ours) }, ...effects] };
}

function onReplyHeader(
  state: Haggling,
  bytes: Uint8Array,
  wishes: ClientWishes,
): ClientHandshakeStep {
  const header = decodeReplyHeader(bytes);
  if (header === undefined) return broken(wishes, "bad option reply magic");
  const { option, type: reply, lengthBytes } = header;
  if (option !== state.option) return broken(wishes, "a reply to another option");
  if (lengthBytes > REPLY_MAX_BYTES)
    return broken(wishes, `an option reply of ${lengthBytes} bytes`);
  const replies = state.replies + 1;
  if (replies > REPLIES_MAX) return broken(wishes, "too many replies to one option");
  const next = { ...state, type: "reply-payload" as const, reply, lengthBytes, replies };
  return lengthBytes > 0 ? { state: next, effects: [] } : onReply(next, NO_BYTES, wishes);
}

const NO_BYTES = new Uint8Array(0);

function onReply(
  state: Haggling & { readonly reply: number },
  payload: Uint8Array,
  wishes: ClientWishes,
): ClientHandshakeStep {
  const { option, reply } = state;
  if (reply >= FIRST_ERROR) return onError(state, payload, wishes);
  if (reply === NBD_REP_ACK) return onAcknowledged(state, wishes);
  const next = option === NBD_OPT_GO ? informed(state, payload) : contextTold(state, payload);
  return typeof next === "string" ? broken(wishes, next) : awaitMore(next);
}

/** What cannot be had is done without; what is refused ends the handshake. */
function onError(
  state: Haggling & { readonly reply: number },
  payload: Uint8Array,
  wishes: ClientWishes,
): ClientHandshakeStep {
  const { option, reply } = state;
  const isUnknown = reply === NBD_REP_ERR_UNSUP || reply === NBD_REP_ERR_INVALID;
  if (isUnknown && option === NBD_OPT_STRUCTURED_REPLY) return ask(NBD_OPT_GO, FRESH, wishes);
  if (isUnknown && option === NBD_OPT_SET_META_CONTEXT)
    return ask(NBD_OPT_GO, { ...state, allocationContext: null }, wishes);
  return fail(refused(wishes.server, reply, decodeString(payload) ?? ""));
}

function onAcknowledged(state: Haggling, wishes: ClientWishes): ClientHandshakeStep {
  switch (state.option) {
    case NBD_OPT_STARTTLS:
      return { state: { type: "tls-start" }, effects: [{ type: "start-tls" }] };
    case NBD_OPT_STRUCTURED_REPLY:
      return ask(NBD_OPT_SET_META_CONTEXT, { ...state, structuredReplies: true }, wishes);
    case NBD_OPT_SET_META_CONTEXT:
      return ask(NBD_OPT_GO, state, wishes);
    default:
      return attach(state, wishes);
  }
}

function attach(state: Haggling, wishes: ClientWishes): ClientHandshakeStep {
  const { exported, structuredReplies, allocationContext, sizes } = state;
  if (exported === null) return broken(wishes, "an export without a size");
  const agreed = { ...exported, structuredReplies, allocationContext, sizes };
  return { state: { type: "attached" }, effects: [{ type: "attach", agreed }] };
}

/** A REP_INFO to GO; what is not known is passed over. A text: what is wrong with it. */
function informed(
  state: Haggling & { readonly reply: number },
  payload: Uint8Array,
): Haggling | string {
  if (state.reply !== NBD_REP_INFO) return `reply ${state.reply} to GO`;
  switch (informationType(payload)) {
    case undefined:
      return "malformed information";
    case NBD_INFO_EXPORT: {
      const told = decodeExportInformation(payload);
      const sizeBytes = told === undefined ? undefined : toSafeNumber(told.sizeBytes);
      if (told === undefined || sizeBytes === undefined) return "a malformed size";
      return { ...state, exported: { sizeBytes, flags: told.flags } };
    }
    case NBD_INFO_BLOCK_SIZE: {
      const sizes = decodeBlockSizes(payload);
      return sizes !== undefined && areSizes(sizes) ? { ...state, sizes } : "odd block sizes";
    }
    default:
      return state;
  }
}

/** Source: doc/proto.md, NBD_INFO_BLOCK_SIZE. */
function areSizes({ minimum, preferred, maximum }: BlockSizes): boolean {
  const isPower = minimum > 0 && minimum <= 65_536 && (minimum & (minimum - 1)) === 0;
  const isMaximum = maximum === NO_MAXIMUM || maximum % minimum === 0;
  return isPower && preferred >= minimum && maximum >= minimum && isMaximum;
}

function contextTold(
  state: Haggling & { readonly reply: number },
  payload: Uint8Array,
): Haggling | string {
  if (state.option !== NBD_OPT_SET_META_CONTEXT || state.reply !== NBD_REP_META_CONTEXT)
    return `reply ${state.reply} to option ${state.option}`;
  const context = decodeContextEntry(payload);
  if (context === undefined) return "a malformed metadata context";
  return context.name === ALLOCATION ? { ...state, allocationContext: context.id } : state;
}

function awaitMore(state: Haggling): ClientHandshakeStep {
  return { state: { ...state, type: "reply-header" }, effects: [] };
}

/** Sends an option; `state` has what was agreed before it. */
function ask(
  option: number,
  state: Omit<Haggling, "option">,
  wishes: ClientWishes,
): ClientHandshakeStep {
  const bytes = encodeOption(option, payloadOf(option, wishes));
  return {
    state: { ...state, type: "reply-header", option, replies: 0 },
    effects: [{ type: "send", bytes }],
  };
}

function payloadOf(option: number, { exportName }: ClientWishes): Uint8Array {
  switch (option) {
    case NBD_OPT_SET_META_CONTEXT:
      return encodeContextRequest(exportName, ALLOCATION);
    case NBD_OPT_GO:
      return encodeExportRequest(exportName, [NBD_INFO_EXPORT, NBD_INFO_BLOCK_SIZE]);
    default:
      return NO_BYTES;
  }
}

function broken({ server }: ClientWishes, what: string): ClientHandshakeStep {
  return fail(misbehaved(server, what));
}

function fail(error: CodedError): ClientHandshakeStep {
  return { state: { type: "failed" }, effects: [{ type: "fail", error }] };
}
