/** The array machine's state as the world sees it: ArrayStatus, health, ETA. */

import {
  type ArrayState,
  degradedCount,
  inSyncMembers,
  type Member,
  memberAt,
  type SyncRun,
} from "./array-state.ts";
import type {
  ArrayHealth,
  ArrayStateWord,
  ArrayStatus,
  MemberStateWord,
  MemberStatus,
  SyncStatus,
} from "./array-status.ts";
import { LEG_BLOCKED, RUN_BROKEN } from "./shared-state.ts";
import { superblockMinor, superblockName } from "./superblock.ts";
import { uuidToKernelText, uuidToMdadmText } from "./uuid.ts";

export const arrayStatus = (state: ArrayState): ArrayStatus => {
  const { template, bitmap } = state;
  const fullName = superblockName(template);
  const colon = fullName.indexOf(":");
  const minor = superblockMinor(template);
  return {
    uuid: uuidToKernelText(template.setUuid),
    name: colon < 0 ? fullName : fullName.slice(colon + 1),
    level: "raid1",
    metadata: minor === 0 ? "1.0" : minor === 1 ? "1.1" : "1.2",
    raidDevices: template.raidDisks,
    sizeBytes: state.sizeBytes,
    createdAt: template.ctime.seconds * 1000,
    arrayState: arrayStateWord(state),
    health: health(state),
    degraded: degradedCount(state),
    inSyncCopies: inSyncMembers(state).length,
    events: state.events,
    mismatchCount: state.mismatchCount,
    consistencyPolicy: bitmap === null ? "resync" : "bitmap",
    bitmap: {
      type: bitmap === null ? "none" : bitmap.superblock.nodes > 0 ? "clustered" : "internal",
      chunkBytes: bitmap === null ? 0 : bitmap.superblock.chunkBytes,
      dirtyChunks: bitmap === null ? 0 : bitmap.setChunks,
      totalChunks: bitmap === null ? 0 : bitmap.chunks,
      delaySeconds: bitmap === null ? 0 : bitmap.superblock.daemonSleepSeconds,
    },
    members: memberList(state),
    sync: state.sync === null ? null : syncStatus(state, state.sync),
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
  if (state.shared.run === RUN_BROKEN || inSyncMembers(state).length === 0) return "failed";
  if (degradedCount(state) > 0) return state.sync?.action === "recover" ? "recovering" : "degraded";
  if (state.resyncFrom === "none") return "optimal";
  return state.syncReason === "initial" ? "building" : "resyncing";
};

const memberList = (state: ArrayState): MemberStatus[] => {
  const list: MemberStatus[] = [];
  for (let slot = 0; slot < state.template.raidDisks; slot++) {
    const member = memberAt(state, slot);
    list.push(member === null ? emptySlot(state, slot) : memberStatus(state, member));
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
  stalledSince: null,
  faultReason: null,
});

const memberWords = (state: ArrayState, member: Member): MemberStateWord[] => {
  const words: MemberStateWord[] = [member.state];
  if (member.state === "rebuilding") words[0] = "spare";
  if (member.state === "rebuilding") words.push("rebuilding");
  if (member.raidSlot !== null && state.shared.leg(member.raidSlot) === LEG_BLOCKED)
    words.push("blocked");
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
  stalledSince: member.stalledSince,
  faultReason: member.faultReason,
});

const syncStatus = (state: ArrayState, run: SyncRun): SyncStatus => {
  const elapsed = Math.max(1, state.now - run.startedAt) / 1000;
  const average = run.copiedBytes / elapsed;
  return {
    action: run.action,
    reason: run.reason,
    scope: run.scope,
    paused: state.now - run.speedAt > 5000,
    startedAt: run.startedAt,
    completedBytes: run.settled,
    totalBytes: state.sizeBytes,
    copiedBytes: run.copiedBytes,
    skippedBytes: run.skippedBytes,
    speedBytesPerSecond: Math.round(run.speed > 0 ? run.speed : average),
    eta: etaRange(state.sizeBytes - run.settled, run.speed, average),
  };
};

/** Seconds to go at the better and at the worse of the recent and the average speed. */
const etaRange = (bytes: number, recent: number, average: number): SyncStatus["eta"] => {
  const fast = Math.max(recent, average);
  const slow = recent > 0 ? Math.min(recent, average) : average;
  if (slow <= 0) return null;
  return { low: Math.floor(bytes / fast), high: Math.ceil(bytes / slow) };
};
