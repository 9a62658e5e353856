/** The cluster of a board in its configuration: etcd, certificates, its disks for its peers. */

import path from "node:path";
import { type Address, invalid, parseAddress, parseName, type Values } from "./config-values.ts";

/** Files by which the board shows etcd and its peers who it is, and knows them; absolute paths. */
export interface ClusterTlsFiles {
  readonly authority: string;
  readonly certificate: string;
  readonly key: string;
}

/** How the board serves its disks to its peers. */
export interface ExporterConfig {
  readonly listen: Address;
  /** The host that peers are told; null: as `listen` says. */
  readonly advertise: string | null;
  readonly tls: ClusterTlsFiles;
}

/** The cluster that the board is in. */
export interface ClusterConfig {
  readonly name: string;
  /** The board's name among the nodes. */
  readonly node: string;
  /** Client URLs of etcd's members. */
  readonly endpoints: readonly string[];
  /** Towards etcd; null: it is asked by plain HTTP, or known by the machine's authorities. */
  readonly tls: ClusterTlsFiles | null;
  /** Null: it serves none, and uses none of theirs. */
  readonly exporter: ExporterConfig | null;
  /** etcd's members change by themselves and are asked for. */
  readonly learnsMembers?: boolean;
}

/** Flags of `serve` about the cluster, as text. */
export interface ClusterFlags {
  readonly cluster?: string;
  readonly etcd?: string;
  readonly node?: string;
}

/** Source: the bitmap superblock's cluster_name, 64 bytes with its NUL. */
const CLUSTER_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;

const parseEndpoint = (text: string): string => {
  const url = URL.parse(text.trim());
  const isPlain = url !== null && /^https?:$/.test(url.protocol) && url.pathname === "/";
  if (!isPlain || url.search !== "" || url.hash !== "" || url.username !== "") {
    throw invalid("cluster.etcd", text, "must be URLs like http://HOST:2379");
  }
  return url.origin;
};

const parseClusterTls = (values: Values): ClusterTlsFiles | null => {
  const names = ["tls_authority", "tls_certificate", "tls_key"] as const;
  const [authority, certificate, key] = names.map((name) => values[`cluster.${name}`]);
  if (authority === undefined && certificate === undefined && key === undefined) return null;
  if (authority === undefined || certificate === undefined || key === undefined) {
    throw invalid("cluster.tls_authority", authority ?? null, "needs tls_certificate and tls_key");
  }
  return {
    authority: path.resolve(String(authority)),
    certificate: path.resolve(String(certificate)),
    key: path.resolve(String(key)),
  };
};

/** Peers cannot connect to "any address". */
const ANY_HOST: ReadonlySet<string> = new Set(["0.0.0.0", "::"]);

const parseExporter = (values: Values, tls: ClusterTlsFiles | null): ExporterConfig | null => {
  const listen = values["cluster.member_listen"] as string | undefined;
  const advertise = (values["cluster.member_advertise"] as string | undefined) ?? null;
  if (listen === undefined) {
    if (advertise === null) return null;
    throw invalid("cluster.member_advertise", advertise, "needs member_listen");
  }
  if (tls === null) throw invalid("cluster.member_listen", listen, "needs the keys tls_*");
  const address = parseAddress("cluster.member_listen", listen, "127.0.0.1");
  if (advertise === null && ANY_HOST.has(address.host))
    throw invalid(
      "cluster.member_listen",
      listen,
      "needs member_advertise, the host to connect to",
    );
  if (advertise !== null && !/^[A-Za-z0-9][A-Za-z0-9.:-]{0,252}$/.test(advertise))
    throw invalid("cluster.member_advertise", advertise, "must be a host name or an address");
  return { listen: address, advertise, tls };
};

/** With exports an etcd on loopback may do without: the files are for the peers then. */
const etcdTls = (
  tls: ClusterTlsFiles | null,
  endpoints: readonly string[],
  exporter: ExporterConfig | null,
): ClusterTlsFiles | null => {
  const plain = endpoints.find((url) => url.startsWith("http:"));
  if (tls === null || plain === undefined) return tls;
  const isLocal = endpoints.every((url) => /^http:\/\/(127\.|localhost[:/]|\[::1\])/.test(url));
  if (exporter !== null && isLocal) return null;
  throw invalid("cluster.etcd", plain, "must be an https URL with tls_*");
};

/** The cluster of file and flags; null when neither names one. */
export const parseCluster = (
  values: Values,
  flags: ClusterFlags,
  nodeName: string,
): ClusterConfig | null => {
  const name = flags.cluster ?? (values["cluster.name"] as string | undefined);
  const listed = flags.etcd?.split(",") ?? (values["cluster.etcd"] as string[] | undefined) ?? [];
  const node = flags.node ?? (values["cluster.node"] as string | undefined) ?? nodeName;
  if (name === undefined && listed.length === 0 && flags.node === undefined) return null;
  if (name === undefined || !CLUSTER_NAME.test(name)) {
    throw invalid("cluster.name", name ?? null, "must be 1 to 63 of A-Z a-z 0-9 . _ -");
  }
  if (listed.length === 0) throw invalid("cluster.etcd", [], "must name a member of etcd");
  const endpoints = listed.map(parseEndpoint);
  const files = parseClusterTls(values);
  const exporter = parseExporter(values, files);
  const tls = etcdTls(files, endpoints, exporter);
  return { name, node: parseName(node), endpoints, tls, exporter };
};
