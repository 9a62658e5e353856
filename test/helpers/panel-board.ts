/** The demo's board between two tests of the panel. */
import type { ArrayResource } from "../../src/api/schemas/array.ts";
import { type Board, waitForSync } from "./board.ts";

const UNLIMITED = { sync_speed_max: 2 ** 40 };

/** An array by name. */
export async function readArray(board: Board, name: string): Promise<ArrayResource> {
  return (await board.request("GET", `/arrays/${name}`)) as ArrayResource;
}

/** Makes md0 of disk1 and disk2 whole again, without faults and speed limits. */
export async function restoreBoard(board: Board): Promise<void> {
  await board.request("DELETE", "/lab/faults");
  await board.request("PUT", "/arrays/md0/sync-action", UNLIMITED);
  for (const { device_id, states } of (await readArray(board, "md0")).status.members) {
    if (device_id !== null && states.includes("faulty")) {
      await board.request("DELETE", `/arrays/md0/members/${device_id}`);
    }
  }
  const { members } = (await readArray(board, "md0")).status;
  for (const device of ["disk1", "disk2"]) {
    if (!members.some(({ device_id }) => device_id === device)) {
      await board.request("POST", "/arrays/md0/members", { device_id: device, force: true });
    }
  }
  await waitForSync(board);
}
