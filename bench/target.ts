/** Servers that take part, and the life of their processes. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { connect, createServer } from "node:net";
import { eventually } from "../test/helpers/timeout.ts";
import type { BenchBoard } from "./bench-board.ts";

export interface Target {
  /** Short name: the column of the table. */
  readonly label: string;
  /** Where fio and nbdcopy find it: an NBD URI, or the path of a raw file. */
  readonly uri: string;
  /** Whose CPU time is counted; null when nobody serves: fio itself does the work. */
  readonly pid: number | null;
  /** The files behind the export, whose page-cache state is set before each job. */
  readonly legs: readonly string[];
  /** Satsuma alone has one: its API makes the conditions of a workload. */
  readonly board?: BenchBoard;
  stop(): Promise<void>;
}

/** Where a server listens. */
export type Listen =
  | { readonly type: "unix"; readonly path: string }
  | { readonly type: "tcp"; readonly port: number };

/** What one member of etcd writes ahead and keeps: two segments of its log, and some. */
export const ETCD_BYTES = 256 * 2 ** 20;

export const LOOPBACK = "127.0.0.1";
const START_TIMEOUT_MS = 15_000;
const OUTPUT_TAIL_CHARS = 4_000;

/** A TCP port that nobody has now. */
export async function freePort(): Promise<number> {
  const probe = createServer();
  probe.listen({ host: LOOPBACK, port: 0 });
  await once(probe, "listening");
  const address = probe.address();
  probe.close();
  if (address === null || typeof address === "string") throw new Error("no TCP port is free");
  return address.port;
}

/** The NBD URI of a server's default export. */
export function uriOf(listen: Listen): string {
  return listen.type === "unix"
    ? `nbd+unix:///?socket=${listen.path}`
    : `nbd://${LOOPBACK}:${listen.port}/`;
}

/** Starts a server and waits until it accepts. Errors: what the server printed. */
export async function startServer(
  command: string,
  args: readonly string[],
  listen: Listen,
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
  const started = eventually(`${command} accepts`, START_TIMEOUT_MS, () => accepts(listen));
  await Promise.race([started, failed.promise]);
  return child;
}

async function accepts(listen: Listen): Promise<boolean> {
  const socket =
    listen.type === "unix" ? connect(listen.path) : connect({ host: LOOPBACK, port: listen.port });
  try {
    await once(socket, "connect");
    return true;
  } finally {
    socket.destroy();
  }
}

/** Ends a server by SIGTERM and waits for its end. */
export async function stopServer(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, "exit");
  child.kill("SIGTERM");
  await exit;
}
