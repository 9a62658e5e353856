/** Bytes that lie in several pieces of memory and count as one run. */

/** Total length of the pieces. */
export const piecesLength = (pieces: readonly Uint8Array[]): number => {
  let length = 0;
  for (const piece of pieces) length += piece.length;
  return length;
};

/** `[from, from + length)` of the bytes that the pieces make together. */
export const slicePieces = (
  pieces: readonly Uint8Array[],
  from: number,
  length: number,
): Uint8Array[] => {
  const slices: Uint8Array[] = [];
  let at = 0;
  for (const piece of pieces) {
    const start = Math.max(from - at, 0);
    const end = Math.min(from + length - at, piece.length);
    if (start < end) slices.push(piece.subarray(start, end));
    at += piece.length;
  }
  return slices;
};

/** Fills `target` with the bytes that the pieces make together, from their byte `from` on. */
export const gatherPieces = (
  pieces: readonly Uint8Array[],
  from: number,
  target: Uint8Array,
): void => {
  let at = -from;
  for (const piece of pieces) {
    const start = Math.max(-at, 0);
    const end = Math.min(target.length - at, piece.length);
    const isWhole = start === 0 && end === piece.length;
    if (start < end) target.set(isWhole ? piece : piece.subarray(start, end), at + start);
    at += piece.length;
  }
};

/** The same bytes in as few pieces as their memory allows: neighbours become one. */
export const joinPieces = (pieces: readonly Uint8Array[]): Uint8Array[] => {
  const joined: Uint8Array[] = [];
  for (const piece of pieces) {
    if (piece.length === 0) continue;
    const last = joined.at(-1);
    const isNext =
      last !== undefined &&
      last.buffer === piece.buffer &&
      last.byteOffset + last.length === piece.byteOffset;
    if (!isNext) joined.push(piece);
    else {
      const length = last.length + piece.length;
      joined[joined.length - 1] = new Uint8Array(piece.buffer, last.byteOffset, length);
    }
  }
  return joined;
};
