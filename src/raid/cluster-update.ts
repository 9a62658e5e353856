/**
 * This node's metadata updates in a cluster: metadata_update_start, _finish, _cancel. One node at a
 * time may write superblocks, AFTER it has carried out what the others sent before; who waits for
 * an update is answered only when every node has acknowledged it. A single board is always alone:
 * its turn comes at once.
 *
 *   idle -> asked -> granted -> (superblocks written) -> told -> acknowledged: idle
 *                    granted -> nothing needed any more: cancelled, idle
 *
 * Source: MD Cluster, chapter 6; drivers/md/md.c md_update_sb, does_sb_need_changing.
 */

import { equalBytes } from "../common/bytes.ts";
import type { CommandOutcome } from "./array-messages.ts";
import {
  type ArrayState,
  emit,
  inSyncMembers,
  isInCluster,
  type OwnChange,
  type Pending,
} from "./array-state.ts";
import { askDriver, callCluster, endRest } from "./cluster-calls.ts";
import { letCandidatesGo } from "./cluster-members.ts";
import { OUTRUN, UNTOLD_MAX } from "./copies-rule.ts";
import { isReturnOpening } from "./member-arrival.ts";
import type { Superblock } from "./superblock-fields.ts";

/**
 * Updates that nodes may have written one after the other without telling of them. Choice: more
 * than there can be nodes, each of which meets failures of its own.
 */
const AHEAD_MAX = 256;

/** `update`: now; `settle`: no update is needed, answer who waits; `wait`: neither yet. */
export type UpdateTurn = "update" | "settle" | "wait";

/** Asks for the turn when it is needed, gives it back when it is not. */
export const updateTurn = (state: ArrayState, isNeeded: boolean): UpdateTurn => {
  const { clusterMetadata: own, pending } = state;
  // A leg that failed is out of use everywhere BEFORE the write is answered that met the failure.
  const isWanted =
    isNeeded || (isInCluster(state) && (pending.legReports.length > 0 || pending.confirm));
  if (isReturnOpening(state)) return "wait";
  if (own.stage === "idle" && !isWanted && own.change === null) return "settle";
  if (isWanted) refuseRest(state);
  if (own.stage === "idle") {
    own.stage = "asked";
    callCluster(state, { type: "metadata-update-start" }, (now, answer) => {
      if (answer.ok) letCandidatesGo(now);
      if (answer.ok && now.mustOutrun && isInCluster(now)) return lookAhead(now);
      now.clusterMetadata.stage = answer.ok ? "granted" : "asked";
    });
  }
  // The others may still write and read: an update that nobody is told of would be too early.
  if (own.stage !== "granted" || own.change?.isAnswered === false) return "wait";
  if (isNeeded) return "update";
  if (own.change !== null) {
    holdForChange(state);
    return "settle";
  }
  own.stage = "idle";
  callCluster(state, { type: "metadata-update-cancel" }, () => undefined);
  return "settle";
};

/**
 * What a node wrote and died before it told of may be ahead by any number: it may have had to
 * outrun another one, or a member failed on the way. A member that fails here may hold it, too, and
 * is read. One that cannot be read, as where its board has just died, is outrun by as many as a
 * start outruns what is not there.
 */
const lookAhead = (state: ArrayState): void => {
  for (const member of state.pending.failing.keys())
    emit(state, { type: "take-back-member", member });
  askDriver(state, { type: "read-superblocks" }, (now, { found }) => {
    for (const [member, reason] of now.pending.failing)
      emit(now, { type: "give-up-member", member, reason });
    if (now.clusterSync.expelled !== null) return;
    const read = new Map(found.map(({ member, superblock }) => [member, superblock]));
    const inSync = [...now.members.values()].filter((member) => member.state === "in_sync");
    const held = inSync.map(({ id }) => read.get(id) ?? null);
    const outrunsUnread = held.includes(null) || now.seenEvents > now.events;
    for (const superblock of held)
      now.seenEvents = Math.max(now.seenEvents, heldBy(now, superblock));
    if (outrunsUnread) takeEvents(now);
    else now.clusterMetadata.stage = "granted";
  });
};

/** Events that an update ends at beyond all that was seen. */
export const beyondSeen = (state: ArrayState): number =>
  Math.max(state.events, state.seenEvents) + OUTRUN;

/**
 * The cluster gives the events that the update ends at: whoever wrote what is outrun unread may
 * have outrun others as well. Two updates with as many events could never be told apart.
 */
const takeEvents = (state: ArrayState): void => {
  callCluster(state, { type: "outrun", events: beyondSeen(state) }, (now, answer) => {
    if (answer.ok && answer.events !== undefined)
      now.seenEvents = Math.max(now.seenEvents, answer.events - OUTRUN);
    now.clusterMetadata.stage = answer.ok ? "granted" : "asked";
  });
};

/** Events that a member in sync may hold, whose superblock was read, or could not be. */
const heldBy = (state: ArrayState, superblock: Superblock | null): number => {
  if (superblock === null) return state.events + UNTOLD_MAX - OUTRUN;
  const isOurs = equalBytes(superblock.setUuid, state.template.setUuid);
  return isOurs ? Math.min(superblock.events, state.events + AHEAD_MAX) : 0;
};

/** It is this node's turn, and nothing of its own is left to write: the others come to rest. */
const holdForChange = (state: ArrayState): void => {
  const { change } = state.clusterMetadata;
  if (change === null || change.isHeld) return;
  change.isHeld = true;
  change.isAnswered = false;
  if (change.isLeaving) return lockForChange(state, change);
  callCluster(state, { type: "bitmap-resize", sectors: change.sectors }, (now, outcome) => {
    change.isAnswered = true;
    if (outcome.ok) return emit(now, { type: "command-done", id: change.command, outcome });
    // The update that follows ends the rest of those that came to it.
    now.clusterMetadata.change = null;
    now.clusterMetadata.afterRest = [];
    now.clusterMetadata.refusals.set(change.command, outcome);
    now.pending.rolesChanged = true;
    now.pending.commands.push(change.command);
  });
};

/** Nobody else may run the array, or begin to; nobody rests for it, so a refusal ends the turn. */
const lockForChange = (state: ArrayState, change: OwnChange): void =>
  callCluster(state, { type: "lock-all-bitmaps" }, (now, outcome) => {
    change.isAnswered = true;
    if (!outcome.ok) now.clusterMetadata.change = null;
    emit(now, { type: "command-done", id: change.command, outcome });
  });

/** What this node needs now only its turn can give, which comes after the other node's change. */
const refuseRest = (state: ArrayState): void => {
  const { rest } = state.clusterMetadata;
  if (rest === null || rest.isRefused) return;
  rest.isRefused = true;
  emit(state, { type: "cluster-processed", id: rest.notice, isRefused: true });
};

/** The superblocks are durable; `acknowledged` runs once every node has read them. */
export const tellUpdate = (
  state: ArrayState,
  work: Pending,
  acknowledged: (state: ArrayState, work: Pending) => void,
): void => {
  const own = state.clusterMetadata;
  // While the array is changed the others rest: they read the superblocks when that is over.
  if (own.change?.isHeld === true) return acknowledged(state, work);
  own.stage = "told";
  own.told = work;
  if (!own.tellsCapacity) return finishUpdate(state, work, acknowledged);
  own.tellsCapacity = false;
  callCluster(state, { type: "change-capacity" }, (now) => finishUpdate(now, work, acknowledged));
};

const finishUpdate = (
  state: ArrayState,
  work: Pending,
  acknowledged: (state: ArrayState, work: Pending) => void,
): void => {
  const deviceNumber = inSyncMembers(state)[0]?.superblock.devNumber ?? 0;
  const { events } = state;
  const finish = { type: "metadata-update-finish", deviceNumber, events } as const;
  callCluster(state, finish, (now, answer) => {
    now.clusterMetadata.told = null;
    if (answer.ok) {
      now.clusterMetadata.stage = "idle";
      endRest(now);
      return acknowledged(now, work);
    }
    // It may be durable, and nobody says so: no write is acknowledged by it.
    for (const id of work.commands) emit(now, { type: "command-done", id, outcome: answer });
  });
};

/** Superblocks can no longer be written here: others may. */
export const giveUpTurn = (state: ArrayState): void => {
  if (state.clusterMetadata.stage !== "granted") return;
  state.clusterMetadata.stage = "idle";
  callCluster(state, { type: "metadata-update-cancel" }, () => undefined);
  endRest(state);
};

/** An update of this node is under way, or waits for its turn or for the others. */
export const isUpdating = ({ clusterMetadata: own }: ArrayState): boolean =>
  own.stage !== "idle" && own.change?.isHeld !== true;

/** The outcome of a command whose update is durable: a member may have to be kept after all. */
export const commandOutcome = (state: ArrayState, id: number): CommandOutcome => {
  const { failCommands, refusals } = state.clusterMetadata;
  const refusal = refusals.get(id);
  refusals.delete(id);
  if (refusal !== undefined) return refusal;
  const member = state.members.get(failCommands.get(id) ?? Number.NaN);
  failCommands.delete(id);
  if (member === undefined || member.state === "faulty") return { ok: true };
  const message = `another node failed the others meanwhile: ${member.path} is the last in-sync member`;
  return { ok: false, code: "RAID_LAST_IN_SYNC_MEMBER", message };
};

/** What a command to a broken array is answered. */
export const brokenOutcome = (state: ArrayState): Extract<CommandOutcome, { ok: false }> => {
  const { expelled, broken } = state.clusterSync;
  if (broken !== null) {
    const message = `The array is broken on this node, which leaves the cluster: ${broken.reason}`;
    return { ok: false, code: "RAID_ARRAY_BROKEN", message };
  }
  if (expelled !== null) {
    const message = `The cluster goes on without this node: ${expelled}.`;
    return { ok: false, code: "CLUSTER_EXPELLED", message };
  }
  const message = "The array is broken: its metadata can no longer be written.";
  return { ok: false, code: "RAID_ARRAY_BROKEN", message };
};
