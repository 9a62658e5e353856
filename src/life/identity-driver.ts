/** Who this machine is in its cluster: DATA/cluster/, readable by its owner alone. */
import { existsSync, readdirSync, rmSync } from "node:fs";
import path from "node:path";
import { makeFolder } from "../hal/linux/make-folder.ts";
import type { CertifiedKey } from "./certificates.ts";
import { CA_FILE, CA_KEY_FILE, CERT_FILE, KEY_FILE, REFUSED_FILE } from "./etcd-arguments.ts";
import type { Role } from "./join-token.ts";
import { isBoardName, isClusterName } from "./life-names.ts";
import { readWhole, unusable, writeWhole } from "./own-files-driver.ts";

/** Ports that the board listens at for its cluster. */
export interface LifePorts {
  /** Join requests, by HTTPS. */
  readonly cluster: number;
  /** Member exports. */
  readonly member: number;
  readonly etcdClient: number;
  readonly etcdPeer: number;
}

/** The part that changes: cluster.json. */
export interface IdentityFacts {
  readonly cluster: string;
  /** 8 hex digits: another one for other hardware, the same for another name. */
  readonly id: string;
  readonly board: string;
  readonly role: Role;
  /** Host that others are told. */
  readonly host: string;
  readonly ports: LifePorts;
  /** Client URLs of etcd's members; empty while the cluster has one board and no etcd. */
  readonly endpoints: readonly string[];
}

export interface Identity extends IdentityFacts {
  /** Certificate of the CA. */
  readonly ca: string;
  /** Null on a witness: it lets nobody join. */
  readonly caKey: string | null;
  readonly own: CertifiedKey;
}

const FACTS_FILE = "cluster.json";
const ENDPOINTS_MAX = 16;

/** The folder of a data directory. */
export const lifeFolder = (dataDirectory: string): string => path.join(dataDirectory, "cluster");

/** Null: the machine is in no cluster. Errors: LIFE_FILES_UNUSABLE. */
export const readIdentity = (folder: string): Identity | null => {
  const text = readWhole(path.join(folder, FACTS_FILE));
  if (text === null) return null;
  const read = (name: string): string => {
    const file = path.join(folder, name);
    const pem = readWhole(file);
    if (pem === null) throw unusable(file);
    return pem;
  };
  const facts = decode(text);
  if (facts === null) throw unusable(path.join(folder, FACTS_FILE));
  const caKey = facts.role === "witness" ? null : read(CA_KEY_FILE);
  const own = { cert: read(CERT_FILE), key: read(KEY_FILE) };
  return { ...facts, ca: read(CA_FILE), caKey, own };
};

/** Keeps all of it; cluster.json last: it makes the rest count. Errors: LIFE_FILES_UNUSABLE. */
export const writeIdentity = (folder: string, identity: Identity): void => {
  const { ca, caKey, own } = identity;
  makeFolder(folder);
  writeWhole(path.join(folder, CA_FILE), ca);
  if (caKey !== null) writeWhole(path.join(folder, CA_KEY_FILE), caKey);
  // A crash between the two leaves a certificate of another key: the old pair stays in one piece
  // only when the key did not change, so a new name keeps its key.
  writeWhole(path.join(folder, KEY_FILE), own.key);
  writeWhole(path.join(folder, CERT_FILE), own.cert);
  writeFacts(folder, identity);
};

/** Keeps what changed of cluster.json. Errors: LIFE_FILES_UNUSABLE. */
export const writeFacts = (folder: string, facts: IdentityFacts): void => {
  const { cluster, id, board, role, host, ports, endpoints } = facts;
  const kept = { format: 1, cluster, id, board, role, host, ports, endpoints };
  writeWhole(path.join(folder, FACTS_FILE), `${JSON.stringify(kept, null, 2)}\n`);
};

/** The machine is in no cluster any more. cluster.json goes first. */
export const wipeIdentity = (folder: string): void => {
  rmSync(path.join(folder, FACTS_FILE), { force: true });
  if (!existsSync(folder)) return;
  for (const name of readdirSync(folder))
    if (name !== "snapshots") rmSync(path.join(folder, name), { recursive: true, force: true });
};

/** Certificates that are refused, as etcd reads them. Errors: LIFE_FILES_UNUSABLE. */
export const writeRefused = (folder: string, list: Buffer): void =>
  writeWhole(path.join(folder, REFUSED_FILE), list);

const decode = (text: string): IdentityFacts | null => {
  let facts: Partial<IdentityFacts & { readonly format: unknown }>;
  try {
    facts = JSON.parse(text);
  } catch {
    return null;
  }
  const { format, cluster, id, board, role, host, ports, endpoints } = facts;
  if (format !== 1 || !isClusterName(cluster ?? "") || !isBoardName(board ?? "")) return null;
  if (!/^[0-9a-f]{8}$/.test(id ?? "") || (role !== "board" && role !== "witness")) return null;
  if (typeof host !== "string" || !Array.isArray(endpoints)) return null;
  if (endpoints.length > ENDPOINTS_MAX || !endpoints.every(isEndpoint)) return null;
  const numbers = [ports?.cluster, ports?.member, ports?.etcdClient, ports?.etcdPeer];
  if (!numbers.every(isPort)) return null;
  return { cluster, id, board, role, host, ports, endpoints } as IdentityFacts;
};

const isPort = (value: unknown): boolean =>
  Number.isInteger(value) && Number(value) > 0 && Number(value) < 65_536;

const isEndpoint = (value: unknown): boolean =>
  typeof value === "string" && URL.parse(value)?.protocol === "https:";
