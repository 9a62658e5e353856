/**
 * The composition root: one daemon over one data directory. Opens the store, then the engine, then
 * the control plane and the API, and closes them in the opposite order.
 */

import { randomBytes } from "node:crypto";
import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import type { FastifyInstance } from "fastify";
import { listen } from "./api/listen.ts";
import { build } from "./api/server.ts";
import { type BoardLife, openBoardLife } from "./board-life.ts";
import { readMembers } from "./cluster/store/etcd-members-client.ts";
import { readVoters } from "./cluster/store/etcd-voters-client.ts";
import { CodedError } from "./common/errors.ts";
import type { Logger } from "./common/log.ts";
import type { Config, TlsFiles } from "./config.ts";
import type { ClusterConfig, ClusterTlsFiles } from "./config-cluster.ts";
import { holderOf, issueToken } from "./control/access-token.ts";
import { ControlPlane } from "./control/control-plane.ts";
import type {
  EngineCluster,
  EngineExporter,
  EngineOptions,
  EngineTls,
  OpenEngine,
  SeenStore,
  StorageEngine,
} from "./control/engine.ts";
import type { Quorum } from "./control/impact-types.ts";
import type { LifeParts } from "./control/life-service.ts";
import { linuxDeviceFiles } from "./hal/linux/device-files.ts";
import { makeFolder } from "./hal/linux/make-folder.ts";
import { parsePeerPath } from "./hal/peer-path.ts";
import { openStore, type Store } from "./store/store.ts";
import { storeError } from "./store/store-errors.ts";

/** How to start a daemon; `openEngine` replaces the real engine in tests. */
export interface DaemonOptions {
  readonly config: Config;
  readonly logger: Logger;
  readonly version: string;
  /** Make a new admin token even if there is one. */
  readonly isTokenRenewed?: boolean;
  readonly openEngine?: OpenEngine;
}

/** A running daemon. */
export interface Daemon {
  /** Where the API listens. */
  readonly http: { readonly host: string; readonly port: number };
  /** Resolves with the reason when it is to be closed and started again, in another cluster. */
  readonly restart: Promise<string>;
  readonly url: string;
  readonly nbd: StorageEngine["nbd"];
  /** File that holds the admin token, mode 0600. */
  readonly tokenPath: string;
  /** The admin token when this start made it, else null. */
  readonly newToken: string | null;
  readonly control: ControlPlane;
  /**
   * Answers no more, stops the arrays clean, gives the data directory back. `isRestart`: its etcd
   * votes on meanwhile.
   */
  close(isRestart?: boolean): Promise<void>;
}

const PANEL_FOLDER = path.join(import.meta.dirname, "..", "dist-web");

/** Ids of jobs: sort by time, unique. */
const newJobId = (now: number): string =>
  `j_${now.toString(36).padStart(9, "0")}${randomBytes(5).toString("hex")}`;

const openDataDirectory = (directory: string): Store => {
  const file = path.join(directory, "satsuma.db");
  try {
    makeFolder(directory);
  } catch (error) {
    throw storeError(error, file);
  }
  return openStore({ path: file });
};

/** Writes a file for its owner alone; one that cannot be written whole goes. Errors: STORE_*. */
const writeOwn = (file: string, text: string): void => {
  try {
    writeFileSync(file, text, { mode: 0o600 });
  } catch (error) {
    rmSync(file, { force: true });
    throw storeError(error, file);
  }
};

/** Makes the admin token when there is none, or when a new one is asked for. */
const ensureToken = (store: Store, file: string, isRenewed: boolean): string | null => {
  if (store.tokens.count() > 0 && !isRenewed) {
    return null;
  }
  const fresh = `${file}.new`;
  const keep = (token: string): void => writeOwn(fresh, `${token}\n`);
  const token = issueToken(store.tokens, "admin", Date.now(), keep);
  renameSync(fresh, file);
  return token;
};

const readPem = (file: string, keys: string): string => {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    throw new CodedError("CONFIG_TLS_UNREADABLE", `${file} cannot be read`, {
      remedy: `give readable PEM files in ${keys}`,
      cause: error,
    });
  }
};

const readTls = (files: TlsFiles | null): EngineTls | null => {
  if (files === null) return null;
  const read = (file: string): string => readPem(file, "nbd.tls_certificate and nbd.tls_key");
  return {
    certificate: read(files.certificate),
    key: read(files.key),
    clientAuthority: files.clientAuthority === null ? null : read(files.clientAuthority),
  };
};

/** What an earlier run remembered of the cluster's store. Errors: CONFIG_STORE_UNREADABLE. */
const readSeen = (file: string): SeenStore | null => {
  if (!existsSync(file)) return null;
  try {
    const { clusterId, revision } = JSON.parse(readFileSync(file, "utf8")) as Partial<SeenStore>;
    if (typeof clusterId === "string" && Number.isSafeInteger(revision))
      return { clusterId, revision: Number(revision) };
  } catch {
    // Refused below, like anything else that is no such record.
  }
  throw new CodedError("CONFIG_STORE_UNREADABLE", `${file} does not tell which store it was`, {
    remedy: "make sure that etcd is the one that the cluster had, then delete the file",
  });
};

/** Replaced at once; a daemon that cannot write it goes on, and remembers less. */
const writeSeen = (file: string, seen: SeenStore, logger: Logger): void => {
  try {
    writeFileSync(`${file}.new`, `${JSON.stringify(seen)}\n`, { mode: 0o600 });
    renameSync(`${file}.new`, file);
  } catch (error) {
    logger.warn({ file, error }, "store-not-remembered");
  }
};

const readClusterTls = (files: ClusterTlsFiles): EngineExporter["tls"] => {
  const read = (file: string): string => readPem(file, "cluster.tls_*");
  return { ca: read(files.authority), cert: read(files.certificate), key: read(files.key) };
};

const readCluster = (config: ClusterConfig | null, seenFile: string): EngineCluster | null => {
  if (config === null) return null;
  const { tls, exporter, ...rest } = config;
  return {
    ...rest,
    seen: readSeen(seenFile),
    tls: tls === null ? null : readClusterTls(tls),
    exporter: exporter === null ? null : { ...exporter, tls: readClusterTls(exporter.tls) },
  };
};

/** Tells the command line where the daemon is; gone again when it has ended well. */
const announce = (file: string, url: string, nbd: StorageEngine["nbd"]): void => {
  const address = nbd.tcp === null ? null : `${nbd.tcp.host}:${nbd.tcp.port}`;
  const text = JSON.stringify({ url, nbd: address, nbd_socket: nbd.socketPath, pid: process.pid });
  writeOwn(file, `${text}\n`);
};

/** The real engine. Loaded on demand: tests of the rest run without its threads. */
const openRealEngine: OpenEngine = async (options) => {
  const { openEngine } = await import("./workers/engine-host.ts");
  return await openEngine(options);
};

/** Exports of the arrays that this start is to bring up. */
const comingExports = (store: Store): EngineOptions["comingExports"] => {
  const wanted = new Set(
    store.arrays.list().flatMap((array) => (array.desiredState === "started" ? array.uuid : [])),
  );
  return store.exports
    .list()
    .filter(({ arrayUuid }) => wanted.has(arrayUuid))
    .map(({ name, description, tlsRequired }) => ({ name, description, tlsRequired }));
};

/**
 * An etcd member is a board's when it has its name, or that which the board gave it; null: arrays
 * depend on no etcd.
 */
const quorumOf = async (
  cluster: EngineCluster | null,
  { life }: LifeParts,
): Promise<Quorum | null> => {
  if (cluster === null) return null;
  const { voters, problem } = await readVoters(cluster.endpoints, cluster.tls);
  return {
    voters: voters.map(({ name, isHealthy }) => {
      return { name, board: life.boardOf(name) ?? name, isHealthy };
    }),
    problem,
  };
};

/** The cluster's events become the board's. */
const tellEvents = ({ onEvent }: BoardLife, { events }: ControlPlane): void =>
  onEvent((event) => events.record({ ...event, subject: "/api/v1/cluster" }));

const controlOver = (
  options: DaemonOptions,
  store: Store,
  engine: StorageEngine,
  cluster: EngineCluster | null,
  life: LifeParts,
): ControlPlane => {
  const { config, logger, version } = options;
  const here = config.cluster?.node ?? config.nodeName;
  // Every board opens the disks by itself: they are nobody's.
  const opensShared = config.cluster !== null && config.cluster.exporter === null;
  return new ControlPlane({
    store,
    engine,
    files: linuxDeviceFiles,
    hostName: config.nodeName,
    version,
    isLabMode: config.isLabMode,
    devicesDirectory: config.devicesDirectory,
    devicePaths: config.devicePaths,
    startWaitMs: config.startWaitMs,
    boards: {
      here,
      boardOf: (path) => parsePeerPath(path)?.board ?? (opensShared ? null : here),
      names: () => engine.peers?.boards().map(({ name }) => name) ?? [],
      quorum: () => quorumOf(cluster, life),
      runners: async (uuid) => (cluster === null ? null : readMembers(cluster, cluster.name, uuid)),
    },
    life,
    endProcess: () => process.kill(process.pid, "SIGTERM"),
    now: Date.now,
    newId: newJobId,
    logger,
  });
};

const buildApi = (control: ControlPlane, store: Store): Promise<FastifyInstance> =>
  build({
    control,
    checkToken: (token) => holderOf(store.tokens, token),
    panelDirectory: PANEL_FOLDER,
  });

const urlOf = ({ host, port }: { readonly host: string; readonly port: number }): string => {
  const shown = host === "0.0.0.0" || host === "::" ? "127.0.0.1" : host;
  return `http://${shown.includes(":") ? `[${shown}]` : shown}:${port}`;
};

const ANY_HOST: ReadonlySet<string> = new Set(["0.0.0.0", "::"]);

/** What peers are told of the API; empty when they could not reach it. */
const peersUrl = (url: string, host: string, cluster: ClusterConfig | null): string => {
  if (!ANY_HOST.has(host)) return url;
  const advertised = cluster?.exporter?.advertise ?? null;
  return advertised === null ? "" : urlOf({ host: advertised, port: Number(new URL(url).port) });
};

/** A part of the daemon that is open. */
interface Opened {
  readonly what: string;
  readonly close: () => void | Promise<void>;
}

/** The last one first; one that fails keeps nobody waiting. */
const closeOpened = async (opened: Opened[], logger: Logger): Promise<void> => {
  for (const { what, close } of opened.splice(0).reverse()) {
    try {
      await close();
    } catch (error) {
      logger.error({ what, error }, "close-failed");
    }
  }
};

/**
 * Starts a daemon. What was opened is closed again when a step fails.
 * Errors: STORE_*, NBD_ADDRESS_*, API_ADDRESS_*, CONFIG_TLS_UNREADABLE.
 */
export async function startDaemon(options: DaemonOptions): Promise<Daemon> {
  const { logger, version } = options;
  let isRestarting = false;
  const opened: Opened[] = [];
  const closeAll = (): Promise<void> => closeOpened(opened, logger);
  try {
    const { dataDirectory } = options.config;
    const store = openDataDirectory(dataDirectory);
    opened.push({ what: "store", close: () => store.close() });
    const tokenPath = path.join(dataDirectory, "token");
    const seenFile = path.join(dataDirectory, "cluster-store.json");
    const boardLife = await openBoardLife(options.config, version, logger);
    const { life, restart, config } = boardLife;
    opened.push({ what: "cluster-life", close: () => life.close(isRestarting) });
    opened.push({ what: "discovery", close: () => boardLife.discovery?.close() });
    const newToken = ensureToken(store, tokenPath, options.isTokenRenewed ?? false);
    const cluster = readCluster(config.cluster, seenFile);
    const engine = await (options.openEngine ?? openRealEngine)({
      nbdTcp: config.nbdTcp,
      nbdSocketPath: config.nbdSocketPath,
      tls: readTls(config.nbdTls),
      comingExports: comingExports(store),
      ioWorkers: config.ioWorkers,
      answerLimitMs: config.answerLimitMs,
      syncSpeed: config.syncSpeed,
      linkShare: config.linkShare,
      isDirect: config.isDirect,
      cluster,
      onStoreSeen: (seen) => writeSeen(seenFile, seen, logger),
      labMode: config.isLabMode,
      nodeName: config.nodeName,
      version: options.version,
      logger,
    });
    opened.push({ what: "engine", close: () => engine.close() });
    const control = controlOver({ ...options, config }, store, engine, cluster, boardLife);
    tellEvents(boardLife, control);
    opened.push({ what: "control", close: () => control.close() });
    const app = await buildApi(control, store);
    opened.push({ what: "api", close: () => app.close() });
    // The address is taken BEFORE arrays start: a second daemon fails without touching members.
    const address = await listen(app, config.http);
    const url = urlOf(address);
    await engine.share(peersUrl(url, address.host, config.cluster));
    await control.start();
    const announcement = path.join(config.dataDirectory, "daemon.json");
    announce(announcement, url, engine.nbd);
    opened.push({ what: "announcement", close: () => rmSync(announcement, { force: true }) });
    logger.info({ url, nbd: engine.nbd, node: control.nodes.here }, "daemon-started");
    const close = async (isRestart = false): Promise<void> => {
      isRestarting = isRestart;
      await closeAll();
    };
    const shown = { url, nbd: engine.nbd, http: address, tokenPath, newToken };
    return { ...shown, control, restart, close };
  } catch (error) {
    await closeAll();
    throw error;
  }
}
