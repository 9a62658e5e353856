// wall-limit: 300 s
/**
 * A share of the cluster's simulation in every test run: seeds that once failed and fresh ones; and
 * that it finds what it has to find. `npm run cluster-sim` runs thousands.
 */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { withSeeds } from "../../helpers/seed.ts";
import { withTimeout } from "../../helpers/timeout.ts";
import { runClusterStory } from "./cluster-story.ts";
import { PLANTED, type PlantedName } from "./planted-faults.ts";

const LIMIT_MS = 280_000;

const test = suite("sim/cluster");

test(
  "no seed loses, shows or does what it must not",
  withTimeout(LIMIT_MS, async () => {
    await withSeeds(
      { fixed: [1, 25, 44, 1002, 5027, 5028, 5093, 5390, 5453], fresh: 12 },
      async (_, seed) => {
        await runClusterStory(seed);
      },
    );
  }),
);

test("a story is the same each time its seed is run", async () => {
  const traces: string[][] = [[], []];
  for (const trace of traces) await runClusterStory(7, { onTrace: (line) => trace.push(line) });
  assert.ok((traces[0]?.length ?? 0) > 100);
  assert.equal(traces[0], traces[1]);
});

/** What the simulation says of each planted fault, and within how many seeds it says so. */
const FINDINGS: Readonly<Record<PlantedName, { readonly seeds: number; readonly says: RegExp }>> = {
  "ack-before-process": { seeds: 40, says: /: (I10|I13|I14|I17):/ },
  "bit-cleared-early": { seeds: 3, says: /: (I11|I12|I14):/ },
  "range-resumed-early": { seeds: 40, says: /: (I10|I13|I14):/ },
  "stale-message": { seeds: 10, says: /: (I10:|I18: .*suspended)/ },
  "slot-reused": { seeds: 6, says: /: I8: .*nobody has recovered it/ },
};

for (const [name, { seeds, says }] of Object.entries(FINDINGS) as [
  PlantedName,
  (typeof FINDINGS)[PlantedName],
][]) {
  test(
    `finds the planted fault ${name}`,
    withTimeout(LIMIT_MS, async () => {
      for (let seed = 1; seed <= seeds; seed++) {
        const finding = await runClusterStory(seed, { planted: PLANTED[name] }).then(
          () => "",
          (error: Error) => error.message,
        );
        if (says.test(finding)) return;
      }
      assert.unreachable(`not found in ${seeds} seeds`);
    }),
  );
}

test.run();
