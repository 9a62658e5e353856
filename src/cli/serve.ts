/** `satsuma serve`: the daemon in the foreground, until SIGINT or SIGTERM. */

import { type Command, Option } from "commander";
import { toPlainError } from "../common/errors.ts";
import { type Logger, ndjsonLogger } from "../common/log.ts";
import { type Config, type ConfigFlags, loadConfig } from "../config.ts";
import type { StorageEngine } from "../control/engine.ts";
import { asCodedError, printText } from "./output.ts";
import { keepCompiled, prepareProcess } from "./process-settings.ts";

/** A daemon as this verb sees it. */
export interface ServedDaemon {
  readonly http: Config["http"];
  /** Resolves with the reason when it is to be closed and started again. */
  readonly restart: Promise<string>;
  readonly url: string;
  readonly nbd: StorageEngine["nbd"];
  readonly tokenPath: string;
  readonly newToken: string | null;
  close(isRestart?: boolean): Promise<void>;
}

/** Starts a daemon: `startDaemon` of src/daemon.ts. */
export type StartDaemon = (options: {
  readonly config: Config;
  readonly logger: Logger;
  readonly version: string;
  readonly isTokenRenewed: boolean;
}) => Promise<ServedDaemon>;

/** What a parent with an IPC channel is told. */
export type ServeMessage =
  | {
      readonly type: "ready";
      readonly url: string;
      readonly nbd: string | null;
      readonly nbdSocket: string | null;
      readonly tokenPath: string;
    }
  | {
      readonly type: "failed";
      readonly error: {
        readonly code: string;
        readonly message: string;
        readonly remedy: string;
        readonly details: Readonly<Record<string, unknown>>;
      };
    };

interface ServeFlags extends ConfigFlags {
  readonly newToken?: boolean;
}

/** A close that takes longer is given up: something hangs, and metadata is safe without it. */
const CLOSE_TIMEOUT_MS = 30_000;
const SIGNAL_EXIT_CODE = 130;

/** Tells a parent, if there is one with a channel; resolves when it has left. */
const tellParent = async (message: ServeMessage): Promise<void> => {
  if (process.send !== undefined && process.connected) {
    const { promise, resolve } = Promise.withResolvers<void>();
    process.send(message, undefined, undefined, () => resolve());
    await promise;
  }
};

/** Lets the process end: an open channel keeps it alive. */
const leaveParent = (): void => {
  if (process.connected) {
    process.disconnect?.();
  }
};

/** Resolves at the first SIGINT or SIGTERM, or when the parent with the channel is gone. */
const endRequested = (): Promise<void> =>
  new Promise((resolve) => {
    process.once("SIGINT", () => resolve());
    process.once("SIGTERM", () => resolve());
    if (process.send !== undefined) {
      process.once("disconnect", () => resolve());
    }
  });

const describe = (daemon: ServedDaemon): string => {
  const { tcp, socketPath } = daemon.nbd;
  const places = [
    ...(tcp === null ? [] : [`${tcp.host}:${tcp.port}`]),
    ...(socketPath === null ? [] : [socketPath]),
  ];
  const token =
    daemon.newToken === null
      ? `token: in ${daemon.tokenPath}`
      : `token: ${daemon.newToken} (kept in ${daemon.tokenPath})`;
  return `panel and API: ${daemon.url}\nNBD: ${places.join(" and ")}\n${token}\n`;
};

/** Ends the process when the daemon does not end. */
const closeInTime = async (
  daemon: ServedDaemon,
  logger: Logger,
  isRestart: boolean,
): Promise<void> => {
  const timeout = setTimeout(() => {
    logger.error({ after_ms: CLOSE_TIMEOUT_MS }, "close-timed-out");
    process.exit(1);
  }, CLOSE_TIMEOUT_MS);
  await daemon.close(isRestart);
  clearTimeout(timeout);
};

/**
 * Another cluster: the same process goes on with a new daemon, where clients and administrators
 * know it. Arrays are stopped clean and started again; clients attach anew.
 */
const startAnew = async (
  daemon: ServedDaemon,
  why: string,
  options: Parameters<StartDaemon>[0],
  startDaemon: StartDaemon,
): Promise<ServedDaemon> => {
  const { logger, config } = options;
  logger.info({ why }, "daemon-starts-anew");
  const { http, nbd } = daemon;
  await closeInTime(daemon, logger, true);
  return await startDaemon({ ...options, config: { ...config, http, nbdTcp: nbd.tcp } });
};

const serve = async (
  flags: ServeFlags,
  version: string,
  startDaemon: StartDaemon,
): Promise<void> => {
  // What the daemon makes (settings, keys, sockets) is its owner's alone.
  process.umask(0o077);
  const config = loadConfig(flags);
  const logger = ndjsonLogger({
    write: (line) => process.stderr.write(line),
    wallTime: Date.now,
    level: config.logLevel,
  });
  // Asked for BEFORE the start: a signal during it is not lost.
  const ended = endRequested();
  const isTokenRenewed = flags.newToken ?? false;
  prepareProcess(config, version);
  const options = { config, logger, version, isTokenRenewed: false };
  let daemon = await startDaemon({ ...options, isTokenRenewed });
  const { tcp, socketPath } = daemon.nbd;
  // A parent with a channel keeps what is printed in a log: the token has no place there.
  if (process.send === undefined) {
    printText(describe(daemon));
  }
  await tellParent({
    type: "ready",
    url: daemon.url,
    nbd: tcp === null ? null : `${tcp.host}:${tcp.port}`,
    nbdSocket: socketPath,
    tokenPath: daemon.tokenPath,
  });
  keepCompiled();
  for (;;) {
    const why = await Promise.race([ended, daemon.restart]);
    if (typeof why !== "string") break;
    daemon = await startAnew(daemon, why, options, startDaemon);
  }
  logger.info({}, "daemon-ending");
  process.once("SIGINT", () => process.exit(SIGNAL_EXIT_CODE));
  await closeInTime(daemon, logger, false);
};

/** Registers the verb. */
export function registerServeCommand(
  program: Command,
  startDaemon: StartDaemon,
  version: string,
): void {
  program
    .command("serve")
    .description("run the daemon in the foreground")
    .option("--data <dir>", "data directory: settings, events, file-backed disks")
    .option("--config <file>", "configuration file (TOML)")
    .option("--http <host:port>", "where panel and API listen")
    .option("--nbd <host:port>", 'where NBD listens; "" for not at all')
    .option("--nbd-socket <path>", 'unix socket of NBD; "" for none')
    .option("--name <name>", "name of the board")
    .option("--cluster <name>", "cluster of the board, for arrays with a clustered bitmap")
    .option("--etcd <url,...>", "client URLs of the cluster's etcd")
    .option("--node <name>", "name of the board among the cluster's nodes (default: its name)")
    .option("--lab", "allow faults to be laid over members")
    .option("--new-token", "make a new admin token; the one before is void")
    .addOption(new Option("--workers <count>", "I/O worker threads").hideHelp())
    .action(async (flags: ServeFlags) => {
      try {
        await serve(flags, version, startDaemon);
      } catch (error) {
        await tellParent({ type: "failed", error: toPlainError(asCodedError(error)) });
        throw error;
      } finally {
        leaveParent();
      }
    });
}
