/**
 * The cluster life of a daemon: taken up before its engine, which is given the cluster as if the
 * configuration file had named it.
 */
import path from "node:path";
import type { Logger } from "./common/log.ts";
import type { Config } from "./config.ts";
import type { ClusterConfig } from "./config-cluster.ts";
import { ClusterLife, GRACE_MS } from "./life/cluster-life.ts";
import { Discovery } from "./life/discovery-driver.ts";
import { CA_FILE, CERT_FILE, KEY_FILE, QUOTA_BYTES } from "./life/etcd-arguments.ts";
import { lifeFolder } from "./life/identity-driver.ts";
import type { LifeEvent } from "./life/keeper-driver.ts";
import { chooseHost } from "./life/ports-driver.ts";

/** A daemon's cluster life. */
export interface BoardLife {
  readonly life: ClusterLife;
  readonly discovery: Discovery | null;
  /** With the cluster that the board looks after, if there is one. */
  readonly config: Config;
  /** Resolves with the reason when the daemon is to start anew. */
  readonly restart: Promise<string>;
  /** Takes the events, those of before included. */
  onEvent(listener: (event: LifeEvent) => void): void;
}

/** The reply to who asked comes first. */
const RESTART_MS = 300;
const EVENTS_MAX = 100;

/** Errors: LIFE_FILES_UNUSABLE. */
export async function openBoardLife(
  config: Config,
  version: string,
  logger: Logger,
): Promise<BoardLife> {
  const { promise: restart, resolve } = Promise.withResolvers<string>();
  const early: LifeEvent[] = [];
  let tell = (event: LifeEvent): void => {
    if (early.length < EVENTS_MAX) early.push(event);
  };
  const life = await ClusterLife.open({
    dataDirectory: config.dataDirectory,
    role: "board",
    name: config.nodeName,
    host: chooseHost(config.life.host, config.http.host),
    version,
    isConfigured: config.cluster !== null,
    quotaBytes: QUOTA_BYTES,
    fsyncLimitMs: config.life.fsyncLimitMs,
    graceMs: GRACE_MS,
    now: Date.now,
    logger,
    onEvent: (event) => tell(event),
    onRestart: (why) => void setTimeout(() => resolve(why), RESTART_MS),
  });
  const { isDiscovered } = config.life;
  const self = () => ({
    name: life.identity?.board ?? config.nodeName,
    cluster: life.identity?.cluster ?? config.cluster?.name ?? null,
    api: apiOf(config),
    version,
  });
  const { port } = config.http;
  return {
    life,
    discovery: isDiscovered ? await Discovery.open({ self, port, logger }) : null,
    config: withCluster(config, config.cluster ?? clusterOf(life, config.dataDirectory)),
    restart,
    onEvent: (listener) => {
      tell = listener;
      for (const event of early.splice(0)) listener(event);
    },
  };
}

/** Peers read and write a disk through the page cache, so its own board does as well. */
const withCluster = (config: Config, cluster: ClusterConfig | null): Config => {
  const isDirect = config.isDirect && cluster?.exporter == null;
  return { ...config, cluster, isDirect };
};

/** What neighbours are told of the API; empty when they cannot reach it. */
const apiOf = ({ http, life }: Config): string => {
  if (isLoopback(http.host)) return "";
  const host = chooseHost(life.host, http.host);
  return `http://${host.includes(":") ? `[${host}]` : host}:${http.port}`;
};

const isLoopback = (host: string): boolean => /^(?:127\.|::1$|localhost$)/.test(host);

const isAddress = (host: string): boolean => /^[0-9.]+$/.test(host) || host.includes(":");

/** As the configuration file would name it. */
const clusterOf = ({ identity }: ClusterLife, dataDirectory: string): ClusterConfig | null => {
  if (identity === null || identity.endpoints.length === 0) return null;
  const { cluster: name, board: node, endpoints, host: advertise, ports } = identity;
  const file = (pem: string): string => path.join(lifeFolder(dataDirectory), pem);
  const tls = { authority: file(CA_FILE), certificate: file(CERT_FILE), key: file(KEY_FILE) };
  // Peers are told the port, so on loopback, where boards share their ports, any free one will do.
  const port = isLoopback(advertise) ? 0 : ports.member;
  const listen = { host: isAddress(advertise) ? advertise : "0.0.0.0", port };
  const exporter = { listen, advertise, tls };
  return { name, node, endpoints, tls, exporter, learnsMembers: true };
};
