/**
 * Failures at the edges: devices, sockets, the store, requests of users. Each has a stable code
 * that scripts may match; every code has a row in docs/errors.md (a test compares the two).
 */

/** What a CodedError carries besides its code and message. */
export interface CodedErrorOptions {
  /** What the user can do about it, as one sentence without a full stop. */
  readonly remedy?: string;
  /**
   * Machine-readable facts: plain JSON values, snake_case keys (they reach the API as they are).
   */
  readonly details?: Readonly<Record<string, unknown>>;
  /** The failure beneath, if any. */
  readonly cause?: unknown;
}

/**
 * A failure with a stable code.
 * - `code`: AREA_WHAT in capitals (`RAID_LAST_IN_SYNC_MEMBER`), given as a literal at the throw.
 * - `message`: for people, names the thing (path, array, port); may change between versions.
 * - `remedy`: empty when nobody but the reader of the details can help.
 */
export class CodedError extends Error {
  override readonly name = "CodedError";
  readonly code: string;
  readonly remedy: string;
  readonly details: Readonly<Record<string, unknown>>;

  constructor(code: string, message: string, options: CodedErrorOptions = {}) {
    super(message, "cause" in options ? { cause: options.cause } : undefined);
    this.code = code;
    this.remedy = options.remedy ?? "";
    this.details = options.details ?? {};
  }

  /** The message with its remedy, on one line: `message; remedy`. */
  get advice(): string {
    return this.remedy === "" ? this.message : `${this.message}; ${this.remedy}`;
  }
}

/**
 * The plain form of a CodedError, to post between threads: structured clone drops class and code.
 */
export interface PlainError {
  readonly code: string;
  readonly message: string;
  readonly remedy: string;
  readonly details: Readonly<Record<string, unknown>>;
}

/** `error` as a plain value. Details must survive structured clone; the cause stays behind. */
export function toPlainError(error: CodedError): PlainError {
  const { code, message, remedy, details } = error;
  return { code, message, remedy, details };
}

/** The CodedError that a PlainError was made from, with the stack of this call. */
export function fromPlainError(plain: PlainError): CodedError {
  const { code, message, remedy, details } = plain;
  return new CodedError(code, message, { remedy, details });
}
