/** What came of one seed, as plain values; a failure may be made shorter. */

import {
  runClusterStory,
  StoryFailure,
  type StoryName,
  type StoryOptions,
} from "./cluster-story.ts";
import { HONEST, PLANTED, type PlantedName } from "./planted-faults.ts";

export interface SeedResult {
  readonly seed: number;
  readonly counts: readonly (readonly [string, number])[];
  /** In words, or null. */
  readonly failure: string | null;
  /** Of a processor, milliseconds. */
  readonly cpuMs: number;
}

export interface SeedOptions {
  readonly story: StoryName;
  readonly plant: PlantedName | null;
  /** Leaves out moves that the failure does not need. */
  readonly shortens: boolean;
  readonly onTrace: ((line: string) => void) | null;
}

/** Errors: none of the story's. */
export const runSeed = async (
  seed: number,
  { story, plant, shortens, onTrace }: SeedOptions,
): Promise<SeedResult> => {
  const planted = plant === null ? HONEST : PLANTED[plant];
  const before = process.cpuUsage();
  // Stores that are away make many errors, and nobody reads where.
  if (onTrace === null) Error.stackTraceLimit = 0;
  let counts: ReadonlyMap<string, number> = new Map();
  let failure: string | null = null;
  try {
    counts = await runClusterStory(seed, {
      story,
      planted,
      ...(onTrace === null ? {} : { onTrace }),
    });
  } catch (error) {
    if (!(error instanceof StoryFailure)) throw error;
    const least = shortens ? await shortened(seed, { story, planted }, error) : error;
    failure = least.message;
  }
  const { user, system } = process.cpuUsage(before);
  return { seed, counts: [...counts], failure, cpuMs: (user + system) / 1000 };
};

/** The same failure with as few moves as one look at each of them finds. */
const shortened = async (
  seed: number,
  options: Pick<StoryOptions, "story" | "planted">,
  failure: StoryFailure,
): Promise<StoryFailure> => {
  let least = failure;
  let skipped: ReadonlySet<number> = new Set();
  for (let move = failure.moves - 1; move >= 0; move--) {
    const fewer = new Set([...skipped, move]);
    const found = await runClusterStory(seed, { ...options, skipped: fewer }).then(
      () => null,
      (error: unknown) => error,
    );
    if (!(found instanceof StoryFailure) || found.invariant !== failure.invariant) continue;
    least = found;
    skipped = fewer;
  }
  return least;
};
