/**
 * The second try of a write that failed: piece by piece, so that one bad spot does not cost the
 * whole request. Source: drivers/md/raid1.c narrow_write_error.
 */

import { slicePieces } from "../common/pieces.ts";
import type { BlockDevice } from "../hal/block-device.ts";
import type { BadRange } from "./bad-block-table.ts";

/** Pieces of a second try. Choice: a page, the unit of what lies above most often. */
const PIECE_BYTES = 4096;
const ZEROES = new Uint8Array(PIECE_BYTES);
/** A member that refuses more pieces of one write than this is gone, not damaged. Choice. */
const FAILED_PIECES_MAX = 64;

export interface NarrowWrite {
  /** Asked anew for each piece; null once the handle is closed. */
  readonly device: () => BlockDevice | null;
  /** Bytes from the start of the member to the array's content. */
  readonly dataOffset: number;
  /** Bytes behind the data offset. */
  readonly position: number;
  readonly length: number;
  /** The data; null: zeroes. */
  readonly pieces: readonly Uint8Array[] | null;
}

/** Writes again; the ranges that failed again, behind the data offset; null: it is gone. */
export const narrowWrite = async (write: NarrowWrite): Promise<readonly BadRange[] | null> => {
  const failed: [number, number][] = [];
  const end = write.position + write.length;
  let failedPieces = 0;
  for (let at = write.position; at < end; ) {
    const upTo = Math.min((Math.floor(at / PIECE_BYTES) + 1) * PIECE_BYTES, end);
    const device = write.device();
    if (device === null) return null;
    const pieces =
      write.pieces === null
        ? [ZEROES.subarray(0, upTo - at)]
        : slicePieces(write.pieces, at - write.position, upTo - at);
    if (!(await isStored(device, pieces, write.dataOffset + at))) {
      failedPieces++;
      const last = failed.at(-1);
      if (last !== undefined && last[1] === at) last[1] = upTo;
      else failed.push([at, upTo]);
      if (failedPieces > FAILED_PIECES_MAX) return null;
    }
    at = upTo;
  }
  return failed;
};

const isStored = (
  device: BlockDevice,
  pieces: readonly Uint8Array[],
  position: number,
): Promise<boolean> =>
  device.write(pieces, position).then(
    () => true,
    () => false,
  );
