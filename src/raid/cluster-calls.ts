/** The array machine's calls to its cluster: asked here, answered at once or by a later event. */

import { assert } from "../common/assert.ts";
import type { ArrayEffect } from "./array-messages.ts";
import { type ArrayState, nextToken } from "./array-state.ts";
import type { ClusterAnswer, ClusterCall, ClusterPort } from "./cluster-port.ts";

/** `then` runs now or when the answer comes; the state may be another one by then. */
export const callCluster = (
  state: ArrayState,
  call: ClusterCall,
  then: (state: ArrayState, answer: ClusterAnswer) => void,
): void => {
  const id = nextToken(state);
  const answer = state.cluster.call(id, call);
  if (answer !== null) then(state, answer);
  else state.clusterCalls.set(id, then);
};

export const onClusterAnswer = (state: ArrayState, id: number, answer: ClusterAnswer): void => {
  const then = state.clusterCalls.get(id);
  assert(then !== undefined, "the answer belongs to a call");
  state.clusterCalls.delete(id);
  then(state, answer);
};

/** The port of a node of a cluster: calls become effects. `slot`: number of its bitmap, from 0. */
export const joinedCluster = (
  slot: number,
  emit: (effect: ArrayEffect) => void,
): ClusterPort => ({
  slot,
  call: (id, call) => {
    emit({ type: "cluster-call", id, call });
    return null;
  },
});
