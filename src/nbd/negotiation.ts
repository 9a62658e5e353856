/** What the handshake of one connection agrees on, and what it may look at. Plain values. */
import type { ExportDirectory, ExportEntry, MetadataContext } from "./export-backend.ts";

/** What client and server have agreed on so far. */
export interface Negotiated {
  readonly fixedNewstyle: boolean;
  readonly noZeroes: boolean;
  readonly structuredReplies: boolean;
  /** The outcome of the last SET_META_CONTEXT; it holds for the export that it named. */
  readonly selection: ContextSelection | null;
}

export interface ContextSelection {
  readonly exportName: string;
  readonly contexts: readonly MetadataContext[];
}

/** What the transmission phase starts from. */
export interface Session {
  readonly entry: ExportEntry;
  readonly structuredReplies: boolean;
  readonly contexts: readonly MetadataContext[];
}

/** What the handshake may look at. */
export interface HandshakeSurroundings {
  /** `off`: no certificate is configured. */
  readonly tls: "off" | "available" | "active";
  readonly directory: ExportDirectory;
  readonly shuttingDown: boolean;
}

/** Why the server ends a handshake. */
export type HandshakeClose =
  | "aborted by the client"
  | "bad option magic"
  | "unknown client flags"
  | "option before fixed newstyle"
  | "too many options"
  | "option too long"
  | "export refused";
