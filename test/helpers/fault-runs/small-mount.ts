/** Small file systems to be filled up: a tmpfs on a folder, where this process may mount one. */
import { spawnSync } from "node:child_process";
import { mkdirSync } from "node:fs";

/** Mounts one of so many MiB. False: it may not. */
export function mountSmall(folder: string, mib: number): boolean {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const options = `size=${mib}m,mode=0700`;
  return spawnSync("mount", ["-t", "tmpfs", "-o", options, "tmpfs", folder]).status === 0;
}

/** Takes it away; what it held is gone. */
export function unmountSmall(folder: string): void {
  spawnSync("umount", ["--lazy", folder]);
}
