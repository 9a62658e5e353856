/**
 * Devices that other nodes add, remove and re-add (MD Cluster, chapter 5 and remove_disk).
 * Source: drivers/md/md-cluster.c process_add_new_disk, process_remove_disk, process_readd_disk.
 */

import type { ArrayState } from "./array-state.ts";
import { askDriver, callCluster, noticeProcessed } from "./cluster-calls.ts";
import type { ClusterNotice } from "./cluster-port.ts";

/** Looks for the device, and tells whether it is here. */
export const onNewDevice = (
  state: ArrayState,
  id: number,
  { uuid, deviceNumber }: Extract<ClusterNotice, { type: "new-disk" }>,
): void => {
  askDriver(state, { type: "find-device", uuid, deviceNumber }, (now, { newcomer }) => {
    callCluster(now, { type: "new-disk-ack", isFound: newcomer !== null }, (later) =>
      noticeProcessed(later, id),
    );
  });
};

export const onRemove = (state: ArrayState, id: number, deviceNumber: number): void => {
  void deviceNumber;
  noticeProcessed(state, id);
};

export const onReAdd = (state: ArrayState, id: number, deviceNumber: number): void => {
  void deviceNumber;
  noticeProcessed(state, id);
};
