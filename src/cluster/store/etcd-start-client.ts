/**
 * Opens an etcd as cluster store: versions first, then guards. A guard that must refuse, refuses,
 * or the store is not used: the gateway drops fields that it does not know, and a guarded
 * transaction without its guard overwrites what others hold.
 */
import { CodedError } from "../../common/errors.ts";
import type { ClusterStore, Compare } from "./cluster-store.ts";
import { EtcdStore, type EtcdStoreOptions } from "./etcd-store-client.ts";
import { judgeVersion } from "./etcd-version.ts";
import { MONOTONIC_CLOCK } from "./monotonic-clock-driver.ts";

/** With the pauses, some seconds: more than two elections. */
const ATTEMPTS_MAX = 12;
const PAUSE_MS = 300;

export interface OpenedEtcd {
  readonly store: EtcdStore;
  /** For people: versions that work but are not the best. */
  readonly warnings: readonly string[];
}

/**
 * Errors: as ClusterStore; CLUSTER_STORE_BAD_VERSION if any member that answers has a version that
 * must not hold a cluster; CLUSTER_STORE_UNGUARDED.
 */
export const openEtcd = async (options: EtcdStoreOptions, prefix: string): Promise<OpenedEtcd> => {
  const store = new EtcdStore(options);
  try {
    return { store, warnings: await testWhenAnswered(store, prefix) };
  } catch (error) {
    await store.close();
    throw error;
  }
};

/** An election takes a second or two, and a board may start before its etcd. */
const testWhenAnswered = async (store: EtcdStore, prefix: string): Promise<readonly string[]> => {
  for (let attempt = 1; ; attempt += 1) {
    try {
      const warnings = await judgeVersions(store);
      await testGuards(store, prefix);
      return warnings;
    } catch (error) {
      const isAway = error instanceof CodedError && error.code === "CLUSTER_STORE_UNREACHABLE";
      if (!isAway || attempt === ATTEMPTS_MAX) throw error;
    }
    await new Promise<void>((resolve) => void MONOTONIC_CLOCK.after(PAUSE_MS, resolve));
  }
};

const judgeVersions = async (store: EtcdStore): Promise<readonly string[]> => {
  const asked = await Promise.allSettled(store.endpoints.map((url) => store.version(url)));
  const versions = asked.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
  if (versions.length === 0) throw asked.find((one) => one.status === "rejected")?.reason;
  return [...new Set(versions)].flatMap((version) => judgeVersion(version) ?? []);
};

/** Of a key that does not exist: none holds. */
const falseGuards = (key: string): readonly Compare[] => [
  { type: "create-revision", key, relation: ">", number: 0 },
  { type: "create-revision", key, relation: "=", number: 1 },
  { type: "mod-revision", key, relation: "!=", number: 0 },
  { type: "version", key, relation: "=", number: 7 },
  { type: "value", key, relation: "=", value: "" },
];

/**
 * Errors: CLUSTER_STORE_UNGUARDED if the store does what its guards forbid;
 * CLUSTER_STORE_UNREACHABLE if it cannot be found out.
 */
export const testGuards = async (store: ClusterStore, prefix: string): Promise<void> => {
  const key = `${prefix}self-test`;
  for (const guard of falseGuards(key)) {
    const put = { type: "put", key, value: "a guard did not refuse this", lease: null } as const;
    const outcome = await store.txn({ compares: [guard], success: [put], failure: [] });
    if (outcome.type === "unknown") throw outcome.error;
    if (outcome.type === "refused") continue;
    throw new CodedError(
      "CLUSTER_STORE_UNGUARDED",
      `the cluster store writes although a guard on ${guard.type} forbids it`,
      {
        remedy: "do not use this etcd version or gateway for a cluster",
        details: { guard: guard.type, key },
      },
    );
  }
};
