/** How a board looks after its cluster itself, in its configuration. */

import { type Address, invalid, type Values } from "./config-values.ts";

/** How a board looks after its cluster itself. */
export interface LifeConfig {
  /** The host that other boards are told; null: as `http.listen` says. */
  readonly host: string | null;
  /** Boards of the network are looked for, and find this one. */
  readonly isDiscovered: boolean;
  /** A disk with slower durable writes (99 of 100) gets no vote in etcd, milliseconds. */
  readonly fsyncLimitMs: number;
}

/** Milliseconds. Source: a twentieth of the longer election time of etcd. */
const FSYNC_LIMIT = 50;
const FSYNC_LIMIT_MAX = 60_000;

/** Of the file; `http`: where the API listens. Errors: CONFIG_INVALID_VALUE. */
export const parseLife = (values: Values, http: Address): LifeConfig => {
  const host = (values["cluster.host"] as string | undefined) ?? null;
  if (host !== null && !/^[A-Za-z0-9][A-Za-z0-9.:-]{0,252}$/.test(host))
    throw invalid("cluster.host", host, "must be a host name or an address");
  const limit = Number(values["cluster.fsync_limit"] ?? FSYNC_LIMIT);
  if (!(limit > 0 && limit <= FSYNC_LIMIT_MAX))
    throw invalid("cluster.fsync_limit", limit, `must be 1 to ${FSYNC_LIMIT_MAX} milliseconds`);
  // A board that only this machine can reach is no neighbour of anybody.
  const isLocal = /^(?:127\.|::1$|localhost$)/.test(host ?? http.host);
  const isDiscovered = (values["cluster.discovery"] as boolean | undefined) ?? !isLocal;
  return { host, isDiscovered, fsyncLimitMs: limit };
};
