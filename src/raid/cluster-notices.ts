/**
 * What the cluster tells a clustered array: answers to its calls, notices to carry out, states.
 * Each notice is answered by `cluster-processed` once it is carried out, however long that takes.
 */

import type { ClusterEvent } from "./array-messages.ts";
import type { ArrayState } from "./array-state.ts";
import { onClusterAnswer, onDriverAnswer } from "./cluster-calls.ts";
import { onBitmapResize, onChangeCapacity } from "./cluster-change.ts";
import { onNewDevice, onReAdd, onRemove } from "./cluster-members.ts";
import { onMetadataUpdated } from "./cluster-metadata.ts";
import type { ClusterNotice, ClusterState } from "./cluster-port.ts";
import { onExpelled, onReadBalancing, onResyncing } from "./cluster-sync.ts";
import { onRecoverSlot } from "./slot-recovery.ts";

export const onClusterEvent = (state: ArrayState, event: ClusterEvent): void => {
  switch (event.type) {
    case "cluster-answer":
      return onClusterAnswer(state, event.id, event.answer);
    case "cluster-notice":
      return onNotice(state, event.id, event.notice);
    case "cluster-state":
      return onState(state, event.state);
    default:
      return onDriverAnswer(state, event);
  }
};

/** A broken array carries nothing out any more: its node leaves, and is waited for until then. */
const onNotice = (state: ArrayState, id: number, notice: ClusterNotice): void => {
  if (state.clusterSync.broken !== null) return;
  switch (notice.type) {
    case "metadata-updated":
      return onMetadataUpdated(state, id, notice);
    case "resyncing":
      return onResyncing(state, id, notice.slot, notice);
    case "new-disk":
      return onNewDevice(state, notice);
    case "remove":
      return onRemove(state, id, notice.deviceNumber);
    case "re-add":
      return onReAdd(state, id);
    case "bitmap-resize":
      return onBitmapResize(state, id, notice.slot);
    case "change-capacity":
      return onChangeCapacity(state, id);
    case "recover-slot":
      return onRecoverSlot(state, id, notice);
  }
};

const onState = (state: ArrayState, told: ClusterState): void => {
  switch (told.type) {
    case "read-balancing":
      return onReadBalancing(state, told.isSuspended);
    case "expelled":
      return onExpelled(state, told.reason);
  }
};
