/**
 * A broken array: its metadata can be written, or believed, no more. A single board's stays
 * readable. A node of a cluster cannot stay: others would wait for what it cannot do (a slot that
 * it recovers, an update, its right to sync), and it may not read what it cannot follow. So it does
 * no I/O from that moment on, and leaves; its bitmap tells the others what to resync
 * (BITMAP_NEEDS_SYNC), and what it had begun to recover is theirs.
 *
 *   broken: gate closed, members given up ─► nothing is under way ─► every late answer has come:
 *   it leaves ─► out; or one is still owed: out, without a word
 *
 * A write that may be on some members only keeps its regions until the node is out: no copy waits
 * for regions any more (copy-driver.ts), for the node goes out after its copies have ended.
 *
 * Who leaves is not fenced, so none of its writes may still be on its way then. A node that cannot
 * know that ends without a word: the others wait until it is fenced.
 */

import { type ArrayState, emit, happen, isInCluster } from "./array-state.ts";
import { askDriver, callCluster } from "./cluster-calls.ts";
import { GATE_CLOSED, GATE_EXPELLED, RUN_BROKEN } from "./shared-state.ts";

/** `why`: one sentence. */
export const breakArray = (state: ArrayState, why: string): void => {
  if (state.shared.run === RUN_BROKEN) return;
  state.shared.run = RUN_BROKEN;
  const leaves = isInCluster(state);
  const what = leaves
    ? "This node leaves the cluster: the others go on."
    : "The array stays readable.";
  const text = `${why} ${what}`;
  emit(state, { type: "happening", happening: happen(state, "array.broken", "critical", text) });
  if (leaves) endInputOutput(state, why);
};

/**
 * Nothing is read or written from here on; nobody waits for a member. A write that may have reached
 * some members is answered when the node is out: others balance reads until they know of that.
 */
const endInputOutput = (state: ArrayState, reason: string): void => {
  state.clusterSync.broken = { reason, step: "ending" };
  // A stop for a new start is not answered: there is none, the thread ends when the node has left.
  if (state.keepsOpen) state.stopping = null;
  state.keepsOpen = false;
  state.shared.gateUntil = GATE_CLOSED;
  if (state.sync !== null) state.sync.aborted = true;
  emit(state, { type: "close-gate" });
  for (const { id, leg } of state.members.values()) {
    emit(state, { type: "give-up-member", member: id, reason });
    if (leg !== null) emit(state, { type: "drop-leg", leg, reason });
  }
  emit(state, { type: "status-changed" });
};

/** Leaves the cluster once nothing of this node is under way. */
export const pumpBroken = (state: ArrayState): void => {
  const { broken, recoveries } = state.clusterSync;
  if (broken?.step !== "ending" || state.stopped) return;
  if (state.sync !== null || state.transaction !== null || state.repairs.size > 0) return;
  if (recoveries.some(({ waiting }) => waiting.size > 0)) return;
  broken.step = "settling";
  askDriver(state, { type: "settle" }, (now, { isOver }) => {
    broken.step = "leaving";
    if (!isOver) return goOut(now);
    callCluster(now, { type: "leave", needsSync: true }, goOut);
  });
};

const goOut = (state: ArrayState): void => {
  const { broken } = state.clusterSync;
  if (broken === null || broken.step === "out") return;
  broken.step = "out";
  state.shared.gateUntil = GATE_EXPELLED;
  emit(state, { type: "broken-away", reason: broken.reason });
};
