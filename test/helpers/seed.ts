/** Seeded runs that print how to replay them. */
import { randomInt } from "node:crypto";
import { Prng } from "../../src/common/prng.ts";

const U32_RANGE = 2 ** 32;

export interface SeedPlan {
  /** Seeds that are always run: cases that once failed, and a first one. */
  readonly fixed: readonly number[];
  /** How many fresh seeds to add; each run draws others. */
  readonly fresh: number;
}

/** The seeds of this run: SATSUMA_SEED alone when it is set, else the plan's. */
export function seedsOf(plan: SeedPlan): number[] {
  const given = process.env["SATSUMA_SEED"];
  if (given !== undefined && given !== "") return [parseSeed(given)];
  return [...plan.fixed, ...Array.from({ length: plan.fresh }, () => randomInt(U32_RANGE))];
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
