/** A process that runs the seeds it is sent, one after the other, and tells what came of each. */

import type { PlantedName } from "./planted-faults.ts";
import { runSeed } from "./seed-result.ts";

interface Task {
  readonly seed: number;
  readonly plant: PlantedName | null;
  readonly shortens: boolean;
}

process.on("message", async ({ seed, plant, shortens }: Task) => {
  process.send?.(await runSeed(seed, { plant, shortens, onTrace: null }));
});
