/** Runs other programs to their end: the real clients and tools that tests and the bench use. */
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";

const TIMEOUT_MS = 120_000;

export interface CommandResult {
  /** Exit code as text, or the name of the signal that ended it. */
  readonly ending: string;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program and returns how it ended. Errors: rejects when it cannot be started. */
export async function tryCommand(
  command: string,
  args: readonly string[],
  timeoutMs = TIMEOUT_MS,
): Promise<CommandResult> {
  const { child, ending } = start(command, args, timeoutMs);
  const out: Buffer[] = [];
  const errors: Buffer[] = [];
  child.stdout.on("data", (chunk: Buffer) => out.push(chunk));
  child.stderr.on("data", (chunk: Buffer) => errors.push(chunk));
  return {
    ending: await ending,
    stdout: Buffer.concat(out).toString("utf8"),
    stderr: Buffer.concat(errors).toString("utf8"),
  };
}

/** Runs a program. Errors: rejects with what it printed when it fails or takes too long. */
export async function runCommand(
  command: string,
  args: readonly string[],
  timeoutMs = TIMEOUT_MS,
): Promise<CommandResult> {
  const result = await tryCommand(command, args, timeoutMs);
  if (result.ending !== "0") {
    const printed = `${result.stderr}${result.stdout}`.trim();
    throw new Error(`${command} ${args.join(" ")} ended with ${result.ending}: ${printed}`);
  }
  return result;
}

/** Runs a program and returns the SHA-256 of its standard output. Errors: as `runCommand`. */
export async function hashOutput(
  command: string,
  args: readonly string[],
  timeoutMs = TIMEOUT_MS,
): Promise<string> {
  const { child, ending } = start(command, args, timeoutMs);
  const hash = createHash("sha256");
  let printed = "";
  child.stdout.on("data", (chunk: Buffer) => hash.update(chunk));
  child.stderr.on("data", (chunk: Buffer) => {
    printed += chunk.toString("utf8");
  });
  const code = await ending;
  if (code !== "0") throw new Error(`${command} ${args.join(" ")} ended with ${code}: ${printed}`);
  return hash.digest("hex");
}

function start(command: string, args: readonly string[], timeoutMs: number) {
  const child = spawn(command, args, {
    stdio: ["ignore", "pipe", "pipe"],
    timeout: timeoutMs,
    killSignal: "SIGKILL",
  });
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  child.once("error", reject);
  child.once("close", (code, signal) => resolve(signal ?? String(code)));
  return { child, ending: promise };
}
