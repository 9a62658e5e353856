/**
 * What the server answers to each option of the handshake. Pure: the directory is asked, nothing is
 * changed. Options that are refused leave what was negotiated as it was, except SET_META_CONTEXT,
 * which forgets the contexts set before even when it fails.
 * Source: NBD protocol doc/proto.md, "Option types", "Server-side requirements" of TLS.
 */
import {
  LIST_MAX_ENTRIES,
  NBD_INFO_BLOCK_SIZE,
  NBD_INFO_DESCRIPTION,
  NBD_INFO_EXPORT,
  NBD_INFO_NAME,
  NBD_OPT_ABORT,
  NBD_OPT_EXPORT_NAME,
  NBD_OPT_GO,
  NBD_OPT_INFO,
  NBD_OPT_LIST,
  NBD_OPT_LIST_META_CONTEXT,
  NBD_OPT_SET_META_CONTEXT,
  NBD_OPT_STARTTLS,
  NBD_OPT_STRUCTURED_REPLY,
  NBD_REP_ACK,
  NBD_REP_ERR_INVALID,
  NBD_REP_ERR_POLICY,
  NBD_REP_ERR_SHUTDOWN,
  NBD_REP_ERR_TLS_REQD,
  NBD_REP_ERR_TOO_BIG,
  NBD_REP_ERR_UNKNOWN,
  NBD_REP_ERR_UNSUP,
  NBD_REP_INFO,
  NBD_REP_META_CONTEXT,
  NBD_REP_SERVER,
} from "./constants.ts";
import type { ExportEntry, MetadataContext } from "./export-backend.ts";
import { contextId, listContexts, selectContexts } from "./metadata-context.ts";
import type { HandshakeClose, HandshakeSurroundings, Negotiated, Session } from "./negotiation.ts";
import {
  decodeContextRequest,
  decodeExportRequest,
  decodeString,
  encodeBlockSizes,
  encodeContextEntry,
  encodeExportInformation,
  encodeExportNameAnswer,
  encodeServerEntry,
  encodeTextInformation,
  type OptionReason,
  type OptionReply,
  plainReply,
} from "./option-codec.ts";
import { maximumPayload, transmissionFlags } from "./transmission-flags.ts";

/** What comes of one option. `replies` are sent before anything else happens. */
export type OptionOutcome =
  | {
      readonly type: "answered";
      readonly replies: readonly OptionReply[];
      readonly negotiated: Negotiated;
    }
  | { readonly type: "start-tls"; readonly replies: readonly OptionReply[] }
  /** The export it names is to come: the same option again when the directory has changed. */
  | { readonly type: "wait" }
  | {
      readonly type: "transmission";
      readonly replies: readonly OptionReply[];
      /** The answer to EXPORT_NAME, which has no reply header; null for GO. */
      readonly plain: Uint8Array | null;
      readonly session: Session;
    }
  | {
      readonly type: "close";
      readonly replies: readonly OptionReply[];
      readonly reason: HandshakeClose;
    };

interface ReceivedOption {
  readonly option: number;
  readonly negotiated: Negotiated;
}

type Found =
  | { readonly ok: true; readonly entry: ExportEntry }
  | { readonly ok: false; readonly reply: OptionReply };

const ACK = plainReply(NBD_REP_ACK);

/** Answers one whole option. */
export function answerOption(
  received: ReceivedOption,
  payload: Uint8Array,
  surroundings: HandshakeSurroundings,
): OptionOutcome {
  const { option, negotiated } = received;
  const answer = (...replies: readonly OptionReply[]): OptionOutcome => ({
    type: "answered",
    replies,
    negotiated,
  });
  if (option === NBD_OPT_ABORT) {
    return { type: "close", replies: [ACK], reason: "aborted by the client" };
  }
  if (!surroundings.shuttingDown && isForComing(option, payload, surroundings)) {
    return { type: "wait" };
  }
  if (option === NBD_OPT_EXPORT_NAME) return onExportName(negotiated, payload, surroundings);
  if (surroundings.shuttingDown) {
    return answer(plainReply(NBD_REP_ERR_SHUTDOWN, "the server is shutting down"));
  }
  if (takesNoPayload(option) && payload.length > 0) {
    return answer(plainReply(NBD_REP_ERR_INVALID, "the option takes no data"));
  }
  switch (option) {
    case NBD_OPT_LIST:
      return answer(...listExports(surroundings), ACK);
    case NBD_OPT_STARTTLS:
      return onStartTls(negotiated, surroundings);
    case NBD_OPT_INFO:
    case NBD_OPT_GO:
      return onExportRequest(received, payload, surroundings);
    case NBD_OPT_STRUCTURED_REPLY:
      return {
        type: "answered",
        replies: [ACK],
        negotiated: { ...negotiated, structuredReplies: true },
      };
    case NBD_OPT_LIST_META_CONTEXT:
      return answer(...onListContexts(payload, surroundings));
    case NBD_OPT_SET_META_CONTEXT:
      return onSetContexts(negotiated, payload, surroundings);
    default:
      return answer(plainReply(NBD_REP_ERR_UNSUP, "the option is not known here"));
  }
}

/** True for an option that names an export which is to come. */
function isForComing(
  option: number,
  payload: Uint8Array,
  { directory }: HandshakeSurroundings,
): boolean {
  const name = exportNamed(option, payload);
  return name !== undefined && directory.find(name) === null && directory.isComing(name);
}

/** The export that an option names; undefined when it names none, or is malformed. */
function exportNamed(option: number, payload: Uint8Array): string | undefined {
  switch (option) {
    case NBD_OPT_EXPORT_NAME:
      return decodeString(payload);
    case NBD_OPT_INFO:
    case NBD_OPT_GO: {
      const decoded = decodeExportRequest(payload);
      return decoded.ok ? decoded.value.exportName : undefined;
    }
    case NBD_OPT_LIST_META_CONTEXT:
    case NBD_OPT_SET_META_CONTEXT: {
      const decoded = decodeContextRequest(payload);
      return decoded.ok ? decoded.value.exportName : undefined;
    }
    default:
      return undefined;
  }
}

function takesNoPayload(option: number): boolean {
  return (
    option === NBD_OPT_LIST || option === NBD_OPT_STARTTLS || option === NBD_OPT_STRUCTURED_REPLY
  );
}

function onExportName(
  negotiated: Negotiated,
  payload: Uint8Array,
  surroundings: HandshakeSurroundings,
): OptionOutcome {
  const name = decodeString(payload);
  const found = name === undefined ? undefined : findExport(name, surroundings);
  if (found === undefined || !found.ok || surroundings.shuttingDown) {
    return { type: "close", replies: [], reason: "export refused" };
  }
  const { entry } = found;
  const flags = transmissionFlags(entry, negotiated.structuredReplies);
  const plain = encodeExportNameAnswer(entry.backend.sizeBytes, flags, negotiated.noZeroes);
  return { type: "transmission", replies: [], plain, session: makeSession(entry, negotiated) };
}

/** Exports that need TLS are told only over TLS. */
function listExports(surroundings: HandshakeSurroundings): OptionReply[] {
  const visible = surroundings.directory
    .list()
    .filter((entry) => !entry.tlsRequired || surroundings.tls === "active");
  return visible.slice(0, LIST_MAX_ENTRIES).map((entry) => ({
    type: NBD_REP_SERVER,
    payload: encodeServerEntry(entry.name, entry.description),
  }));
}

function onStartTls(negotiated: Negotiated, surroundings: HandshakeSurroundings): OptionOutcome {
  const refuse = (type: number, message: string): OptionOutcome => ({
    type: "answered",
    replies: [plainReply(type, message)],
    negotiated,
  });
  switch (surroundings.tls) {
    case "active":
      return refuse(NBD_REP_ERR_INVALID, "TLS is in use already");
    case "off":
      return refuse(NBD_REP_ERR_POLICY, "this server has no certificate for TLS");
    case "available":
      return { type: "start-tls", replies: [ACK] };
  }
}

function onExportRequest(
  received: ReceivedOption,
  payload: Uint8Array,
  surroundings: HandshakeSurroundings,
): OptionOutcome {
  const { option, negotiated } = received;
  const decoded = decodeExportRequest(payload);
  if (!decoded.ok) {
    return { type: "answered", replies: [refusalOf(decoded.reason)], negotiated };
  }
  const found = findExport(decoded.value.exportName, surroundings);
  if (!found.ok) return { type: "answered", replies: [found.reply], negotiated };
  const { entry } = found;
  const replies = [...describeExport(entry, negotiated, decoded.value.informationTypes), ACK];
  if (option === NBD_OPT_INFO) return { type: "answered", replies, negotiated };
  return { type: "transmission", replies, plain: null, session: makeSession(entry, negotiated) };
}

/** INFO_EXPORT always, the others when asked for. */
function describeExport(
  entry: ExportEntry,
  negotiated: Negotiated,
  types: readonly number[],
): OptionReply[] {
  const flags = transmissionFlags(entry, negotiated.structuredReplies);
  const payloads = [encodeExportInformation(NBD_INFO_EXPORT, entry.backend.sizeBytes, flags)];
  if (types.includes(NBD_INFO_NAME)) {
    payloads.push(encodeTextInformation(NBD_INFO_NAME, entry.name));
  }
  if (types.includes(NBD_INFO_DESCRIPTION)) {
    payloads.push(encodeTextInformation(NBD_INFO_DESCRIPTION, entry.description));
  }
  if (types.includes(NBD_INFO_BLOCK_SIZE)) {
    const sizes = [entry.minimumBlock, entry.preferredBlock, maximumPayload(entry)];
    payloads.push(encodeBlockSizes(NBD_INFO_BLOCK_SIZE, sizes));
  }
  return payloads.map((payload) => ({ type: NBD_REP_INFO, payload }));
}

function onListContexts(payload: Uint8Array, surroundings: HandshakeSurroundings): OptionReply[] {
  const decoded = decodeContextRequest(payload);
  if (!decoded.ok) return [refusalOf(decoded.reason)];
  const found = findExport(decoded.value.exportName, surroundings);
  if (!found.ok) return [found.reply];
  const contexts = listContexts(found.entry.contexts, decoded.value.queries);
  if (contexts === undefined) return [plainReply(NBD_REP_ERR_INVALID, "a query has no namespace")];
  // "The metadata context ID in these replies is reserved and SHOULD be set to zero."
  return [...contexts.map((context) => contextReply(0, context)), ACK];
}

function onSetContexts(
  negotiated: Negotiated,
  payload: Uint8Array,
  surroundings: HandshakeSurroundings,
): OptionOutcome {
  const refuse = (reply: OptionReply): OptionOutcome => ({
    type: "answered",
    replies: [reply],
    negotiated: { ...negotiated, selection: null },
  });
  if (!negotiated.structuredReplies) {
    return refuse(plainReply(NBD_REP_ERR_INVALID, "structured replies come first"));
  }
  const decoded = decodeContextRequest(payload);
  if (!decoded.ok) return refuse(refusalOf(decoded.reason));
  const found = findExport(decoded.value.exportName, surroundings);
  if (!found.ok) return refuse(found.reply);
  const contexts = selectContexts(found.entry.contexts, decoded.value.queries);
  if (contexts === undefined) {
    return refuse(plainReply(NBD_REP_ERR_INVALID, "a query has no namespace"));
  }
  return {
    type: "answered",
    replies: [...contexts.map((context) => contextReply(contextId(context), context)), ACK],
    negotiated: { ...negotiated, selection: { exportName: found.entry.name, contexts } },
  };
}

function contextReply(id: number, context: MetadataContext): OptionReply {
  return { type: NBD_REP_META_CONTEXT, payload: encodeContextEntry(id, context) };
}

function findExport(name: string, surroundings: HandshakeSurroundings): Found {
  const entry = surroundings.directory.find(name);
  if (entry === null) {
    const refusal = surroundings.directory.refusal?.(name) ?? null;
    const type = refusal?.kind === "policy" ? NBD_REP_ERR_POLICY : NBD_REP_ERR_UNKNOWN;
    return { ok: false, reply: plainReply(type, refusal?.text ?? "there is no such export") };
  }
  if (!entry.tlsRequired || surroundings.tls === "active") return { ok: true, entry };
  // Without a certificate TLS_REQD must not be sent: the client could not follow it.
  const reply =
    surroundings.tls === "available"
      ? plainReply(NBD_REP_ERR_TLS_REQD, "the export is served over TLS only")
      : plainReply(NBD_REP_ERR_POLICY, "the export needs TLS and no certificate is configured");
  return { ok: false, reply };
}

function makeSession(entry: ExportEntry, negotiated: Negotiated): Session {
  const { structuredReplies, selection } = negotiated;
  const contexts = selection?.exportName === entry.name ? selection.contexts : [];
  return { entry, structuredReplies, contexts };
}

function refusalOf(reason: OptionReason): OptionReply {
  return reason === "option-too-big"
    ? plainReply(NBD_REP_ERR_TOO_BIG, "the option asks for too much")
    : plainReply(NBD_REP_ERR_INVALID, "the option is malformed");
}
