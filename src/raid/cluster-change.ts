/**
 * A change of the array as a whole in a cluster: raid devices, size, bitmap, name. The node that
 * makes it keeps the right to write superblocks and tells the others (BITMAP_RESIZE), who come to
 * rest: they hold client requests and write nothing. It changes the members as those of a stopped
 * array, starts anew, tells the capacity (CHANGE_CAPACITY) and then, by METADATA_UPDATED, lets the
 * others start anew from what they read.
 *
 * A change that takes the array out of its cluster has no others: it begins with lock_all_bitmaps,
 * which is refused while another node runs the array, and keeps whoever wants to join waiting.
 *
 * A node that waits for something of its own that only others can give cannot rest: it refuses, and
 * nothing is changed.
 * Source: drivers/md/md-cluster.c resize_bitmaps, update_size, which go back when one node differs;
 * lock_all_bitmaps; md.c update_array_info, which refuses while a sync action runs.
 */

import type { CommandOutcome } from "./array-messages.ts";
import { type ArrayState, emit, isInCluster } from "./array-state.ts";
import { noticeProcessed } from "./cluster-calls.ts";
import { isUpdateDue } from "./metadata-update.ts";

// --- this node changes ------------------------------------------------------------------------

/** Null: the answer comes when the others are at rest or absent, or one refused. */
export const beginChange = (
  state: ArrayState,
  command: number,
  { sectors, isLeaving = false }: { readonly sectors: number; readonly isLeaving?: boolean },
): CommandOutcome | null => {
  if (!isInCluster(state)) return { ok: true };
  const own = state.clusterMetadata;
  if (isBusy(state) || own.change !== null || own.rest !== null) return refusalToRest(state);
  own.change = { command, sectors, isLeaving, isHeld: false, isAnswered: true };
  return null;
};

/** Who has to end what, before this node can rest. */
const refusalToRest = ({ cluster, clusterSync: sync, sync: run }: ArrayState): CommandOutcome => {
  const code = "CLUSTER_NODE_BUSY";
  const isOwn = run !== null || sync.right === "held";
  if (!isOwn && sync.remote.size > 0) {
    const message = "this node cannot come to rest while another one runs a sync action";
    return { ok: false, code, message, nodes: [...sync.remote.keys()] };
  }
  const when = isOwn ? "while it runs a sync action" : "just now";
  return {
    ok: false,
    code,
    message: `this node cannot come to rest ${when}`,
    nodes: [cluster.slot],
  };
};

/**
 * Until the array is stopped for its change, or another node has refused, nothing else begins here:
 * what needs the others would wait for the end of their rest, and the stop for it.
 */
export const isChangeBegun = ({ clusterMetadata }: ArrayState): boolean =>
  clusterMetadata.change !== null;

// --- another node changes ---------------------------------------------------------------------

/**
 * Something is under way that only others can end, or that others rely on. Where another node
 * resyncs, client writes wait for it, and it for the end of the change.
 */
const isBusy = (state: ArrayState): boolean => {
  const { clusterSync: sync, pending } = state;
  return (
    state.clusterCalls.size > 0 ||
    state.driverAsks.size > 0 ||
    state.sync !== null ||
    sync.right !== "none" ||
    sync.remote.size > 0 ||
    sync.recoveries.length > 0 ||
    isUpdateDue(state) ||
    pending.legReports.length > 0 ||
    pending.commands.length > 0 ||
    state.joining.size + state.opening.size + state.repairs.size > 0 ||
    state.stopping !== null
  );
};

/** Comes to rest, or refuses. */
export const onBitmapResize = (state: ArrayState, notice: number, slot: number): void => {
  if (isBusy(state)) return emit(state, { type: "cluster-processed", id: notice, isRefused: true });
  state.clusterMetadata.rest = { notice, isRefused: false };
  emit(state, { type: "rest", notice, slot });
};

/** The capacity is what the superblocks say; those that changed are read with METADATA_UPDATED. */
export const onChangeCapacity = (state: ArrayState, id: number): void => {
  noticeProcessed(state, id);
};
