/** The few operations that a failing sequence needs to fail. */

import { runSequence, type SequenceResult } from "./sequence.ts";

/** What makes two failures the same one: the words without numbers and names. */
const kindOf = (problem: string | null): string =>
  (problem?.split("\n")[0] ?? "").replace(/\/(m|new)\d+/g, "#").replace(/[0-9a-f]{8}|\d+/g, "#");

/** Leaves out one operation after the other while the sequence still fails the same way. */
export const shrinkSequence = async (
  seed: number,
  layout: string | null,
  found: SequenceResult,
): Promise<SequenceResult> => {
  const kind = kindOf(found.problem);
  let least = found;
  let isSmaller = true;
  const skip = new Set<number>();
  while (isSmaller) {
    isSmaller = false;
    for (let index = found.operations - 1; index >= 0; index--) {
      if (skip.has(index)) continue;
      const result = await runSequence(seed, { layout, skip: new Set([...skip, index]) });
      if (kindOf(result.problem) !== kind) continue;
      skip.add(index);
      least = result;
      isSmaller = true;
    }
  }
  return least;
};

/** Problem and trace, to print. */
export const describeFailure = (seed: number, { problem, trace }: SequenceResult): string =>
  `seed ${seed}: ${problem}\n${trace.map((line) => `    ${line}`).join("\n")}`;
