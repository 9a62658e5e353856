/** Samples of md-cluster's messages, and bytes written by hand from the layout. */
import type { ClusterMessage } from "../../src/cluster/md/md-message.ts";

/** Bytes of a hexadecimal text with blanks; what is missing up to 64 bytes is zero. */
export const blockOf = (text: string): Uint8Array => {
  const bytes = new Uint8Array(64);
  bytes.set(Buffer.from(text.replace(/\s+/g, ""), "hex"));
  return bytes;
};

export const DEVICE_UUID = "f00f12a81d39f86c9ac67ac8218bd59d";

/** One of each type. */
export const ALL_MESSAGES: readonly ClusterMessage[] = [
  { type: "metadata-updated", deviceNumber: 1, events: 41 },
  { type: "resyncing", lo: 65_408, hi: 130_944 },
  { type: "newdisk", uuid: DEVICE_UUID, deviceNumber: 2 },
  { type: "remove", deviceNumber: 3 },
  { type: "re-add", deviceNumber: 1 },
  { type: "bitmap-needs-sync" },
  { type: "change-capacity" },
  { type: "bitmap-resize", sectors: 612_352 },
];
