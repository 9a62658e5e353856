/**
 * Recovery of a node that is gone (MD Cluster, chapter 4.1): its bits become this node's. In order,
 * so that a crash between any two steps loses nothing: its areas are read from all legs and merged
 * into this node's image, this node's pages are durable on every leg, THEN its bits are cleared and
 * that is flushed, THEN the notice is answered. A resync pass follows, be it empty: at its end the
 * others balance reads again.
 *
 * None of this waits for the cluster, for the cluster waits for it. A leg that fails meanwhile is
 * recorded later; on it the old bits stay, so that whichever copy survives tells what may differ.
 * Source: drivers/md/md-cluster.c recover_bitmaps; md-bitmap.c md_bitmap_copy_from_slot.
 */

import type { SlotArea } from "./array-messages.ts";
import { type ArrayState, emit, happen, nextToken } from "./array-state.ts";
import { decodeBitmapSuperblock, encodeBitmapSuperblock } from "./bitmap-superblock.ts";
import { askDriver, noticeProcessed } from "./cluster-calls.ts";
import type { ClusterNotice } from "./cluster-port.ts";
import { expectPass } from "./cluster-sync.ts";
import type { SlotRecovery } from "./cluster-sync-state.ts";
import { bitmapMembers, bitmapOps } from "./metadata-phases.ts";
import { failIfRefused, writeOwnPages } from "./metadata-update.ts";
import { RUN_BROKEN } from "./shared-state.ts";
import { readSlots } from "./slot-areas.ts";
import type { WriteIntentBitmap } from "./write-intent-bitmap.ts";

/** The node of this slot is gone. A slot that no other node can have holds nothing to recover. */
export const onRecoverSlot = (
  state: ArrayState,
  notice: number,
  { slot, isUnused = false }: Extract<ClusterNotice, { type: "recover-slot" }>,
): void => {
  const nodes = state.bitmap?.superblock.nodes ?? 0;
  if (!Number.isInteger(slot) || slot < 0 || slot >= nodes || slot === state.cluster.slot) {
    const text = `Bitmap slot ${slot} was to be recovered, which is none of another node's.`;
    const happening = happen(state, "cluster.bad-slot", "warning", text, { slot });
    emit(state, { type: "happening", happening });
    return noticeProcessed(state, notice);
  }
  const started = { step: "reading", blank: null, waiting: new Map() } as const;
  const recovery: SlotRecovery = { notice, slot, isUnused, ...started };
  state.clusterSync.recoveries.push(recovery);
  // The pass has to begin AFTER this: what was asked for before does not count.
  if (state.clusterSync.right !== "none") state.clusterSync.isRightOld = true;
  askDriver(state, { type: "read-slot-bitmaps", slots: [slot] }, (now, { areas }) =>
    takeBits(now, recovery, areas),
  );
};

const takeBits = (state: ArrayState, recovery: SlotRecovery, areas: readonly SlotArea[]): void => {
  const { bitmap } = state;
  if (bitmap === null) return;
  const { fitting, isKnown } = readSlots(state, areas, recovery.slot);
  // A slot that nobody has used yet stays as it was made.
  if (isKnown && !fitting.some((area) => bitmap.hasBits(area))) return finish(state, recovery);
  for (const area of fitting) bitmap.mergeNeeded(area);
  if (!isKnown) {
    bitmap.fill();
    bitmap.needSetChunks();
  }
  recovery.blank = blankArea(state, bitmap, fitting[0] ?? null);
  recovery.step = "merged";
  expectPass(state);
};

/** The slot's area with no bit set. Its events_cleared stays: it is what re-adds go by. */
const blankArea = (
  state: ArrayState,
  bitmap: WriteIntentBitmap,
  found: Uint8Array | null,
): Uint8Array => {
  const decoded = found === null ? null : decodeBitmapSuperblock(found);
  const { eventsCleared } = decoded?.ok === true ? decoded.value : bitmap.superblock;
  const area = new Uint8Array(bitmap.areaBytes);
  const { events } = state;
  area.set(encodeBitmapSuperblock({ ...bitmap.superblock, events, eventsCleared }));
  return area;
};

/** Writes this node's pages once the metadata is at rest. */
export const pumpSlotRecovery = (state: ArrayState): void => {
  const [head] = state.clusterSync.recoveries;
  if (head?.step !== "merged" || state.shared.run === RUN_BROKEN) return;
  writeOwnPages(state, (now) => clearSlot(now, head));
};

const clearSlot = (state: ArrayState, recovery: SlotRecovery): void => {
  const { blank, slot } = recovery;
  if (blank === null || state.shared.run === RUN_BROKEN) return;
  recovery.step = "clearing";
  for (const member of bitmapMembers(state)) {
    if (state.pending.failing.has(member.id)) continue;
    const token = nextToken(state);
    recovery.waiting.set(token, member.id);
    const ops = bitmapOps(state, member, [{ offset: 0, data: blank }], slot);
    emit(state, { type: "member-io", token, member: member.id, ops });
  }
};

/** A leg's copy of the slot is cleared. Returns false when the token is not a recovery's. */
export const onSlotIo = (state: ArrayState, token: number, error: string | null): boolean => {
  const [head] = state.clusterSync.recoveries;
  const id = head?.waiting.get(token);
  if (head === undefined || id === undefined) return false;
  head.waiting.delete(token);
  failIfRefused(state, id, error);
  if (head.waiting.size === 0 && state.shared.run !== RUN_BROKEN) finish(state, head);
  return true;
};

const finish = (state: ArrayState, recovery: SlotRecovery): void => {
  const { recoveries } = state.clusterSync;
  recoveries.splice(recoveries.indexOf(recovery), 1);
  expectPass(state);
  state.clusterSync.owesPass = true;
  // Superblocks that its node left half done, and whoever rests for its change, wait for an update.
  if (!recovery.isUnused) state.pending.rolesChanged = true;
  noticeProcessed(state, recovery.notice);
};
