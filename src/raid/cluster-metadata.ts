/**
 * METADATA_UPDATED: another node has written the superblocks; what they say holds here, too.
 * Source: drivers/md/md.c md_reload_sb, check_sb_changes.
 */

import type { ArrayState } from "./array-state.ts";
import { askDriver, noticeProcessed } from "./cluster-calls.ts";

/** Reads the superblocks again, and takes over what they say. */
export const onMetadataUpdated = (state: ArrayState, id: number, deviceNumber: number): void => {
  askDriver(state, { type: "read-superblocks" }, (now) => {
    void deviceNumber;
    noticeProcessed(now, id);
  });
};
