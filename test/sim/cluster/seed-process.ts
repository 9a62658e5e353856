/** A process that runs the seeds it is sent, one after the other, and tells what came of each. */

import type { StoryName } from "./cluster-story.ts";
import type { PlantedName } from "./planted-faults.ts";
import { runSeed } from "./seed-result.ts";

interface Task {
  readonly seed: number;
  readonly story: StoryName;
  readonly plant: PlantedName | null;
  readonly shortens: boolean;
}

process.on("message", async ({ seed, ...task }: Task) => {
  process.send?.(await runSeed(seed, { ...task, onTrace: null }));
});
