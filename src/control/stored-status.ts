/** The last status of an array as the registry keeps it, whatever version stored it. */

import type { ArrayStatus } from "../raid/array-status.ts";

/** What statuses stored by earlier versions lack. */
const ADDED = {
  layout: null,
  chunkBytes: null,
  logicalBlockBytes: 512,
  mismatches: { ranges: [], truncated: false },
} as const;
const ADDED_TO_BITMAP = { nodes: 0, clusterName: "" };
const ADDED_TO_MEMBERS = { readErrors: 0, badBlocks: 0 };

/** The status, or null when none was stored. */
export function storedStatus(text: string | null): ArrayStatus | null {
  if (text === null) {
    return null;
  }
  const stored = JSON.parse(text) as ArrayStatus;
  return {
    ...ADDED,
    ...stored,
    memberBytes: stored.memberBytes ?? stored.sizeBytes,
    bitmap: { ...ADDED_TO_BITMAP, ...stored.bitmap },
    members: stored.members.map((member) => ({ ...ADDED_TO_MEMBERS, ...member })),
  };
}
