/** The `satsuma` command, run as its users run it. */
import { join } from "node:path";
import { type CommandResult, hashOutput, runCommand, tryCommand } from "./command.ts";

/** The program, for tests that start it themselves with `process.execPath`. */
export const SATSUMA_MAIN = join(import.meta.dirname, "../../src/main.ts");

/** Where `bin/satsuma` and the tests keep compiled code. */
export const CODE_CACHE = join(import.meta.dirname, "../../node_modules/.cache/satsuma-code");

/** Runs `satsuma ARGS`. Errors: rejects with what it printed when it fails. */
export async function runSatsuma(...args: string[]): Promise<CommandResult> {
  return await runCommand(process.execPath, [SATSUMA_MAIN, ...args]);
}

/** Runs `satsuma ARGS` and returns how it ended. */
export async function trySatsuma(...args: string[]): Promise<CommandResult> {
  return await tryCommand(process.execPath, [SATSUMA_MAIN, ...args]);
}

/** SHA-256 of the content of the array of these members, read by `satsuma read`. */
export async function hashArray(members: readonly string[]): Promise<string> {
  return await hashOutput(process.execPath, [SATSUMA_MAIN, "read", ...members, "--output", "-"]);
}
