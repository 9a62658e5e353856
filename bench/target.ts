/** NBD servers that take part, and the life of their processes. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { eventually } from "../test/helpers/timeout.ts";

export interface Target {
  /** Short name: the column of the table. */
  readonly label: string;
  readonly uri: string;
  /** Whose CPU time is counted. */
  readonly pid: number;
  /** The files or devices behind the export, whose page-cache state is set before each job. */
  readonly legs: readonly string[];
  stop(): Promise<void>;
}

const START_TIMEOUT_MS = 15_000;
const OUTPUT_TAIL_CHARS = 4_000;

/** Starts a server and waits until its unix socket is there. Errors: what the server printed. */
export async function startServer(
  command: string,
  args: readonly string[],
  socket: string,
): Promise<ChildProcess> {
  const child = spawn(command, args, { stdio: ["ignore", "ignore", "pipe"] });
  let output = "";
  child.stderr.on("data", (chunk: Buffer) => {
    output = (output + chunk.toString("utf8")).slice(-OUTPUT_TAIL_CHARS);
  });
  const failed = Promise.withResolvers<never>();
  child.once("error", failed.reject);
  child.once("exit", (code) => failed.reject(new Error(`${command} ended (${code}): ${output}`)));
  failed.promise.catch(() => {}); // A later end is the caller's doing.
  const started = eventually(`socket ${socket}`, START_TIMEOUT_MS, () => existsSync(socket));
  await Promise.race([started, failed.promise]);
  return child;
}

/** Ends a server by SIGTERM and waits for its end. */
export async function stopServer(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, "exit");
  child.kill("SIGTERM");
  await exit;
}
