/** Satsuma as a target: a board of its own with a mirror of two file-backed disks, bitmap on. */
import { statSync } from "node:fs";
import { join } from "node:path";
import { startBoard, waitForSync } from "../test/helpers/board.ts";
import { OURS } from "./report.ts";
import type { Target } from "./target.ts";

/** Room for md metadata before the data. */
const METADATA_BYTES = 256 * 2 ** 20;

/** Starts a board and waits for its initial resync. Errors: when its disks are too small. */
export async function startOurs(folder: string, sizeBytes: number): Promise<Target> {
  const board = await startBoard({
    dataDir: join(folder, OURS),
    args: ["--size", String(sizeBytes + METADATA_BYTES)],
  });
  const legs = board.disks.filter((disk) => statSync(disk).size > sizeBytes).slice(0, 2);
  try {
    if (legs.length < 2) throw new Error(`the demo's disks are smaller than ${sizeBytes} bytes`);
    await waitForSync(board);
  } catch (error) {
    await board.stop();
    throw error;
  }
  return {
    label: OURS,
    uri: board.nbdUri,
    pid: board.pid,
    legs,
    stop: () => board.stop(),
  };
}
