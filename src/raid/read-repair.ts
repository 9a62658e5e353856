/**
 * Read errors: what one leg could not read and another could is written back to it and read again.
 * A leg that takes it stays in sync, with the corrected sectors counted; one that does not fails.
 * Source: drivers/md/raid1.c fix_read_error.
 */

import type { CopyResult } from "./array-messages.ts";
import { type ArrayState, emit, happen, inSyncMembers, nextToken, SECTOR } from "./array-state.ts";
import { failMember } from "./metadata-update.ts";

/** Repairs under way at once; more are dropped, the reads were answered from another leg. */
const REPAIRS_MAX = 32;
/** Repairs work on whole pages. Source: raid1.c fix_read_error, pieces of at most 4 KiB. */
const PAGE_BYTES = 4096;

/** Rewrites `[offset, offset + length)` of the array on the member from another in-sync member. */
export const repairRead = (state: ArrayState, id: number, offset: number, length: number): void => {
  const member = state.members.get(id);
  if (member?.state !== "in_sync" || state.readOnly || state.repairs.size >= REPAIRS_MAX) return;
  const sources = inSyncMembers(state).filter((other) => other.id !== id);
  if (sources.length === 0) return;
  const from = Math.floor(offset / PAGE_BYTES) * PAGE_BYTES;
  const end = Math.min(Math.ceil((offset + length) / PAGE_BYTES) * PAGE_BYTES, state.sizeBytes);
  const token = nextToken(state);
  state.repairs.set(token, { member: id, length: end - from });
  const plan = { mode: "rewrite", offset: from, length: end - from } as const;
  emit(state, {
    type: "copy",
    token,
    plan: { ...plan, sources: sources.map((source) => source.id), targets: [id] },
  });
};

/** A repair is done. Returns false when the token is not a repair's. */
export const onRepairDone = (state: ArrayState, token: number, result: CopyResult): boolean => {
  const repair = state.repairs.get(token);
  if (repair === undefined) return false;
  state.repairs.delete(token);
  const member = state.members.get(repair.member);
  if (member === undefined || member.state === "faulty") return true;
  const failed = result.writeFailed[0];
  if (failed !== undefined) {
    failMember(state, member, `read error, rewrite failed: ${failed.message}`);
  } else if (result.readable) {
    member.correctedSectors += repair.length / SECTOR;
    const text = `Read error on ${member.path} corrected from another member.`;
    const details = { path: member.path, sectors: repair.length / SECTOR };
    const happening = happen(state, "member.read-error-corrected", "warning", text, details);
    emit(state, { type: "happening", happening });
    emit(state, { type: "status-changed" });
  }
  return true;
};
