/**
 * Settles which of several candidates for one raid slot or device number stands. Part of
 * assembly.ts.
 */

import type { Judgement, Sound } from "./assembly-judge.ts";
import { judged } from "./assembly-judge.ts";
import type { AssemblyPlacement } from "./assembly-types.ts";
import { MD_FEATURE_REPLACEMENT } from "./superblock-fields.ts";

/** Lets one member per device number and raid slot stand: more events first, in sync first. */
export function settleSlots(ours: readonly Sound[], judgements: Map<number, Judgement>): void {
  const holders = new Map<number, Sound>();
  const replaced = new Set<number>();
  const best = (a: Sound, b: Sound): number =>
    rank(b, judgements) - rank(a, judgements) || b.sb.events - a.sb.events;
  for (const member of [...ours].sort(best)) {
    const placement = judgements.get(member.index)?.placement;
    if (placement?.type !== "in-sync" && placement?.type !== "rebuilding") continue;
    const holder = holders.get(placement.raidSlot);
    if (holder === undefined) {
      holders.set(placement.raidSlot, member);
      continue;
    }
    judgements.set(member.index, besides(member, holder, placement, replaced));
  }
  settleNumbers(ours, judgements);
}

/** What becomes of a member whose raid slot another one holds. */
function besides(
  member: Sound,
  holder: Sound,
  placement: Extract<AssemblyPlacement, { raidSlot: number }>,
  replaced: Set<number>,
): Judgement {
  const { raidSlot } = placement;
  if ((member.sb.featureMap & MD_FEATURE_REPLACEMENT) === 0) {
    const text = `claims raid slot ${raidSlot}, which ${holder.path} holds`;
    return judged({ type: "kicked" }, "duplicate-slot", text);
  }
  if (placement.type === "rebuilding" && !replaced.has(raidSlot)) {
    replaced.add(raidSlot);
    const text = `is being written to replace ${holder.path} in raid slot ${raidSlot}`;
    return judged({ ...placement, isReplacement: true }, "rebuilding", text);
  }
  const text = `is a replacement for ${holder.path}, which is still in use; add it after the start`;
  return judged({ type: "kicked" }, "replacement-idle", text);
}

function rank(member: Sound, judgements: ReadonlyMap<number, Judgement>): number {
  const isInSync = judgements.get(member.index)?.placement.type === "in-sync";
  const isReplacement = (member.sb.featureMap & MD_FEATURE_REPLACEMENT) !== 0;
  return (isInSync ? 2 : 0) + (isReplacement ? 0 : 1);
}

function settleNumbers(ours: readonly Sound[], judgements: Map<number, Judgement>): void {
  const holders = new Map<number, Sound>();
  const bySlotFirst = [...ours].sort(
    (a, b) => Number(isSpare(a, judgements)) - Number(isSpare(b, judgements)),
  );
  for (const member of bySlotFirst) {
    const type = judgements.get(member.index)?.placement.type;
    if (type !== "in-sync" && type !== "rebuilding" && type !== "spare") continue;
    const holder = holders.get(member.sb.devNumber);
    if (holder === undefined) {
      holders.set(member.sb.devNumber, member);
      continue;
    }
    const text = `claims device number ${member.sb.devNumber}, which ${holder.path} has`;
    judgements.set(member.index, judged({ type: "kicked" }, "duplicate-number", text));
  }
}

function isSpare(member: Sound, judgements: ReadonlyMap<number, Judgement>): boolean {
  return judgements.get(member.index)?.placement.type === "spare";
}
