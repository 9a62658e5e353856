/**
 * Read errors: what one leg could not read and another could is written back to it and read again.
 * A leg that takes it stays in sync, with the corrected sectors counted; one that does not has the
 * place noted as bad, or fails. A leg with too many errors an hour, or a failfast one, fails.
 * Source: drivers/md/raid1.c fix_read_error; md.c rdev read_errors, check_decay_read_errors.
 */

import type { CopyResult } from "./array-messages.ts";
import {
  type ArrayState,
  emit,
  happen,
  isInCluster,
  isLastInSync,
  type Member,
  nextToken,
  SECTOR,
} from "./array-state.ts";
import { noteBadBlocks } from "./bad-block-notes.ts";
import { copyExtents } from "./copy-planning.ts";
import { failMember } from "./metadata-update.ts";
import { FAIL_FAST } from "./superblock-fields.ts";
import { holdRange } from "./sync-right.ts";

/** Repairs under way at once; more are dropped, the reads were answered from another leg. */
const REPAIRS_MAX = 32;
/** Repairs work on whole pages. Source: raid1.c fix_read_error, pieces of at most 4 KiB. */
const PAGE_BYTES = 4096;
/** Read errors that a member may have; halved every hour. Source: md.c max_read_errors. */
const READ_ERRORS_MAX = 20;
const HOUR_MS = 3_600_000;

interface ReadError {
  /** Bytes of the array. */
  readonly offset: number;
  readonly length: number;
  readonly message: string;
}

/** Counts the error; then fails the member, or rewrites the place from another one. */
export const onReadError = (state: ArrayState, member: Member, error: ReadError): void => {
  if (member.state !== "in_sync" || state.readOnly || isLastInSync(state, member)) {
    return member.state === "in_sync" ? repairRead(state, member, error) : undefined;
  }
  if ((member.superblock.devFlags & FAIL_FAST) !== 0)
    return failMember(state, member, `read error: ${error.message}`);
  countReadError(state, member);
  if (member.readErrors > READ_ERRORS_MAX)
    return failMember(state, member, `more than ${READ_ERRORS_MAX} read errors`);
  repairRead(state, member, error);
};

const countReadError = (state: ArrayState, member: Member): void => {
  const hours = Math.floor((state.now - member.readErrorsAt) / HOUR_MS);
  if (hours > 0) {
    member.readErrors = Math.floor(member.readErrors / 2 ** Math.min(hours, 30));
    member.readErrorsAt = state.now;
  }
  if (member.readErrors === 0) member.readErrorsAt = state.now;
  member.readErrors++;
};

/**
 * Rewrites `[offset, offset + length)` of the array on the member from another in-sync member. In a
 * cluster it waits for the right to sync: the copy could be over what another node has just
 * written.
 */
export const repairRead = (
  state: ArrayState,
  member: Member,
  { offset, length }: { readonly offset: number; readonly length: number },
): void => {
  const { repairs: queued } = state.clusterSync;
  const isFull = state.repairs.size + queued.length >= REPAIRS_MAX;
  if (member.state !== "in_sync" || state.readOnly || isFull) return;
  const from = Math.floor(offset / PAGE_BYTES) * PAGE_BYTES;
  const end = Math.min(Math.ceil((offset + length) / PAGE_BYTES) * PAGE_BYTES, state.map.sizeBytes);
  if (isInCluster(state)) queued.push({ member: member.id, offset: from, length: end - from });
  else rewrite(state, member, from, end);
};

/** The next read repair that waits, once every other node holds its writes there. */
export const repairNext = (state: ArrayState): void => {
  const { clusterSync: sync } = state;
  if (state.repairs.size > 0 || sync.announced !== null) return;
  const next = sync.repairs.shift();
  if (next === undefined) return;
  const end = next.offset + next.length;
  holdRange(state, next.offset, end, (now, isHeld) => {
    const member = now.members.get(next.member);
    if (isHeld && member !== undefined) rewrite(now, member, next.offset, end);
  });
};

const rewrite = (state: ArrayState, member: Member, from: number, end: number): void => {
  if (member.state !== "in_sync") return;
  const extents = copyExtents(state, from, end - from)
    .map((extent) => ({
      ...extent,
      sources: extent.sources.filter((source) => source.member !== member.id),
      targets: extent.sources.filter((source) => source.member === member.id),
    }))
    .filter(({ sources, targets }) => sources.length > 0 && targets.length > 0);
  if (extents.length === 0) return;
  const token = nextToken(state);
  const bytes = extents.reduce((sum, extent) => sum + extent.length, 0);
  state.repairs.set(token, { member: member.id, length: bytes });
  emit(state, { type: "copy", token, plan: { mode: "rewrite", from: 0, end: 0, extents } });
};

/** A repair is done. Returns false when the token is not a repair's. */
export const onRepairDone = (state: ArrayState, token: number, result: CopyResult): boolean => {
  const repair = state.repairs.get(token);
  if (repair === undefined) return false;
  state.repairs.delete(token);
  const member = state.members.get(repair.member);
  if (member === undefined || member.state === "faulty") return true;
  // No ranges: the second try stored everything.
  const failures = result.writeFailed.filter(({ ranges }) => ranges?.length !== 0);
  if (failures.length > 0) onRewriteFailed(state, member, failures);
  else if (result.writtenBytes > 0) countCorrected(state, member, repair.length / SECTOR);
  onSourcesFailed(state, result);
  return true;
};

/**
 * A source that could not be read while another one could has a read error like any. Where nobody
 * could be read there is nothing to repair it from.
 */
const onSourcesFailed = (state: ArrayState, { readFailed, unreadable }: CopyResult): void => {
  if (unreadable.length > 0) return;
  for (const failure of readFailed) {
    const source = state.members.get(failure.member);
    if (source !== undefined) onReadError(state, source, failure);
  }
};

/** What cannot be rewritten is noted as bad; without a list the member fails. */
const onRewriteFailed = (
  state: ArrayState,
  member: Member,
  failures: CopyResult["writeFailed"],
): void => {
  member.wantReplacement = true;
  for (const { message, ranges } of failures) {
    const text = `read error, rewrite failed: ${message}`;
    const isNoted = ranges !== null && noteBadBlocks(state, member, ranges, text);
    if (!isNoted) return failMember(state, member, text);
  }
};

/** Sectors of the member were read wrong and are right again. */
export const countCorrected = (state: ArrayState, member: Member, sectors: number): void => {
  member.correctedSectors += sectors;
  const text = `Read error on ${member.path} corrected from another member.`;
  const details = { path: member.path, sectors };
  const happening = happen(state, "member.read-error-corrected", "warning", text, details);
  emit(state, { type: "happening", happening });
  emit(state, { type: "status-changed" });
};
