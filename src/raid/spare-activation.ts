/**
 * Spares that take a raid slot: an empty one, or beside a member that is to be replaced. The leg is
 * open in every worker before the superblocks name it, and takes writes before its rebuild starts.
 * Source: drivers/md/md.c remove_and_add_spares; raid1.c raid1_add_disk.
 */

import {
  type ArrayState,
  emit,
  freeLeg,
  happen,
  inSyncMembers,
  isInCluster,
  type Member,
  memberAt,
  nextToken,
  publishLeg,
  replacementAt,
} from "./array-state.ts";
import { onToldLeg } from "./cluster-metadata.ts";
import { failMember } from "./metadata-update.ts";
import { withRole } from "./role-changes.ts";
import { LEG_REBUILDING } from "./shared-state.ts";
import { failUnopened } from "./told-roles.ts";

interface Place {
  readonly spare: Member;
  readonly slot: number;
  readonly isReplacement: boolean;
}

export const isSpareDue = (state: ArrayState): boolean => nextPlace(state) !== null;

/** The spare's rebuild starts once every worker has opened it. */
export const activateSpare = (state: ArrayState): void => {
  const place = nextPlace(state);
  if (place !== null) openLeg(state, place.spare, place.slot, place.isReplacement);
};

/**
 * A spare takes the lowest empty raid slot, else the place beside a member that wants to be
 * replaced. Null when there is nothing to do, or one is on its way.
 */
const nextPlace = (state: ArrayState): Place | null => {
  if (inSyncMembers(state).length === 0) return null;
  if (state.opening.size > 0 || state.joining.size > 0) return null;
  const members = [...state.members.values()];
  const spares = members.filter(
    (member) => member.state === "spare" && !state.pending.failing.has(member.id),
  );
  // A spare that was named for one member is not taken for another.
  const promised = new Set(members.map((member) => member.replaceWith));
  const any = spares.find((spare) => !promised.has(spare.id));
  for (let slot = 0; slot < state.template.raidDisks; slot++) {
    const spare = any ?? spares[0];
    if (memberAt(state, slot) === null && spare !== undefined)
      return freeLeg(state, slot) === null ? null : { spare, slot, isReplacement: false };
  }
  for (const member of members) {
    // Other nodes would not write what stands beside a member: md has no replacement in a cluster.
    if (isInCluster(state)) break;
    if (!member.wantReplacement || member.state !== "in_sync" || member.raidSlot === null) continue;
    const { raidSlot: slot } = member;
    if (replacementAt(state, slot) !== null || freeLeg(state, slot) === null) continue;
    const named = spares.find((spare) => spare.id === member.replaceWith);
    // A named spare that took an empty raid slot, failed or left is made up for by any other.
    const spare = named ?? any;
    if (spare !== undefined) return { spare, slot, isReplacement: true };
  }
  return null;
};

const openLeg = (state: ArrayState, spare: Member, slot: number, isReplacement: boolean): void => {
  const leg = freeLeg(state, slot);
  if (leg === null) return;
  const token = nextToken(state);
  state.opening.set(token, { member: spare.id, slot, leg, isReplacement });
  emit(state, { type: "open-leg", token, leg, member: spare.id });
};

/** Every worker can write the leg: from now on writes reach it, then the superblocks say so. */
export const onLegsOpened = (state: ArrayState, token: number, error: string | null): void => {
  const opening = state.opening.get(token);
  state.opening.delete(token);
  const member = opening === undefined ? undefined : state.members.get(opening.member);
  if (opening === undefined) return;
  const isTold = opening.isTold === true;
  if (isTold && member?.state === "spare" && error !== null)
    failUnopened(state, member, opening.slot, opening.leg, error);
  if (isTold) onToldLeg(state, token);
  const taken = !opening.isReplacement && memberAt(state, opening.slot) !== null;
  if (opening.command !== undefined) answerReturn(state, opening.command, taken ? TAKEN : error);
  if (member === undefined || member.state === "faulty" || error !== null) {
    // It failed or left meanwhile, or not every worker could open it: nobody is to hold it open.
    emit(state, { type: "drop-leg", leg: opening.leg, reason: error });
    if (!isTold && member !== undefined && error !== null) failMember(state, member, error);
    return;
  }
  const { slot, leg } = opening;
  if (taken) {
    // Another node gave the raid slot to another member meanwhile.
    emit(state, { type: "drop-leg", leg, reason: null });
    return;
  }
  // Looked up BEFORE the newcomer holds the raid slot itself; gone when it failed meanwhile.
  const replaced = opening.isReplacement ? memberAt(state, slot) : null;
  member.raidSlot = slot;
  member.leg = leg;
  if (member.state === "spare") becomeRebuilding(state, member, replaced);
  state.devRoles = withRole(state.devRoles, member.superblock.devNumber, slot);
  publishLeg(state, member);
  state.shared.setLeg(leg, LEG_REBUILDING);
  if (!isTold) state.pending.rolesChanged = true;
};

const TAKEN = "its raid slot is another member's by now";

/** The update that follows tells the other nodes, too, what came of it. */
const answerReturn = (state: ArrayState, command: number, problem: string | null): void => {
  state.pending.commands.push(command);
  state.pending.rolesChanged = true;
  if (problem === null) return;
  const message = `the member could not take its place: ${problem}`;
  const outcome = { ok: false, code: "RAID_RE_ADD_REFUSED", message } as const;
  state.clusterMetadata.refusals.set(command, outcome);
};

const becomeRebuilding = (state: ArrayState, member: Member, replaced: Member | null): void => {
  member.state = "rebuilding";
  member.recoveredBytes = 0;
  member.isReplacement = replaced !== null;
  state.bitmap?.markAllDirty();
  if (replaced === null) return;
  replaced.replaceWith = null;
  const text = `Member ${member.path} is being written to replace ${replaced.path}.`;
  const details = { path: replaced.path, replacement: member.path, raid_slot: member.raidSlot };
  state.pending.happenings.push(happen(state, "member.replacing", "info", text, details));
};
