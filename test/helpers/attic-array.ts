/** A clustered raid1 of two new file-backed disks, for a board of the cluster "attic". */
import { closeSync, ftruncateSync, mkdirSync, openSync } from "node:fs";
import { join } from "node:path";

const DISKS = ["disk1", "disk2"];
const DISK_BYTES = 16 * 1024 * 1024;

/** Body of POST /arrays. */
export const ATTIC_ORDER = {
  name: "md0",
  level: "raid1",
  bitmap: "clustered",
  nodes: 2,
  home_cluster: "attic",
  device_ids: DISKS,
  assume_clean: true,
};

/** Makes the disks in a board's new data folder, BEFORE it starts. Returns their paths. */
export const makeAtticDisks = (folder: string): readonly string[] => {
  mkdirSync(join(folder, "disks"));
  return DISKS.map((name) => {
    const path = join(folder, "disks", `${name}.img`);
    const file = openSync(path, "w");
    ftruncateSync(file, DISK_BYTES);
    closeSync(file);
    return path;
  });
};
