/** Random data for files and targets, and whether a target gives back what it was given. */
import { truncateSync } from "node:fs";
import { rm } from "node:fs/promises";
import { runCommand } from "../test/helpers/command.ts";
import type { Target } from "./target.ts";

const LIMIT_MS = 600_000;

/** Makes a file of random bytes, so that no leg is left with unwritten extents. */
export async function makePattern(path: string, sizeBytes: number): Promise<void> {
  const args = ["if=/dev/urandom", `of=${path}`, "bs=1M", `count=${sizeBytes / 2 ** 20}`];
  await runCommand("dd", [...args, "status=none"], LIMIT_MS);
}

/** Copies a file over the beginning of another, in place. */
export async function overwrite(from: string, to: string): Promise<void> {
  await runCommand(
    "dd",
    [`if=${from}`, `of=${to}`, "bs=1M", "conv=notrunc", "status=none"],
    LIMIT_MS,
  );
}

/** Copies the pattern to the target and back. Errors: rejects when it comes back different. */
export async function verifyTarget(target: Target, pattern: string): Promise<void> {
  const copy = `${pattern}.copy`;
  try {
    await runCommand("nbdcopy", ["--flush", pattern, target.uri], LIMIT_MS);
    await runCommand("nbdcopy", [target.uri, copy], LIMIT_MS);
    const { stdout } = await runCommand("stat", ["--format=%s", pattern], LIMIT_MS);
    truncateSync(copy, Number(stdout));
    await runCommand("cmp", [pattern, copy], LIMIT_MS);
  } finally {
    await rm(copy, { force: true });
  }
}
