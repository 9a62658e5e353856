/**
 * What the NBD server needs of the thing it exports. The array's I/O path implements it; a memory
 * back end in the tests does too. All calls are made and completed on the thread of the connection.
 *
 * Every call ends in exactly one call of `complete`, at once (before the call returns) or later.
 * `errno` is an NBD error number, 0 for success. Buffers belong to the back end until `complete`.
 * The server checks ranges and flags BEFORE it calls; the back end may assert them.
 */

/** NBD error numbers. Source: NBD protocol doc/proto.md, "Error values". */
export const NBD_EPERM = 1;
export const NBD_EIO = 5;
export const NBD_ENOMEM = 12;
export const NBD_EINVAL = 22;
export const NBD_ENOSPC = 28;
export const NBD_EOVERFLOW = 75;
export const NBD_ENOTSUP = 95;
export const NBD_ESHUTDOWN = 108;

export type Completion = (errno: number) => void;

/** One run of equal state, for NBD_CMD_BLOCK_STATUS. `flags` are those of the metadata context. */
export interface BlockExtent {
  readonly lengthBytes: number;
  readonly flags: number;
}

/** Ends a block status request; extents only when `errno` is 0. */
export type ExtentsCompletion = (errno: number, extents: readonly BlockExtent[]) => void;

/** Metadata contexts an export may answer: allocation, and "the write-intent bit is set". */
export type MetadataContext = "base:allocation" | "satsuma:dirty";

export interface ExportBackend {
  readonly sizeBytes: number;
  /** True when writes are refused (NBD_FLAG_READ_ONLY, NBD_EPERM). */
  readonly readOnly: boolean;
  read(target: Uint8Array, offset: number, complete: Completion): void;
  /** The payload as consecutive pieces; `fua` = durable BEFORE `complete(0)`. */
  write(source: readonly Uint8Array[], offset: number, fua: boolean, complete: Completion): void;
  /** Durable: every write completed before this call, on any connection of the export. */
  flush(complete: Completion): void;
  trim(offset: number, lengthBytes: number, fua: boolean, complete: Completion): void;
  /** `fast`: complete with NBD_ENOTSUP at once when this is not faster than writing. */
  writeZeroes(
    offset: number,
    lengthBytes: number,
    options: { readonly fua: boolean; readonly mayPunch: boolean; readonly fast: boolean },
    complete: Completion,
  ): void;
  /** Prefetch hint (NBD_CMD_CACHE). */
  cache(offset: number, lengthBytes: number, complete: Completion): void;
  /**
   * Extents from `offset` on, at least one, at most `extentsMax`, never beyond the range; they may
   * end before it does. What completed before the call shows; what is under way may or may not.
   */
  blockStatus(
    context: MetadataContext,
    offset: number,
    lengthBytes: number,
    extentsMax: number,
    complete: ExtentsCompletion,
  ): void;
}

/** An export by name, open or still to come. */
export interface ExportNotice {
  readonly name: string;
  readonly description: string;
  /** Refuse without TLS (NBD_REP_ERR_TLS_REQD) when true. */
  readonly tlsRequired: boolean;
}

/** One open export; looked up anew at each NBD_OPT_GO or EXPORT_NAME. */
export interface ExportEntry extends ExportNotice {
  /** Block sizes in bytes to advertise. */
  readonly minimumBlock: number;
  readonly preferredBlock: number;
  readonly maximumPayload: number;
  readonly contexts: readonly MetadataContext[];
  readonly backend: ExportBackend;
  /**
   * Exports of one word share a budget for payloads; left out: the server's own. A back end that
   * hangs then takes no memory from others. There are few such words.
   */
  readonly memory?: string;
}

/**
 * The exports of one worker, by name; "" asks for the default export, if there is exactly one. An
 * export is to come while its array is being started: who asks for it waits until it is open or
 * given up, as the server is told by `exportsChanged`.
 */
export interface ExportDirectory {
  /** Open ones, and those to come. */
  list(): readonly ExportNotice[];
  /** Open ones only. */
  find(name: string): ExportEntry | null;
  isComing(name: string): boolean;
  /** Why an export is not found; left out: there is no such export. */
  refusal?(name: string): ExportRefusal | null;
}

/** `policy`: there is such an export, but not for who asks. */
export interface ExportRefusal {
  readonly kind: "unknown" | "policy";
  /** For people. */
  readonly text: string;
}

/** Who a client is, as an authority that the server trusts has signed. */
export interface ClientCertificate {
  /** Subject CN. */
  readonly name: string;
  /** Hexadecimal digits, upper case. */
  readonly serial: string;
}

/** The exports as one connection sees them, where that depends on who it is. */
export interface ConnectionDirectory extends ExportDirectory {
  /** TLS is there. Null: the client has no certificate, or one that names nobody. */
  secured(client: ClientCertificate | null): void;
  /** Past the handshake. `abort` cuts it off at once; its requests end unanswered. */
  attached(abort: (reason: string) => void): void;
  /** The socket is closed; requests of it may still be with the back end. */
  gone(): void;
  /** Once: nothing of the connection is left. */
  ended(): void;
}
