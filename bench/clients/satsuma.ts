/** Satsuma as a target: a daemon of its own with one array of file-backed disks, bitmap on. */
import { join } from "node:path";
import {
  type ArrayShape,
  BenchBoard,
  METADATA_BYTES,
  RAID1_X2,
  RAID1_X3,
  RAID10_N2_X4,
} from "../bench-board.ts";
import type { Target } from "../target.ts";
import { type ArrayName, fineChunkBytes, type Transport } from "./workloads.ts";

/** Name of the array, of its export, and the beginning of its disks' names. */
export const BENCH_ARRAY = "bench";

function shapeOf(array: ArrayName, sizeBytes: number): ArrayShape {
  switch (array) {
    case "raid1x2":
      return RAID1_X2;
    case "raid1x3":
      return RAID1_X3;
    case "raid10x4":
      return RAID10_N2_X4;
    case "fine-bitmap":
      return { ...RAID1_X2, bitmapChunkBytes: fineChunkBytes(sizeBytes + METADATA_BYTES) };
  }
}

export interface SatsumaSeat {
  readonly array: ArrayName;
  readonly transport: Transport;
  /** With the layer that faults are laid on. */
  readonly isLab: boolean;
  /** Past the page cache. */
  readonly isDirect: boolean;
}

/** Satsuma's target always has its board. */
export type SatsumaTarget = Target & { readonly board: BenchBoard };

/** Starts a daemon in `folder` with an array of at least `sizeBytes`. */
export async function startSatsuma(
  label: string,
  folder: string,
  sizeBytes: number,
  { array, transport, isLab, isDirect }: SatsumaSeat,
): Promise<SatsumaTarget> {
  const board = new BenchBoard(join(folder, "data"), { isLab, isDirect });
  await board.start();
  try {
    const shape = shapeOf(array, sizeBytes);
    const legs = await board.makeDisks(BENCH_ARRAY, shape, sizeBytes);
    await board.makeArray(BENCH_ARRAY, shape, { isClean: true });
    await board.untilSynced(BENCH_ARRAY);
    if (isDirect) await board.expectDirect();
    const uri = board.uri(BENCH_ARRAY, transport);
    return { label, uri, pid: board.serve.pid, legs, board, stop: () => board.stop() };
  } catch (error) {
    await board.stop();
    throw error;
  }
}
