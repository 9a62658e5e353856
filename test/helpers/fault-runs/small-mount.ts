/** Small file systems to be filled up: a tmpfs on a folder, where this process may mount one. */
import { spawnSync } from "node:child_process";
import { mkdirSync } from "node:fs";

const mounted = new Set<string>();
let isWatching = false;

/** Mounts one of so many MiB, until this process ends at the latest. False: it may not. */
export function mountSmall(folder: string, mib: number): boolean {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const options = `size=${mib}m,mode=0700`;
  const isDone = spawnSync("mount", ["-t", "tmpfs", "-o", options, "tmpfs", folder]).status === 0;
  if (isDone) mounted.add(folder);
  if (!isWatching) {
    isWatching = true;
    process.on("exit", () => {
      for (const one of mounted) unmountSmall(one);
    });
  }
  return isDone;
}

/** Takes it away; what it held is gone. */
export function unmountSmall(folder: string): void {
  mounted.delete(folder);
  spawnSync("umount", ["--lazy", folder]);
}
