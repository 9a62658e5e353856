/**
 * Whether a board may go out of its cluster, or be away for a moment to get another name, and why
 * not. Decisions only.
 */

import type { DrainRefusal } from "./drain-decision.ts";
import { impactOf } from "./impact.ts";
import type { ArrayImpact, ImpactFacts } from "./impact-types.ts";

const arrayRefusal = (impact: ArrayImpact): DrainRefusal[] => {
  const { name, loss, copiesBefore, copiesAfter } = impact;
  switch (loss) {
    case "data":
      return [{ mayForce: false, reason: `${name} has its last in-sync copy there` }];
    case "outage":
      return [
        { mayForce: true, reason: `${name} is run by no other board: its clients would stop` },
      ];
    case "redundancy":
      return [
        { mayForce: true, reason: `${name} would keep ${copiesAfter} of ${copiesBefore} copies` },
      ];
    case "nothing":
      return [];
  }
};

/**
 * Every reason against it; none: go on. `unjudged`: names of arrays that other boards run with
 * copies on that board, and this one does not. etcd is no matter here: a vote is handed over first.
 */
export function departureRefusals(
  facts: ImpactFacts,
  board: string,
  unjudged: readonly string[],
): DrainRefusal[] {
  // Copies that went with a board which is away are no reason to keep it.
  const { arrays } = impactOf({ ...facts, away: [] }, { kind: "board", name: board });
  return [
    ...arrays.flatMap(arrayRefusal),
    ...unjudged.map((name): DrainRefusal => {
      const reason = `${name} has a copy there and does not run on this board, which cannot judge it`;
      return { mayForce: true, reason };
    }),
  ];
}
