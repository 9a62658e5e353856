/**
 * Never lose the last in-sync copy, whoever fails the others: two nodes may meet different failures
 * at once. Who gets to record its own first wins; the other one then keeps what is left, and its
 * clients get the errors.
 */

import {
  type ArrayState,
  copiesLeft,
  emit,
  isInCluster,
  legWord,
  type Member,
  publishLeg,
  rebuildingMembers,
} from "./array-state.ts";
import { breakArray } from "./cluster-broken.ts";

/** Takes failures back that are not recorded yet, as far as bytes would have no in-sync copy. */
export const keepLastCopies = (state: ArrayState): void => {
  for (const id of [...state.pending.failing.keys()]) {
    if (copiesLeft(state) > 0) return;
    const member = state.members.get(id);
    if (member?.state === "in_sync") takeBack(state, member);
  }
};

const takeBack = (state: ArrayState, member: Member): void => {
  state.pending.failing.delete(member.id);
  emit(state, { type: "take-back-member", member: member.id });
  publishLeg(state, member);
  if (member.leg !== null) state.shared.setLeg(member.leg, legWord(member));
  // It may lack what the lost members hold: what was rebuilt from those counts for nothing.
  restartRecovery(state);
  breakUnlessReached(state, member);
};

/** A member that must stay, and that a thread of this node cannot use any more. */
export const breakUnlessReached = (state: ArrayState, { goneHere, path }: Member): void => {
  if (goneHere !== null && isInCluster(state))
    breakArray(state, `The last copy, ${path}, cannot be used here any more: ${goneHere}.`);
};

/**
 * A write failed on the last in-sync member, which stays: a member under rebuild may hold it, so
 * what was rebuilt counts for nothing where the write's bit is set.
 */
export const restartRecovery = (state: ArrayState): void => {
  for (const member of rebuildingMembers(state)) member.recoveredBytes = 0;
  if (state.sync?.action === "recover") state.sync.aborted = true;
};
