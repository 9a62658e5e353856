/**
 * Which versions of etcd may hold a cluster. Source: etcd's changelogs and issues; docs/
 * cluster-store.md says which defect each rule is about.
 */
import { CodedError } from "../../common/errors.ts";

type Version = readonly [major: number, minor: number, patch: number];

/** The first versions with all fixes that we know to matter, by line. */
const COMPLETE: readonly Version[] = [
  [3, 5, 28],
  [3, 6, 9],
];
/** Older ones were never tried. */
const OLDEST: Version = [3, 4, 23];
/** The data of members may differ after a crash (etcd-io/etcd 13766). */
const DEFECTIVE_FROM: Version = [3, 5, 0];
const DEFECTIVE_TO: Version = [3, 5, 2];

const compare = (a: Version, b: Version): number => a[0] - b[0] || a[1] - b[1] || a[2] - b[2];

const parse = (text: string): Version | null => {
  const match = /^(\d{1,4})\.(\d{1,4})\.(\d{1,4})$/.exec(text.split(/[-+]/)[0] ?? "");
  return match === null ? null : [Number(match[1]), Number(match[2]), Number(match[3])];
};

/**
 * A sentence for people when the version works but is not the best, else null.
 * Errors: CLUSTER_STORE_BAD_VERSION for a version that must not hold a cluster.
 */
export const judgeVersion = (text: string): string | null => {
  const version = parse(text);
  const isDefective =
    version !== null &&
    compare(version, DEFECTIVE_FROM) >= 0 &&
    compare(version, DEFECTIVE_TO) <= 0;
  if (version === null || isDefective || compare(version, OLDEST) < 0) {
    throw new CodedError("CLUSTER_STORE_BAD_VERSION", `etcd ${text} must not hold a cluster`, {
      remedy: "install etcd 3.6.9 or 3.5.28, or newer; Debian's 3.4.23 and 3.5.16 work",
      details: { version: text },
    });
  }
  if (version[1] === 4 && version[0] === 3)
    return `etcd ${text} is of a line that gets no fixes any more`;
  const complete = COMPLETE.find(([major, minor]) => major === version[0] && minor === version[1]);
  if (complete === undefined || compare(version, complete) >= 0) return null;
  return `etcd ${text} lacks fixes that ${complete.join(".")} has`;
};
