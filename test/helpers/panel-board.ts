/** The demo's board between two tests of the panel. */
import { closeSync, openSync, readSync, writeSync } from "node:fs";
import type { ArrayResource } from "../../src/api/schemas/array.ts";
import { assert } from "../../src/common/assert.ts";
import { decodeSuperblock, encodeSuperblock } from "../../src/raid/superblock.ts";
import { type Board, waitForSync } from "./board.ts";

/** Where metadata 1.2 has its superblock. */
const SUPERBLOCK_AT = 4096;
/** dev_roles of a member that failed. Source: md_p.h MD_DISK_ROLE_FAULTY. */
const ROLE_FAULTY = 0xfffe;
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

/** Makes a member that is out of its array one that went on alone: it calls all others failed. */
export function ranElsewhere(path: string): void {
  const file = openSync(path, "r+");
  try {
    const bytes = new Uint8Array(4096);
    readSync(file, bytes, 0, bytes.length, SUPERBLOCK_AT);
    const decoded = decodeSuperblock(bytes, SUPERBLOCK_AT / 512);
    assert(decoded.ok, "it is a member");
    const { devNumber, devRoles } = decoded.value;
    const roles = devRoles.map((role, number) => (number === devNumber ? role : ROLE_FAULTY));
    const superblock = { ...decoded.value, devRoles: roles };
    writeSync(file, encodeSuperblock(superblock), 0, null, SUPERBLOCK_AT);
  } finally {
    closeSync(file);
  }
}
