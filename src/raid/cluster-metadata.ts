/**
 * METADATA_UPDATED: another node has written the superblocks; what they say holds here, too. They
 * are read at once, and taken over when no transaction of this node is under way. Answered when
 * every worker can write the legs that are new, and this node's bits are on them.
 * Source: drivers/md/md.c md_reload_sb, check_sb_changes.
 */

import { equalBytes } from "../common/bytes.ts";
import {
  type ArrayState,
  copiesLeft,
  emit,
  isInCluster,
  type Member,
  type ToldUpdate,
} from "./array-state.ts";
import { breakArray } from "./cluster-broken.ts";
import { askDriver, noticeProcessed } from "./cluster-calls.ts";
import { keepLastCopies } from "./last-copies.ts";
import { dropLostLegs } from "./metadata-update.ts";
import { LEG_BLOCKED } from "./shared-state.ts";
import type { Superblock } from "./superblock-fields.ts";
import { takeOverRoles, yieldLostMembers } from "./told-roles.ts";

type Told = Omit<ToldUpdate, "notice" | "found">;

/** Reads the superblocks again, and takes over what they say. */
export const onMetadataUpdated = (
  state: ArrayState,
  id: number,
  { deviceNumber, events }: Told,
): void => {
  // Another message goes round: whatever was told before is known to all.
  dropLostLegs(state);
  readSuperblocks(state, { notice: id, deviceNumber, events });
};

/** The sender counts on the member it names: it is read although it has failed here. */
const readSuperblocks = (state: ArrayState, notice: Omit<ToldUpdate, "found">): void => {
  const { deviceNumber } = notice;
  const named = failingMember(state, deviceNumber);
  if (named !== null) emit(state, { type: "take-back-member", member: named.id });
  askDriver(state, { type: "read-superblocks" }, (now, { found }) => {
    const update = { ...notice, found };
    const told = believed(now, update);
    const failing = failingMember(now, deviceNumber);
    // It has failed while it was read.
    if (told === null && named === null && failing !== null) return readSuperblocks(now, notice);
    now.clusterMetadata.update = update;
    if (told !== null) yieldLostMembers(now, told);
    const reason = "its failure is not recorded yet";
    if (failing !== null) emit(now, { type: "give-up-member", member: failing.id, reason });
  });
};

const failingMember = (state: ArrayState, deviceNumber: number): Member | null => {
  const members = [...state.pending.failing.keys()].map((id) => state.members.get(id));
  return members.find((member) => member?.superblock.devNumber === deviceNumber) ?? null;
};

/** Takes over what was read. Between two transactions: within one, legs and roles do not change. */
export const takeToldUpdate = (state: ArrayState): void => {
  const own = state.clusterMetadata;
  const { update } = own;
  if (update === null || state.transaction !== null || state.stopped) return;
  own.update = null;
  const told = believed(state, update);
  const isAlike = told !== null && !hasOtherShape(state, told);
  if (!isAlike) loseSight(state, told === null ? UNREADABLE : CHANGED);
  if (state.clusterSync.broken !== null) return;
  const isNew = isAlike && takeOver(state, told, update);
  // The sender counts on a copy that has failed here: a failure of it must not be recorded.
  if (copiesLeft(state) === 0) return loseSight(state, NOTHING_LEFT);
  if (own.joiningLegs !== null) return;
  if (isNew) state.pending.notices.push(update.notice);
  else noticeProcessed(state, update.notice);
};

/**
 * The newest superblock of this array. Null when what the sender wrote cannot be read here: every
 * update raises the events, so older ones are not it, unless the member that it named says so. A
 * member that failed in the midst of the update holds a step of it, which tells less.
 */
const believed = (
  state: ArrayState,
  { found, deviceNumber, events }: ToldUpdate,
): Superblock | null => {
  let best: Superblock | null = null;
  let isNamedRead = false;
  for (const { superblock } of found) {
    if (superblock === null || !equalBytes(superblock.setUuid, state.template.setUuid)) continue;
    const isNamed = superblock.devNumber === deviceNumber;
    isNamedRead ||= isNamed;
    if (best === null || superblock.events > best.events) best = superblock;
    else if (isNamed && superblock.events === best.events) best = superblock;
  }
  if (best === null || best.events < Math.max(state.events, events)) return null;
  return isNamedRead || best.events > state.events ? best : null;
};

const UNREADABLE =
  "What another node wrote into the superblocks cannot be read here: this node has no member left that it may trust.";
const NOTHING_LEFT =
  "Another node has recorded the last copy that this node reaches as faulty, and goes on with one that has failed here.";
const CHANGED =
  "The array was changed as a whole while this node began to run it; start it here again.";

/** Who was there when the change began rests until it is over, and starts anew. */
const hasOtherShape = ({ template }: ArrayState, told: Superblock): boolean =>
  template.raidDisks !== told.raidDisks ||
  template.size !== told.size ||
  template.bitmapOffset !== told.bitmapOffset;

/** The others go on with what this node does not know: it has no copy that it may trust. */
const loseSight = (state: ArrayState, text: string): void => {
  for (const { leg } of state.members.values())
    if (leg !== null) state.shared.setLeg(leg, LEG_BLOCKED);
  breakArray(state, text);
};

/** True when a leg counts from now on for which this node's bits must be on it. */
const takeOver = (state: ArrayState, told: Superblock, { notice, found }: ToldUpdate): boolean => {
  state.events = told.events;
  state.isUneven = false;
  state.template = { ...state.template, setName: told.setName, ctime: told.ctime };
  const isNew = takeOverRoles(state, told, notice, found);
  keepLastCopies(state);
  state.bitmap?.setHeader(told.events, state.bitmap.superblock.eventsCleared);
  emit(state, { type: "status-changed" });
  return isNew;
};

/** A leg that an update told of is open in every worker, or cannot be opened here. */
export const onToldLeg = (state: ArrayState, token: number): void => {
  const own = state.clusterMetadata;
  const joining = own.joiningLegs;
  if (joining === null || !joining.tokens.delete(token) || joining.tokens.size > 0) return;
  own.joiningLegs = null;
  state.pending.notices.push(joining.notice);
};

/** A notice is being carried out. */
export const isTakingOver = (state: ArrayState): boolean =>
  isInCluster(state) &&
  (state.clusterMetadata.update !== null || state.clusterMetadata.joiningLegs !== null);
