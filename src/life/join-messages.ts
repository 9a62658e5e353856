/** What a newcomer asks for and what it is given. Both are read from strangers. */
import { isIP } from "node:net";
import { CodedError } from "../common/errors.ts";
import type { LifePorts } from "./identity-driver.ts";
import type { Role } from "./join-token.ts";
import { isBoardName } from "./life-names.ts";

/** Asks for a place in the cluster. */
export interface JoinAsk {
  readonly tokenId: string;
  readonly secret: string;
  readonly role: Role;
  readonly name: string;
  /** 8 hex digits, chosen by the newcomer. */
  readonly id: string;
  readonly host: string;
  readonly ports: LifePorts;
  /** Certificate request, PEM. */
  readonly request: string;
  readonly version: string;
}

/** The place. */
export interface JoinGrant {
  readonly cluster: string;
  readonly ca: string;
  /** For boards: they let others join. Null for a witness. */
  readonly caKey: string | null;
  readonly cert: string;
  /** DER, base64. */
  readonly refusedList: string;
  /** Client URLs of etcd's members. */
  readonly endpoints: readonly string[];
}

const PEM_MAX = 8192;

/** Errors: LIFE_BAD_REQUEST. */
export const readAsk = (text: string): JoinAsk => {
  const ask = parse(text) as Partial<JoinAsk>;
  const { tokenId, secret, role, name, id, host, ports, request, version } = ask;
  const texts = [tokenId, secret, name, id, host, version];
  if (!texts.every((one) => typeof one === "string" && one.length <= 256)) throw bad("fields");
  if (role !== "board" && role !== "witness") throw bad("role");
  if (!isBoardName(String(name))) throw bad("name");
  if (!/^[0-9a-f]{8}$/.test(String(id))) throw bad("id");
  if (!isHost(String(host))) throw bad("host");
  const numbers = [ports?.cluster, ports?.member, ports?.etcdClient, ports?.etcdPeer];
  if (!numbers.every((port) => Number.isInteger(port) && Number(port) > 0 && Number(port) < 65536))
    throw bad("ports");
  if (typeof request !== "string" || request.length > PEM_MAX) throw bad("certificate request");
  return { tokenId, secret, role, name, id, host, ports, request, version } as JoinAsk;
};

/** Errors: LIFE_BAD_REQUEST for an answer of another version. */
export const readGrant = (json: unknown): JoinGrant => {
  const grant = (json ?? {}) as Partial<JoinGrant>;
  const { cluster, ca, caKey, cert, refusedList, endpoints } = grant;
  const texts = [cluster, ca, cert, refusedList];
  if (!texts.every((one) => typeof one === "string")) throw bad("answer");
  if (!Array.isArray(endpoints) || !endpoints.every((one) => typeof one === "string"))
    throw bad("answer");
  return { cluster, ca, caKey: caKey ?? null, cert, refusedList, endpoints } as JoinGrant;
};

/** True for an IP address and for a host name. */
export const isHost = (text: string): boolean => isIP(text) !== 0 || isBoardName(text);

const bad = (what: string): CodedError =>
  new CodedError("LIFE_BAD_REQUEST", `the ${what} of a join are not in order`, {
    remedy: "run the same version of satsuma on all boards",
  });

const parse = (text: string): unknown => {
  try {
    return JSON.parse(text) ?? {};
  } catch {
    return {};
  }
};
