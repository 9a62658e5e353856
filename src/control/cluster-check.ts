/** Clustered arrays are run where a cluster keeps their nodes apart, nowhere else. */

import { CodedError } from "../common/errors.ts";
import { parsePeerPath } from "../hal/peer-path.ts";

/**
 * Refuses to make a clustered array on a board that is in no cluster (`cluster` null): it could not
 * be run here afterwards. Errors: CONTROL_NO_CLUSTER.
 */
export function refuseWithoutCluster(cluster: string | null, array: string): void {
  if (cluster !== null) {
    return;
  }
  const message = `this board is in no cluster, so it could not run ${array} with a clustered bitmap`;
  throw new CodedError("CONTROL_NO_CLUSTER", message, {
    remedy:
      "take an internal bitmap; for boards of a cluster prepare the members with satsuma create or satsuma update",
  });
}

/**
 * Refuses disks of other boards in an array without a clustered bitmap: two boards could run it at
 * once, and nothing would tell. Errors: CONTROL_PEERS_DISK.
 */
export function refusePeersDisks(paths: readonly string[]): void {
  const path = paths.find((one) => parsePeerPath(one) !== null);
  if (path === undefined) {
    return;
  }
  const message = `${path} is another board's disk: it can be in a clustered array only`;
  throw new CodedError("CONTROL_PEERS_DISK", message, {
    remedy: "take a clustered bitmap, or this board's own devices alone",
    details: { path },
  });
}
