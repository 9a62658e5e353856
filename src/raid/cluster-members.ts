/**
 * Devices that come and go in a cluster (MD Cluster, chapter 5; add_new_disk_start and _finish,
 * new_disk_ack, remove_disk). Whoever adds one has written its first metadata; every other node
 * finds it by its uuid, or refuses. The metadata update that follows tells what came of it.
 * Source: drivers/md/md-cluster.c add_new_disk, process_add_new_disk, process_remove_disk.
 */

import { equalBytes } from "../common/bytes.ts";
import type { CommandOutcome, MemberOp, Newcomer } from "./array-messages.ts";
import {
  type ArrayState,
  emit,
  type Joining,
  type Member,
  nextToken,
  SECTOR,
} from "./array-state.ts";
import { askDriver, callCluster, noticeProcessed } from "./cluster-calls.ts";
import type { ClusterAnswer, ClusterNotice } from "./cluster-port.ts";
import { isJoining } from "./member-arrival.ts";
import { SUPERBLOCK_OFFSET } from "./superblock-fields.ts";
import { noteAddsOver, releaseNumber } from "./told-roles.ts";
import { uuidToHex } from "./uuid.ts";

type NewDevice = Extract<ClusterNotice, { readonly type: "new-disk" }>;

// --- this node adds ---------------------------------------------------------------------------

/** What becomes of a device that was offered to the other nodes. */
export type Offered =
  /** All see it: it becomes a member. */
  | { readonly type: "seen" }
  /** Another node gave its device number to another device meanwhile: it gets a new one. */
  | { readonly type: "number-taken" }
  | { readonly type: "refused"; readonly outcome: CommandOutcome };

/**
 * Asks every node whether it sees the device. AFTER its first metadata is durable. The right to
 * write superblocks is this node's from the answer on, until the update that tells the outcome.
 */
export const offerDevice = (
  state: ArrayState,
  joining: Joining,
  then: (state: ArrayState, offered: Offered) => void,
): void => {
  const member = state.members.get(joining.member);
  if (member === undefined) return;
  const { deviceUuid, devNumber: deviceNumber } = member.superblock;
  // Nobody uses it meanwhile, and the array is not stopped.
  const token = nextToken(state);
  state.joining.set(token, { ...joining, isOffered: true });
  const uuid = uuidToHex(deviceUuid);
  callCluster(state, { type: "add-new-disk-start", uuid, deviceNumber }, (now, answer) => {
    now.joining.delete(token);
    const offered = becameOf(now, member, answer);
    const isAdded = offered.type === "seen";
    callCluster(now, { type: "add-new-disk-finish", isAdded }, () => undefined);
    // A refusal is told as well: the others let the device go.
    if (!isAdded) now.pending.rolesChanged = true;
    then(now, offered);
  });
};

const becameOf = (state: ArrayState, member: Member, answer: ClusterAnswer): Offered => {
  const { path } = member;
  if (!state.members.has(member.id)) {
    const message = `another node was adding ${path} at the same time`;
    return { type: "refused", outcome: { ok: false, code: "RAID_MEMBER_BUSY", message } };
  }
  if (isNumberTaken(state, member)) return { type: "number-taken" };
  return answer.ok ? { type: "seen" } : { type: "refused", outcome: notTaken(path, answer) };
};

/** The cluster can tell who has not taken the device, and nothing of the reason. */
const notTaken = (
  path: string,
  answer: Extract<ClusterAnswer, { readonly ok: false }>,
): CommandOutcome => {
  if (answer.code !== "CLUSTER_DEVICE_NOT_SEEN") return answer;
  const why = `${path} is not there, cannot be used, or is being added by another node, too`;
  return { ...answer, message: `${answer.message}: ${why}` };
};

const isNumberTaken = (state: ArrayState, member: Member): boolean =>
  [...state.members.values()].some(
    (other) =>
      other !== member &&
      other.state !== "faulty" &&
      other.superblock.devNumber === member.superblock.devNumber,
  );

/**
 * A device that does not join after all; `erases`: what was written on it goes, too, unless it is
 * another node's by now, which adds the same device.
 */
export const letGo = (state: ArrayState, member: Member, erases: boolean): void => {
  state.members.delete(member.id);
  if (erases) {
    const offset = member.superblock.superOffset * SECTOR;
    const data = new Uint8Array(4096);
    const ops: MemberOp[] = [
      {
        type: "if",
        offset: offset + SUPERBLOCK_OFFSET.deviceUuid,
        data: member.superblock.deviceUuid,
      },
      { type: "write", offset, data },
      { type: "flush" },
    ];
    emit(state, { type: "member-io", token: nextToken(state), member: member.id, ops });
  }
  emit(state, { type: "close-member", member: member.id });
  emit(state, { type: "status-changed" });
};

// --- another node adds ------------------------------------------------------------------------

/**
 * Looks for the device, and tells whether it is here and can be a member. Two nodes may add the
 * same one at once: what is on it then tells whose it is.
 */
export const onNewDevice = (state: ArrayState, notice: NewDevice): void => {
  const { uuid, deviceNumber } = notice;
  const look = ++state.clusterMetadata.look;
  askDriver(state, { type: "find-device", uuid, deviceNumber }, (now, { newcomer }) => {
    if (now.clusterMetadata.look !== look) {
      if (newcomer !== null) emit(now, { type: "close-member", member: newcomer.member });
      return;
    }
    if (newcomer === null) return acknowledge(now, false);
    const own = memberInUse(now, newcomer.path);
    const joining = own === null ? null : joiningOf(now, own);
    const isBeingWritten = joining !== null && joining.isOffered !== true;
    const isFree = own === null || joining !== null;
    if (isBeingWritten || !isFree || !isNamed(now, newcomer, notice)) {
      emit(now, { type: "close-member", member: newcomer.member });
      if (!isBeingWritten) return acknowledge(now, false);
      now.clusterMetadata.lookAgain = notice;
      return;
    }
    // Another node has written on it later: this one gives way, and is told when it is answered.
    if (own !== null) now.members.delete(own.id);
    now.clusterMetadata.candidates.set(newcomer.member, { newcomer, deviceNumber });
    acknowledge(now, true);
  });
};

/**
 * What became of them was told, or whoever offered them is gone and tells nothing. AFTER everything
 * that others sent before is carried out, when no update of theirs is to come.
 */
export const letCandidatesGo = (state: ArrayState): void => {
  const { candidates } = state.clusterMetadata;
  noteAddsOver(state);
  for (const member of candidates.keys()) emit(state, { type: "close-member", member });
  candidates.clear();
};

const acknowledge = (state: ArrayState, isFound: boolean): void =>
  callCluster(state, { type: "new-disk-ack", isFound }, () => undefined);

/** AFTER this node has written the first metadata of a member, or could not. */
export const lookAgain = (state: ArrayState): void => {
  const notice = state.clusterMetadata.lookAgain;
  state.clusterMetadata.lookAgain = null;
  if (notice !== null) onNewDevice(state, notice);
};

const memberInUse = (state: ArrayState, path: string): Member | null =>
  [...state.members.values()].find((one) => one.path === path && one.state !== "faulty") ?? null;

const joiningOf = (state: ArrayState, { id }: Member): Joining | null =>
  [...state.joining.values()].find(({ member }) => member === id) ?? null;

/** The device is the one that the message names, and its number is free. */
const isNamed = (
  state: ArrayState,
  { superblock }: Newcomer,
  { uuid, deviceNumber }: NewDevice,
): boolean =>
  superblock !== null &&
  equalBytes(superblock.setUuid, state.template.setUuid) &&
  uuidToHex(superblock.deviceUuid) === uuid &&
  !isNumberOfAnother(state, uuid, deviceNumber);

/** A device that this node is about to offer gives way: it gets another number. */
const isNumberOfAnother = (state: ArrayState, uuid: string, deviceNumber: number): boolean =>
  [...state.members.values()].some(
    (member) =>
      member.state !== "faulty" &&
      !isJoining(state, member) &&
      member.superblock.devNumber === deviceNumber &&
      uuidToHex(member.superblock.deviceUuid) !== uuid,
  );

// --- removing ---------------------------------------------------------------------------------

/** Every node lets the device go; `then` with null when it may be removed here, too. */
export const tellRemoval = (
  state: ArrayState,
  { superblock }: Member,
  then: (state: ArrayState, refusal: CommandOutcome | null) => void,
): void => {
  const { devNumber: deviceNumber } = superblock;
  callCluster(state, { type: "remove-disk", deviceNumber }, (now, answer) =>
    then(now, answer.ok ? null : answer),
  );
};

/** A faulty device or a spare is let go; one that has a raid slot by now stays. */
export const onRemove = (state: ArrayState, id: number, deviceNumber: number): void => {
  const named = [...state.members.values()].filter(
    (member) => member.superblock.devNumber === deviceNumber,
  );
  const member =
    named.find(({ state: word }) => word === "faulty") ??
    named.find(({ state: word }) => word === "spare");
  if (member !== undefined) {
    state.members.delete(member.id);
    if (named.length === 1) releaseNumber(state, member);
    emit(state, { type: "close-member", member: member.id });
    emit(state, { type: "status-changed" });
  }
  noticeProcessed(state, id);
};

/**
 * RE_ADD: the device counts as working again. Which device that is, and where it stands, comes with
 * NEWDISK and METADATA_UPDATED BEFORE; the rebuild that this begins reads every node's bitmap.
 */
export const onReAdd = (state: ArrayState, id: number): void => {
  noticeProcessed(state, id);
};
