/** Where a board of a cluster is found: its host, and ports that are kept once they were chosen. */
import { randomInt } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:net";
import { networkInterfaces } from "node:os";
import { CodedError } from "../common/errors.ts";
import type { LifePorts } from "./identity-driver.ts";

/** The usual ports; one that is taken gives way to a free one. 2379, 2380: etcd's own. */
const USUAL: LifePorts = { cluster: 8444, member: 10_810, etcdClient: 2379, etcdPeer: 2380 };

/**
 * Ports that are kept are not among those that the kernel gives to any connection: etcd would find
 * its own taken after a restart. Source: ip_local_port_range of Linux, 32768 to 60999.
 */
const KEPT_FROM = 20_000;
const KEPT_TO = 32_000;
const ATTEMPTS_MAX = 50;

/**
 * Ports that nobody has at the host just now. On loopback, where several boards of one cluster may
 * be, never the usual ones: those of a board whose etcd does not run yet are free, and are not.
 * Errors: LIFE_ADDRESS_UNUSABLE.
 */
export const choosePorts = async (host: string): Promise<LifePorts> => {
  const taken = new Set<number>();
  const isLoopback = /^(?:127\.|::1$|localhost$)/.test(host);
  const choose = async (usual: number): Promise<number> => {
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
      const wanted = isLoopback ? null : await tryPort(host, usual);
      const port = wanted ?? (await tryPort(host, randomInt(KEPT_FROM, KEPT_TO))) ?? 0;
      if (port !== 0 && !taken.has(port)) {
        taken.add(port);
        return port;
      }
    }
    throw new CodedError("LIFE_ADDRESS_UNUSABLE", `no port can be listened at on ${host}`, {
      remedy: "set [cluster] host (witness: --host) to an address of this machine",
      details: { host },
    });
  };
  return {
    cluster: await choose(USUAL.cluster),
    member: await choose(USUAL.member),
    etcdClient: await choose(USUAL.etcdClient),
    etcdPeer: await choose(USUAL.etcdPeer),
  };
};

/** Null when it is taken. */
const tryPort = async (host: string, wanted: number): Promise<number | null> => {
  const server = createServer();
  try {
    server.listen({ host, port: wanted });
    await once(server, "listening");
    const address = server.address();
    return typeof address === "object" && address !== null ? address.port : null;
  } catch {
    return null;
  } finally {
    server.close();
  }
};

/**
 * The host that others are told: what is configured, else where the API listens, else this
 * machine's first address on a network.
 */
export const chooseHost = (configured: string | null, listening: string): string => {
  if (configured !== null) return configured;
  if (listening !== "0.0.0.0" && listening !== "::") return listening;
  const found = Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .find(({ family, internal }) => family === "IPv4" && !internal);
  return found?.address ?? "127.0.0.1";
};
