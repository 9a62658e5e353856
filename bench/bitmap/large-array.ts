/** A real 16 TiB array of sparse files: how long its bitmap takes to load, and its memory. */
import { join } from "node:path";
import { type ArrayShape, BenchBoard, RAID10_N2_X4 } from "../bench-board.ts";
import { readRssMib } from "../process-memory.ts";

const ARRAY = "large";

export interface LargeArrayResult {
  readonly assembleMs: number;
  /** What the board's memory grew by, MiB per TiB of the array. */
  readonly mibPerTib: number;
}

/** Makes the array, stops it, and assembles it again with its bits all clear or all set. */
export async function measureLargeArray(
  folder: string,
  sizeBytes: number,
  isClean: boolean,
): Promise<LargeArrayResult> {
  const shape: ArrayShape = RAID10_N2_X4;
  const board = new BenchBoard(join(folder, "data"));
  await board.start();
  try {
    await board.makeDisks(ARRAY, shape, sizeBytes);
    await board.makeArray(ARRAY, shape, { isClean });
    await board.stopArray(ARRAY);
    // A daemon that has never run the array: what grows is the array's.
    await board.stop();
    await board.start();
    const before = readRssMib(board.serve.pid);
    const began = performance.now();
    await board.serve.request("POST", "/arrays", { assemble: ARRAY });
    const assembleMs = performance.now() - began;
    const grown = readRssMib(board.serve.pid) - before;
    return { assembleMs, mibPerTib: grown / (sizeBytes / 2 ** 40) };
  } finally {
    await board.stop();
  }
}
