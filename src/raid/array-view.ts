/** The array machine's state as the world sees it: ArrayStatus, health, ETA. */

import {
  type ArrayState,
  copiesLeft,
  degradedCount,
  isInCluster,
  type Member,
  memberAt,
  replacementAt,
  SECTOR,
} from "./array-state.ts";
import type {
  ArrayClusterStatus,
  ArrayHealth,
  ArrayStateWord,
  ArrayStatus,
  MemberStateWord,
  MemberStatus,
  SyncActionWord,
  SyncStatus,
} from "./array-status.ts";
import { bitmapClusterName } from "./bitmap-superblock.ts";
import { formatRaid10Layout } from "./raid10-layout.ts";
import { LEG_BLOCKED, RUN_BROKEN } from "./shared-state.ts";
import { superblockMinor, superblockName } from "./superblock.ts";
import { FAIL_FAST, WRITE_MOSTLY } from "./superblock-fields.ts";
import { type Due, dueAction } from "./sync-choice.ts";
import { mostlyHeldBy } from "./sync-hold.ts";
import type { SyncRun } from "./sync-run.ts";
import { uuidToKernelText, uuidToMdadmText } from "./uuid.ts";

/** Without a copy for so long a sync action is shown as paused. Choice. */
const PAUSED_MS = 5000;

export const arrayStatus = (state: ArrayState): ArrayStatus => {
  const { template, bitmap } = state;
  const fullName = superblockName(template);
  const colon = fullName.indexOf(":");
  const minor = superblockMinor(template);
  return {
    uuid: uuidToKernelText(template.setUuid),
    name: colon < 0 ? fullName : fullName.slice(colon + 1),
    level: template.level === 10 ? "raid10" : "raid1",
    layout: template.level === 10 ? formatRaid10Layout(template.layout) : null,
    chunkBytes: template.level === 10 ? template.chunkSize * SECTOR : null,
    memberBytes: state.map.memberBytes,
    logicalBlockBytes: state.logicalBlockBytes,
    metadata: minor === 0 ? "1.0" : minor === 1 ? "1.1" : "1.2",
    raidDevices: template.raidDisks,
    sizeBytes: state.map.sizeBytes,
    createdAt: template.ctime.seconds * 1000,
    arrayState: arrayStateWord(state),
    health: health(state),
    degraded: degradedCount(state),
    inSyncCopies: copiesLeft(state),
    events: state.events,
    mismatchCount: state.mismatchCount,
    mismatches: { ranges: [...state.mismatches], truncated: state.mismatchesTruncated },
    consistencyPolicy: bitmap === null ? "resync" : "bitmap",
    bitmap: {
      type: bitmap === null ? "none" : bitmap.superblock.nodes > 0 ? "clustered" : "internal",
      chunkBytes: bitmap === null ? 0 : bitmap.superblock.chunkBytes,
      dirtyChunks: bitmap === null ? 0 : bitmap.setChunks,
      totalChunks: bitmap === null ? 0 : bitmap.chunks,
      delaySeconds: bitmap === null ? 0 : bitmap.superblock.daemonSleepSeconds,
      nodes: bitmap === null ? 0 : bitmap.superblock.nodes,
      clusterName: bitmap === null ? "" : bitmapClusterName(bitmap.superblock),
    },
    members: memberList(state),
    sync: state.sync === null ? null : syncStatus(state, state.sync),
    cluster: isInCluster(state) ? clusterStatus(state) : null,
    syncSpeedMin: state.syncSpeedMin,
    syncSpeedMax: state.syncSpeedMax,
  };
};

const arrayStateWord = (state: ArrayState): ArrayStateWord => {
  if (state.stopped) return "clear";
  if (state.shared.run === RUN_BROKEN) return "broken";
  if (state.readOnly) return "readonly";
  if (state.clean) return state.transaction?.work.activate === true ? "write-pending" : "clean";
  return state.shared.writes().underWay > 0 ? "active" : "active-idle";
};

/** Worst reason wins; check and repair never change it. */
const health = (state: ArrayState): ArrayHealth => {
  if (state.shared.run === RUN_BROKEN || copiesLeft(state) === 0) return "failed";
  if (degradedCount(state) > 0) return state.sync?.action === "recover" ? "recovering" : "degraded";
  if (state.resyncFrom === "none") return "optimal";
  return state.syncReason === "initial" ? "building" : "resyncing";
};

const clusterStatus = (state: ArrayState): ArrayClusterStatus => {
  const { right, remote, recoveries, expelled, broken } = state.clusterSync;
  const pending = right === "asked" ? dueAction(state) : null;
  // Behind the array's end: a resync that holds nobody's writes just now (sync-right.ts).
  const holds = ({ from }: { readonly from: number }): boolean => from < state.map.sizeBytes;
  return {
    slot: state.cluster.slot,
    resync: pending !== null ? "PENDING" : remote.size > 0 ? "REMOTE" : null,
    pendingAction: pending === null ? null : actionWord(state, pending),
    remote: [...remote].flatMap(([slot, range]) => (holds(range) ? [{ slot, ...range }] : [])),
    balancesReads: state.shared.balances,
    recovering: recoveries.map(({ slot }) => slot),
    expelled: expelled ?? broken?.reason ?? null,
  };
};

/** The sync action that what is due comes to, in md's words. */
const actionWord = (state: ArrayState, due: Due): SyncActionWord => {
  if (due === "user") return state.userAction?.action ?? "check";
  if (due === "read-repair") return "repair";
  return due === "recover" || due === "spare" ? "recover" : "resync";
};

const memberList = (state: ArrayState): MemberStatus[] => {
  const list: MemberStatus[] = [];
  for (let slot = 0; slot < state.template.raidDisks; slot++) {
    const member = memberAt(state, slot);
    list.push(member === null ? emptySlot(state, slot) : memberStatus(state, member));
    const beside = replacementAt(state, slot);
    if (beside !== null) list.push(memberStatus(state, beside));
  }
  for (const member of state.members.values()) {
    if (member.raidSlot === null) list.push(memberStatus(state, member));
  }
  return list;
};

/** `removed` when dev_roles no longer names a device for the slot, `missing` when it does. */
const emptySlot = (state: ArrayState, slot: number): MemberStatus => ({
  path: null,
  deviceUuid: null,
  raidSlot: slot,
  deviceNumber: null,
  states: [state.devRoles.includes(slot) ? "missing" : "removed"],
  recoveryOffset: null,
  readErrorsCorrected: 0,
  readErrors: 0,
  badBlocks: 0,
  stalledSince: null,
  faultReason: null,
});

const memberWords = (state: ArrayState, member: Member): MemberStateWord[] => {
  const words: MemberStateWord[] = [member.state];
  if (member.state === "rebuilding") words[0] = "spare";
  if (member.state === "rebuilding") words.push("rebuilding");
  if (member.leg !== null && state.shared.leg(member.leg) === LEG_BLOCKED) words.push("blocked");
  if (member.isReplacement) words.push("replacement");
  if (member.state === "faulty") return words;
  if (member.hasWriteError) words.push("write_error");
  if (member.wantReplacement) words.push("want_replacement");
  if ((member.superblock.devFlags & WRITE_MOSTLY) !== 0) words.push("writemostly");
  if ((member.superblock.devFlags & FAIL_FAST) !== 0) words.push("failfast");
  return words;
};

const memberStatus = (state: ArrayState, member: Member): MemberStatus => ({
  path: member.path,
  deviceUuid: uuidToMdadmText(member.superblock.deviceUuid),
  raidSlot: member.raidSlot,
  deviceNumber: member.superblock.devNumber,
  states: memberWords(state, member),
  recoveryOffset: member.state === "rebuilding" ? member.recoveredBytes : null,
  readErrorsCorrected: member.superblock.cntCorrectedRead + member.correctedSectors,
  readErrors: member.readErrors,
  badBlocks: member.badBlocks.length,
  stalledSince: member.stalledSince,
  faultReason: member.faultReason,
});

const syncStatus = (state: ArrayState, run: SyncRun): SyncStatus => {
  const elapsed = Math.max(1, state.now - run.startedAt) / 1000;
  const average = run.copiedBytes / elapsed;
  const paused = state.now - run.speedAt > PAUSED_MS;
  return {
    action: run.action,
    reason: run.reason,
    scope: run.scope,
    paused,
    heldBy: mostlyHeldBy(run),
    startedAt: run.startedAt,
    completedBytes: run.settled,
    totalBytes: run.total,
    copiedBytes: run.copiedBytes,
    skippedBytes: run.skippedBytes,
    speedBytesPerSecond: Math.round(run.speed > 0 ? run.speed : average),
    eta: etaRange(run.total - run.settled, run.speed, average),
  };
};

/** Seconds to go at the better and at the worse of the recent and the average speed. */
const etaRange = (bytes: number, recent: number, average: number): SyncStatus["eta"] => {
  const fast = Math.max(recent, average);
  const slow = recent > 0 ? Math.min(recent, average) : average;
  if (slow <= 0) return null;
  return { low: Math.floor(bytes / fast), high: Math.ceil(bytes / slow) };
};
