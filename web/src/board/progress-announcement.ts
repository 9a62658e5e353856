/**
 * What a screen reader is told while arrays change: syncs at every tenth percent, changes of
 * health, failures at once. Pure: compares two states of the arrays.
 */

import type { ArrayResource, HealthWord, SyncResource } from "../../../src/api/schemas/array.ts";

type SyncWord = SyncResource["action"];

/** One thing to say; `assertive` interrupts what is being said. */
export type Announcement =
  | {
      readonly kind: "sync";
      readonly array: string;
      readonly action: SyncWord;
      readonly percent: number;
    }
  | { readonly kind: "health"; readonly array: string; readonly health: HealthWord };

const step = (percent: number): number => Math.floor(percent / 10) * 10;

const ofArray = (before: ArrayResource | undefined, now: ArrayResource): Announcement[] => {
  const array = now.name;
  const found: Announcement[] = [];
  if (before !== undefined && before.status.health !== now.status.health) {
    found.push({ kind: "health", array, health: now.status.health });
  }
  const [old, sync] = [before?.status.sync ?? null, now.status.sync];
  if (sync !== null && before !== undefined) {
    const isSame = old !== null && old.action === sync.action;
    if (!isSame || step(old.percent) < step(sync.percent)) {
      found.push({ kind: "sync", array, action: sync.action, percent: step(sync.percent) });
    }
  }
  return found;
};

/** What to say of the step from `before` to `now`; nothing of arrays that are new to the panel. */
export function announcements(
  before: ReadonlyMap<string, ArrayResource>,
  now: ReadonlyMap<string, ArrayResource>,
): readonly Announcement[] {
  return [...now.values()].flatMap((array) => ofArray(before.get(array.id), array));
}

/** True for what may interrupt: an array that lost copies or failed. */
export function isUrgent(announcement: Announcement): boolean {
  return (
    announcement.kind === "health" &&
    ["failed", "degraded", "inactive"].includes(announcement.health)
  );
}
