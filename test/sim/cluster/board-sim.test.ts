// wall-limit: 300 s
/**
 * A share of the simulation of boards that serve their disks to each other in every test run: seeds
 * that once failed and fresh ones; and that it finds what it has to find.
 * `npm run cluster-sim -- --story boards` runs thousands.
 */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { withSeeds } from "../../helpers/seed.ts";
import { withTimeout } from "../../helpers/timeout.ts";
import { runClusterStory } from "./cluster-story.ts";
import { BOARD_FAULTS } from "./planted-faults.ts";

const LIMIT_MS = 280_000;

const test = suite("sim/cluster, boards");

test(
  "no seed loses, shows or does what it must not",
  withTimeout(LIMIT_MS, async () => {
    await withSeeds(
      {
        fixed: [
          33, 180, 236, 2041, 20375, 100136, 104015, 108836, 109025, 401025, 401388, 401733, 402688,
          906001, 1023036,
        ],
        more: 12,
      },
      async (_, seed) => {
        await runClusterStory(seed, { story: "boards" });
      },
    );
  }),
);

test("a story is the same each time its seed is run", async () => {
  const traces: string[][] = [[], []];
  for (const trace of traces)
    await runClusterStory(7, { story: "boards", onTrace: (line) => trace.push(line) });
  assert.ok((traces[0]?.length ?? 0) > 100);
  assert.equal(traces[0], traces[1]);
});

/** What each planted fault shows as. */
const FINDINGS: Readonly<Record<keyof typeof BOARD_FAULTS, RegExp>> = {
  "checked-early": /: (I9|I12): /,
  "fence-unawaited": /: I9: .*is declared dead before/,
  "fence-undrained": /: I9: .*a write of it is under way/,
  "keepalive-permits": /: I9: .*has its gate open/,
  "own-bits-unread": /: I14: /,
  "older-copy": /: (I13|I15|I17): /,
};
/** Stories change with the protocol: one of so many shows the fault. */
const SEEDS_MAX = 40;

/** What the first seed says in which the planted fault shows. */
const findingOf = async (planted: keyof typeof BOARD_FAULTS): Promise<string> => {
  for (let seed = 1; seed <= SEEDS_MAX; seed++)
    try {
      await runClusterStory(seed, { story: "boards", planted: BOARD_FAULTS[planted] });
    } catch (error) {
      return String(error);
    }
  return "nothing";
};

for (const [name, says] of Object.entries(FINDINGS) as [keyof typeof FINDINGS, RegExp][]) {
  test(
    `finds the planted fault ${name}`,
    withTimeout(LIMIT_MS, async () => assert.match(await findingOf(name), says)),
  );
}

test.run();
