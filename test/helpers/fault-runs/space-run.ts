/** Boards in network namespaces, under clients that check what they read: fault after fault. */
import type { Fault } from "./fault-plan.ts";
import { faultRun } from "./fault-run.ts";
import { Namespaces } from "./namespaces.ts";

const SECOND = 1000;
const WRITES_LEAST = 300;

/** Packets of one board come late, and some never. */
export const BAD_LINK: Fault = {
  ...{ kind: "bad-link", board: 1, delayMs: 40, lostPerMille: 20, resetPerMille: 0 },
  ms: 15 * SECOND,
};

/** One sentence each; empty: nothing was lost, and the boards came back by themselves. */
export async function runInNamespaces(faults: readonly Fault[]): Promise<readonly string[]> {
  const namespaces = new Namespaces(3);
  try {
    namespaces.make();
    const { problems, folder, writes } = await faultRun({
      ...{ seed: 1, kind: "own", boards: 3, etcdMembers: 3, ms: 0, sizeMib: 64, namespaces },
      plan: { seed: 1, steps: faults.map((fault) => ({ faults: [fault], pauseMs: 4 * SECOND })) },
    });
    if (problems.length > 0) return [...problems, `see ${folder}`];
    return writes > WRITES_LEAST ? [] : [`no more than ${writes} writes`];
  } finally {
    namespaces.close();
  }
}
