/**
 * The lock resources of a clustered array; its lockspace is named by the array's uuid.
 * Source: md-cluster.c join. The document prints three digits for bitmaps, the kernel writes four.
 */
import { assert } from "../../common/assert.ts";
import { SLOTS_MAX } from "../dlm/slot-table.ts";

/** Held in EX by the one node that may send, and by a node that joins. */
export const TOKEN = "token";
/** Its value block carries the message. */
export const MESSAGE = "message";
/** Everybody holds CR; who gets EX knows that all have processed the message. */
export const ACK = "ack";
/** Everybody holds CR; who gets EX knows that all see the new device. */
export const NO_NEW_DEV = "no-new-dev";
/** Held in EX by the one node that resyncs. Not in the document. */
export const RESYNC = "resync";

/** The lock of a node's bitmap, by bitmap slot, from 0. */
export const bitmapLockName = (bitmapSlot: number): string => {
  const isSlot = Number.isInteger(bitmapSlot) && bitmapSlot >= 0 && bitmapSlot < SLOTS_MAX;
  assert(isSlot, `no bitmap slot ${bitmapSlot}`);
  return `bitmap${String(bitmapSlot).padStart(4, "0")}`;
};
