/**
 * Which members hold a stretch of the array, and how a sync action reads and writes it: extents
 * with their sources and targets, cut where a member's bad blocks begin and end so that each part
 * is read only where it can be.
 */

import type { Extent } from "./array-map.ts";
import type { CopyExtent, CopyPlace } from "./array-messages.ts";
import { type ArrayState, inSyncMembers, type Member } from "./array-state.ts";

interface Holder {
  readonly member: Member;
  /** Bytes behind its data offset. */
  readonly position: number;
}

/** The in-sync copies of an extent, in md's order. */
const holders = (members: readonly Member[], extent: Extent): Holder[] =>
  extent.places.flatMap(({ slot, position }) =>
    members.flatMap((member) => (member.raidSlot === slot ? [{ member, position }] : [])),
  );

/** Parts of an extent between the borders of the holders' bad blocks; from its start, bytes. */
const cuts = (list: readonly Holder[], length: number): number[] => {
  const borders = new Set([0, length]);
  for (const { member, position } of list) {
    for (const range of member.badBlocks) {
      for (const border of range) {
        const at = border - position;
        if (at > 0 && at < length) borders.add(at);
      }
    }
  }
  return [...borders].sort((a, b) => a - b);
};

const isGood = ({ member, position }: Holder, from: number, end: number): boolean =>
  !member.badBlocks.some(([bad, to]) => bad < position + end && position + from < to);

/** An extent as parts with the holders that can be read there as sources; no targets yet. */
const readableParts = (members: readonly Member[], extent: Extent): CopyExtent[] => {
  const list = holders(members, extent);
  const borders = cuts(list, extent.length);
  return borders.slice(0, -1).map((from, index) => {
    const end = borders[index + 1] ?? extent.length;
    const sources = list
      .filter((holder) => isGood(holder, from, end))
      .map(({ member, position }) => ({ member: member.id, position: position + from }));
    return { offset: extent.offset + from, length: end - from, sources, targets: [] };
  });
};

/** `[offset, offset + length)` of the array with every in-sync copy that can be read. */
export const copyExtents = (state: ArrayState, offset: number, length: number): CopyExtent[] => {
  const members = inSyncMembers(state);
  return state.map.extents(offset, length).flatMap((extent) => readableParts(members, extent));
};

/**
 * What these members hold in `[position, position + length)` of their data: sources are the
 * in-sync copies, targets the members themselves. In order of array positions.
 */
export const rebuildExtents = (
  state: ArrayState,
  targets: readonly Member[],
  position: number,
  length: number,
): CopyExtent[] => {
  const members = inSyncMembers(state);
  const byRun = new Map<string, { extent: Extent; targets: Holder[] }>();
  for (const member of targets) {
    for (const run of state.map.memberRuns(member.raidSlot ?? 0, position, length)) {
      const key = `${run.offset}+${run.length}`;
      const known = byRun.get(key);
      const target = { member, position: run.position };
      if (known !== undefined) known.targets.push(target);
      else {
        const [extent] = state.map.extents(run.offset, run.length);
        if (extent !== undefined) byRun.set(key, { extent, targets: [target] });
      }
    }
  }
  const ordered = [...byRun.values()].sort((a, b) => a.extent.offset - b.extent.offset);
  return ordered.flatMap(({ extent, targets: written }) =>
    readableParts(members, extent).map((part) => ({
      ...part,
      targets: written.map(
        ({ member, position: at }): CopyPlace => ({
          member: member.id,
          position: at + part.offset - extent.offset,
        }),
      ),
    })),
  );
};
