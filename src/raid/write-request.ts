/** The life of one client write inside an I/O worker, and the queue of writes that must wait. */

/** Linux errno values the I/O path reports, equal to NBD's. */
export const IO_OK = 0;
export const IO_EPERM = 1;
export const IO_EIO = 5;
export const IO_ESHUTDOWN = 108;

export type IoCompletion = (errno: number) => void;

/** What a write still has to do. One object per write, reused through all its steps. */
export interface WriteRequest {
  readonly source: readonly Uint8Array[];
  readonly offset: number;
  readonly length: number;
  readonly fua: boolean;
  readonly complete: IoCompletion;
  /** Bitmap chunks [firstChunk, lastChunk] it touches. */
  readonly firstChunk: number;
  readonly lastChunk: number;
  /** Legs whose write is under way. */
  legsPending: number;
  /** In-sync legs that took the write. */
  legsWritten: number;
  /** Raid slots whose write failed, and why; recorded faulty BEFORE the write is acknowledged. */
  failures: { readonly slot: number; readonly message: string }[];
}

export const makeWriteRequest = (
  source: readonly Uint8Array[],
  offset: number,
  fua: boolean,
  chunkBytes: number,
  complete: IoCompletion,
): WriteRequest => {
  let length = 0;
  for (const piece of source) length += piece.length;
  return {
    source,
    offset,
    length,
    fua,
    complete,
    firstChunk: Math.floor(offset / chunkBytes),
    lastChunk: Math.floor((offset + Math.max(length, 1) - 1) / chunkBytes),
    legsPending: 0,
    legsWritten: 0,
    failures: [],
  };
};

/** True when the two writes share a byte. */
export const writesOverlap = (a: WriteRequest, b: WriteRequest): boolean =>
  a.offset < b.offset + b.length && b.offset < a.offset + a.length;
