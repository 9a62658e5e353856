/** Small file systems in memory, for what ordinary ones do not show; root only. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export type FileSystem = "tmpfs" | "ramfs";

/** Mounts one on a new folder; `remove` takes both away. */
export function mountScratch(system: FileSystem): { folder: string; remove: () => void } {
  const folder = mkdtempSync(join(tmpdir(), "mount-"));
  const mounted = spawnSync("mount", ["-t", system, "-o", "size=16m", system, folder]);
  if (mounted.status !== 0) throw new Error(`no ${system}: ${mounted.stderr}`);
  return {
    folder,
    remove: () => {
      // Lazily: a failed test may have left a file open.
      spawnSync("umount", ["--lazy", folder]);
      rmdirSync(folder);
    },
  };
}
