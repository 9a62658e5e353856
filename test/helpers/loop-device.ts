/** Loop block devices over files, where root may make them. */
import { spawnSync } from "node:child_process";
import { accessSync, constants, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Makes a loop device over the file, `options` being losetup's; null when none can be made. */
export function attachLoop(path: string, options: readonly string[] = []): string | null {
  const args = ["--find", "--show", ...options, path];
  const result = spawnSync("losetup", args, { encoding: "utf8" });
  return result.status === 0 ? result.stdout.trim() : null;
}

export function detachLoop(device: string): void {
  spawnSync("losetup", ["--detach", device]);
}

/** Why there can be no loop device here; undefined when there can. */
export function noLoopDevice(): string | undefined {
  if (process.getuid?.() !== 0) return "loop devices need root";
  try {
    accessSync("/dev/loop-control", constants.W_OK);
  } catch {
    return "no /dev/loop-control";
  }
  const folder = mkdtempSync(join(tmpdir(), "loop-"));
  try {
    const path = join(folder, "probe.img");
    writeFileSync(path, new Uint8Array(1024 * 1024));
    const loop = attachLoop(path);
    if (loop === null) return "losetup cannot make a loop device";
    detachLoop(loop);
    return undefined;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
