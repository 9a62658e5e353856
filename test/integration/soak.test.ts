// wall-limit: 300 s
/** A short soak: what the daemon holds after a busy time is what it held before. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { slopeOf, soak } from "../helpers/soak-run.ts";
import { inFolder } from "../helpers/temporary-folder.ts";
import { withTimeout } from "../helpers/timeout.ts";

const test = suite("soak");

test(
  "no descriptor, thread, timer or socket is kept",
  withTimeout(
    240_000,
    inFolder(async (folder) => {
      const plan = { warmUpMs: 5000, runMs: 15_000, sampleMs: 1000, seed: 1 };
      const { counts, leaks } = await soak({ folder, ...plan });
      assert.ok(
        Object.values(counts).every((count) => count > 0),
        JSON.stringify(counts),
      );
      assert.equal(leaks, []);
    }),
  ),
);

test("the slope is that of a line through the samples after the first fifth", () => {
  const rising = Array.from({ length: 10 }, (_, index) => ({
    atMs: index * 60_000,
    rssMib: index < 2 ? 1000 : 100 + index,
  }));
  assert.is(Math.round(slopeOf(rising)), 60);
});

test.run();
