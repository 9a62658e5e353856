/** The bitmap areas of another node's slot, as they were read from the legs. */

import type { SlotArea } from "./array-messages.ts";
import type { ArrayState } from "./array-state.ts";

export interface SlotAreas {
  /** Those that belong to this array and have its chunks. */
  readonly fitting: readonly Uint8Array[];
  /** False when no in-sync member could tell: any bit may be set. */
  readonly isKnown: boolean;
}

/**
 * Areas of all legs count: a bit may be set on one of them only. A bit is durable on every in-sync
 * member before it is relied on, so one of those is enough to know.
 */
export const readSlots = (
  state: ArrayState,
  areas: readonly SlotArea[],
  slot: number,
): SlotAreas => {
  const fitting: Uint8Array[] = [];
  let isKnown = false;
  for (const { slot: of, member, area } of areas) {
    if (of !== slot || area === null || state.bitmap?.fits(area) !== true) continue;
    fitting.push(area);
    isKnown ||= state.members.get(member)?.state === "in_sync";
  }
  return { fitting, isKnown };
};
