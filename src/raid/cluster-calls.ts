/**
 * What a clustered array's machine asks of others: calls to the cluster, answered at once or by a
 * later event, and reads that its driver runs. The state may be another one when the answer comes.
 */

import { assert } from "../common/assert.ts";
import type { ArrayEffect, ClusterAsk, DriverAnswer } from "./array-messages.ts";
import { type ArrayState, type DeferredCall, emit, nextToken } from "./array-state.ts";
import type { ClusterAnswer, ClusterCall, ClusterPort } from "./cluster-port.ts";

/**
 * Calls of a node for which others rest: they end the rest, or nobody is told anything; who leaves
 * is recovered, which ends it too.
 */
const WITHIN_REST = new Set<ClusterCall["type"]>([
  "change-capacity",
  "outrun",
  "metadata-update-finish",
  "metadata-update-cancel",
  "resync-start",
  "leave",
]);

/**
 * `then` runs now or when the answer comes. What others would have to carry out is asked when they
 * run the array again: a resting node answers nothing before the update that ends its rest.
 */
export const callCluster = (
  state: ArrayState,
  call: ClusterCall,
  then: (state: ArrayState, answer: ClusterAnswer) => void,
): void => {
  const { afterRest } = state.clusterMetadata;
  if (afterRest !== null && !WITHIN_REST.has(call.type)) {
    afterRest.push({ call, then });
    return;
  }
  const id = nextToken(state);
  const answer = state.cluster.call(id, call);
  if (answer !== null) then(state, answer);
  else state.clusterCalls.set(id, then);
};

/** The others run the array again. */
export const endRest = (state: ArrayState): void => {
  for (const { call, then } of takeDeferred(state)) callCluster(state, call, then);
};

const takeDeferred = ({ clusterMetadata: own }: ArrayState): readonly DeferredCall[] => {
  const calls = own.afterRest ?? [];
  own.afterRest = null;
  return calls;
};

export const onClusterAnswer = (state: ArrayState, id: number, answer: ClusterAnswer): void => {
  const then = state.clusterCalls.get(id);
  // What an expelled node had asked was refused when it heard of it.
  if (then === undefined && state.clusterSync.expelled !== null) return;
  assert(then !== undefined, "the answer belongs to a call");
  state.clusterCalls.delete(id);
  then(state, answer);
};

/** Nobody answers any more: every call that waits is refused, and so is each that follows. */
export const refuseCalls = (state: ArrayState, answer: ClusterAnswer): void => {
  const deferred = takeDeferred(state).map(({ then }) => then);
  const calls = [...state.clusterCalls.values(), ...deferred];
  state.clusterCalls.clear();
  for (const then of calls) then(state, answer);
};

/** The port of a node of a cluster: calls become effects. `slot`: number of its bitmap, from 0. */
export const joinedCluster = (
  slot: number,
  emitEffect: (effect: ArrayEffect) => void,
): ClusterPort => ({
  slot,
  call: (id, call) => {
    emitEffect({ type: "cluster-call", id, call });
    return null;
  },
});

/** Each ask with the event that answers it. */
interface Answers {
  readonly "read-superblocks": "superblocks-read";
  readonly "read-slot-bitmaps": "slot-bitmaps-read";
  readonly drain: "drained";
  readonly settle: "settled";
  readonly "find-device": "device-found";
}

type AnswerTo<T extends keyof Answers> = Extract<DriverAnswer, { type: Answers[T] }>;

/** Asks the driver; `then` runs when it has answered. */
export const askDriver = <T extends keyof Answers>(
  state: ArrayState,
  ask: Extract<ClusterAsk, { type: T }>,
  then: (state: ArrayState, answer: AnswerTo<T>) => void,
): void => {
  const token = nextToken(state);
  // The driver answers an ask by its own event: the pairs are those of Answers.
  state.driverAsks.set(token, (now, answer) => then(now, answer as AnswerTo<T>));
  emit(state, { ...ask, token });
};

export const onDriverAnswer = (state: ArrayState, answer: DriverAnswer): void => {
  const then = state.driverAsks.get(answer.token);
  assert(then !== undefined, "the answer belongs to an ask");
  state.driverAsks.delete(answer.token);
  then(state, answer);
};

/** The notice is carried out: whoever sent it may go on. */
export const noticeProcessed = (state: ArrayState, id: number): void => {
  emit(state, { type: "cluster-processed", id });
};
