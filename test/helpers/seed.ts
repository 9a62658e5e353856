/** Seeded runs that print how to replay them. */
import { randomInt } from "node:crypto";
import { Prng } from "../../src/common/prng.ts";

const U32_RANGE = 2 ** 32;

export interface SeedPlan {
  /** Seeds that are always run: cases that once failed, and a first one. */
  readonly fixed: readonly number[];
  /** How many to add: all but one are the same in every run, and one is drawn anew. */
  readonly more: number;
}

/** SATSUMA_SEED, or null. A test of what many seeds give together has nothing to judge then. */
export function replayedSeed(): number | null {
  const given = process.env["SATSUMA_SEED"];
  return given === undefined || given === "" ? null : parseSeed(given);
}

/**
 * The seeds of this run: SATSUMA_SEED alone when it is set, else the plan's. SATSUMA_FRESH is how
 * many of them are drawn anew, by plans that draw any: 1 when it is not set.
 */
export function seedsOf({ fixed, more }: SeedPlan): number[] {
  const replayed = replayedSeed();
  if (replayed !== null) return [replayed];
  if (more === 0) return [...fixed];
  const usual = new Prng(more);
  const fresh = Number(process.env["SATSUMA_FRESH"] ?? 1);
  return [
    ...fixed,
    ...Array.from({ length: more - 1 }, () => usual.u32()),
    ...Array.from({ length: fresh }, () => randomInt(U32_RANGE)),
  ];
}

/**
 * Runs `body` once per seed, one after the other, each with its own generator.
 * Errors: the body's error, its message extended by the seed and the way to replay it.
 */
export async function withSeeds(
  plan: SeedPlan,
  body: (prng: Prng, seed: number) => void | Promise<void>,
): Promise<void> {
  for (const seed of seedsOf(plan)) {
    try {
      await body(new Prng(seed), seed);
    } catch (error) {
      if (error instanceof Error) {
        error.message += `\n    seed ${seed}; replay: npm test -- --seed ${seed} FILE`;
      }
      throw error;
    }
  }
}

function parseSeed(text: string): number {
  const seed = Number(text);
  if (!Number.isInteger(seed) || seed < 0 || seed >= U32_RANGE) {
    throw new Error(`SATSUMA_SEED=${text} is not an integer in [0, 2^32)`);
  }
  return seed;
}
