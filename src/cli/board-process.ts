/** A board as a process of its own: `satsuma serve` as a child that tells when it is ready. */

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync, readFileSync, statSync, truncateSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { CodedError, fromPlainError } from "../common/errors.ts";
import { HTTP_DEFAULT, NBD_DEFAULT, SOCKET_PATH_BYTES_MAX } from "../config.ts";
import { type Address, parseAddress } from "../config-values.ts";
import type { BoardCredentials } from "./demo-credentials.ts";
import type { ServeMessage } from "./serve.ts";

const LOG_BYTES_MAX = 8 * 1024 * 1024;
const STOP_TIMEOUT_MS = 40_000;

/** What to start; `previous` is the board's last run, whose ports are taken again if free. */
export interface BoardProcessOptions {
  readonly directory: string;
  readonly name: string;
  readonly http?: string;
  readonly nbd?: string;
  readonly previous: BoardCredentials | null;
  /** Never the default ports: another board of the demo has them. */
  readonly avoidsDefaults?: boolean;
  /** More flags of `serve`. */
  readonly flags?: readonly string[];
}

/** A running board. */
export interface BoardProcess {
  readonly name: string;
  readonly pid: number;
  readonly url: string;
  readonly token: string;
  /** HOST:PORT. */
  readonly nbd: string;
  readonly nbdSocket: string;
  readonly logPath: string;
  /** Resolves with the reason when the process ends, however it does. */
  readonly exited: Promise<string>;
  /** Ends it by SIGTERM and waits; a process that does not end is killed. */
  stop(): Promise<void>;
}

const isFree = async (host: string, port: number): Promise<boolean> => {
  const probe = createServer();
  try {
    probe.listen({ host, port });
    await once(probe, "listening");
    return true;
  } catch {
    // In use, or not ours to take: either way another one is chosen.
    return false;
  } finally {
    probe.close();
  }
};

/** The wanted address, else the last run's, else the default, else a free port. */
const chooseAddress = async (
  wanted: string | undefined,
  previous: string | undefined,
  fallback: Address,
): Promise<string> => {
  if (wanted !== undefined) {
    return wanted;
  }
  for (const text of [previous, `${fallback.host}:${fallback.port}`]) {
    if (text !== undefined && text !== "") {
      const { host, port } = parseAddress("address", text, fallback.host);
      if (await isFree(host, port)) {
        return text;
      }
    }
  }
  return `${fallback.host}:0`;
};

/** A socket in the folder, or under the temporary folder where that path would be too long. */
const chooseSocket = (directory: string, name: string): string => {
  const inside = path.join(directory, "nbd.sock");
  return Buffer.byteLength(inside) <= SOCKET_PATH_BYTES_MAX
    ? inside
    : path.join(tmpdir(), `satsuma-${process.pid}-${name}.sock`);
};

/** The log, cut off when it has grown large. */
const openLog = (file: string): number => {
  if ((statSync(file, { throwIfNoEntry: false })?.size ?? 0) > LOG_BYTES_MAX) {
    truncateSync(file);
  }
  return openSync(file, "a", 0o600);
};

/** Waits for the child's first message. Errors: the child's, CLI_BOARD_ENDED. */
const readiness = async (
  child: ChildProcess,
  exited: Promise<string>,
  logPath: string,
): Promise<ServeMessage & { readonly type: "ready" }> => {
  const message = once(child, "message").then(([value]) => value as ServeMessage);
  const first = await Promise.race([message, exited]);
  if (typeof first === "string") {
    throw new CodedError("CLI_BOARD_ENDED", `the board ended while it started (${first})`, {
      remedy: `see ${logPath}`,
    });
  }
  if (first.type === "failed") {
    if (child.connected) {
      child.disconnect();
    }
    await exited;
    throw fromPlainError(first.error);
  }
  return first;
};

/** How to reach the board. */
export const boardCredentials = (
  board: BoardProcess,
  directory: string,
  disks: readonly string[],
): BoardCredentials => ({
  name: board.name,
  url: board.url,
  token: board.token,
  nbd: board.nbd,
  nbd_socket: board.nbdSocket,
  data_dir: directory,
  pid: board.pid,
  disks,
});

/** Starts `satsuma serve` as a child and waits until it is ready. Errors: the daemon's. */
export async function startBoardProcess(options: BoardProcessOptions): Promise<BoardProcess> {
  const { directory, name, previous } = options;
  const lastHttp = previous?.url.replace(/^http:\/\//, "");
  const at = (address: Address): Address =>
    options.avoidsDefaults === true ? { ...address, port: 0 } : address;
  const http = await chooseAddress(options.http, lastHttp, at(HTTP_DEFAULT));
  const nbd = await chooseAddress(options.nbd, previous?.nbd, at(NBD_DEFAULT));
  const logPath = path.join(directory, "daemon.log");
  const log = openLog(logPath);
  const [, entry = ""] = process.argv;
  const flags = ["--data", directory, "--name", name, "--http", http, "--nbd", nbd];
  const child = spawn(
    process.execPath,
    [
      ...process.execArgv,
      entry,
      "serve",
      ...flags,
      "--nbd-socket",
      chooseSocket(directory, name),
      "--lab",
      ...(options.flags ?? []),
    ],
    // A group of its own: Ctrl-C reaches only the parent, which ends the child once.
    {
      stdio: ["ignore", log, log, "ipc"],
      detached: true,
    },
  );
  closeSync(log);
  const exited = new Promise<string>((resolve) => {
    child.once("exit", (code, signal) => resolve(signal ?? `exit code ${code}`));
    child.once("error", (error) => resolve(error.message));
  });
  const ready = await readiness(child, exited, logPath);
  return {
    name,
    pid: child.pid ?? 0,
    url: ready.url,
    token: readFileSync(ready.tokenPath, "utf8").trim(),
    nbd: ready.nbd ?? "",
    nbdSocket: ready.nbdSocket ?? "",
    logPath,
    exited,
    stop: async () => {
      child.kill("SIGTERM");
      const timeout = setTimeout(() => child.kill("SIGKILL"), STOP_TIMEOUT_MS);
      await exited;
      clearTimeout(timeout);
    },
  };
}
