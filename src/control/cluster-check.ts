/** Clustered arrays are run where a cluster keeps their nodes apart, nowhere else. */

import { CodedError } from "../common/errors.ts";

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
