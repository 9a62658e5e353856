/** How etcd is called: pure, so that what runs can be compared with what should. */
import type { EtcdTiming } from "./fsync-test-driver.ts";

/** Names of the files in the cluster's folder. */
export const CA_FILE = "ca.pem";
export const CA_KEY_FILE = "ca-key.pem";
export const CERT_FILE = "board.pem";
export const KEY_FILE = "board-key.pem";
export const REFUSED_FILE = "refused.der";
export const ETCD_FOLDER = "etcd";
export const ETCD_LOG = "etcd.log";

/** What etcd on this board is. */
export interface EtcdPlace {
  /** The cluster's folder. */
  readonly folder: string;
  /** Name of the member: etcdNameOf. */
  readonly name: string;
  readonly cluster: string;
  /** IP address that etcd listens at, or a host name: then it listens at all. */
  readonly host: string;
  readonly clientPort: number;
  readonly peerPort: number;
  readonly quotaBytes: number;
}

/** How a member begins; only its first start looks at this. */
export interface EtcdBeginning {
  /** NAME=PEER-URL of each member, its own among them. */
  readonly initialCluster: string;
  readonly state: "new" | "existing";
}

/** Half a gigabyte: the store holds small values and an hour of history. Choice. */
export const QUOTA_BYTES = 512 * 1024 * 1024;

const NAME = /^satsuma-([0-9a-f]{8})$/;

/** Name of the member that a board runs: it stays when the board is renamed. */
export const etcdNameOf = (id: string): string => `satsuma-${id}`;

/** Whose member has this name, or null. */
export const ownerOf = (name: string): string | null => NAME.exec(name)?.[1] ?? null;

/** `https://HOST:PORT`. */
export const urlOf = (host: string, port: number): string =>
  `https://${host.includes(":") ? `[${host}]` : host}:${port}`;

const isAddress = (host: string): boolean => /^[0-9.]+$/.test(host) || host.includes(":");

/** The arguments of etcd. */
export const etcdArguments = (
  place: EtcdPlace,
  timing: EtcdTiming,
  begin: EtcdBeginning,
): readonly string[] => {
  const { folder, host, clientPort, peerPort } = place;
  const file = (name: string): string => `${folder}/${name}`;
  const listen = isAddress(host) ? host : "0.0.0.0";
  const flags: Readonly<Record<string, string | number>> = {
    name: place.name,
    "data-dir": file(ETCD_FOLDER),
    "listen-client-urls": urlOf(listen, clientPort),
    "advertise-client-urls": urlOf(host, clientPort),
    "listen-peer-urls": urlOf(listen, peerPort),
    "initial-advertise-peer-urls": urlOf(host, peerPort),
    "initial-cluster": begin.initialCluster,
    "initial-cluster-state": begin.state,
    "initial-cluster-token": place.cluster,
    "trusted-ca-file": file(CA_FILE),
    "cert-file": file(CERT_FILE),
    "key-file": file(KEY_FILE),
    "client-crl-file": file(REFUSED_FILE),
    "peer-trusted-ca-file": file(CA_FILE),
    "peer-cert-file": file(CERT_FILE),
    "peer-key-file": file(KEY_FILE),
    "peer-crl-file": file(REFUSED_FILE),
    "quota-backend-bytes": place.quotaBytes,
    "heartbeat-interval": timing.heartbeatMs,
    "election-timeout": timing.electionMs,
    "auto-compaction-mode": "periodic",
    "auto-compaction-retention": "1h",
    logger: "zap",
    "log-level": "warn",
  };
  // A board's address may change; who it is, its certificate tells.
  const switches = ["client-cert-auth", "peer-client-cert-auth"];
  return [
    ...Object.entries(flags).map(([name, value]) => `--${name}=${value}`),
    ...switches.map((name) => `--${name}`),
    "--experimental-peer-skip-client-san-verification",
  ];
};
