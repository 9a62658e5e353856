/**
 * The size of the array changes in a cluster: every node's bitmap fits BEFORE any uses the size.
 * Source: drivers/md/md-cluster.c resize_bitmaps, update_size.
 */

import type { ArrayState } from "./array-state.ts";
import { noticeProcessed } from "./cluster-calls.ts";

export const onBitmapResize = (state: ArrayState, id: number, sectors: number): void => {
  void sectors;
  noticeProcessed(state, id);
};

export const onChangeCapacity = (state: ArrayState, id: number): void => {
  noticeProcessed(state, id);
};
