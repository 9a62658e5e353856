/**
 * Exhausts a world: every state that any order of moves reaches, once, breadth first, so that the
 * first violation found is a shortest one. Memory: per state a digest and how it was reached; whole
 * states only of the present and the next depth.
 */
import { createHash } from "node:crypto";
import { MessageViolation } from "./message-history.ts";
import { isFault, type MessageWorld, type WorldState } from "./message-world.ts";

export interface Exploration {
  readonly states: number;
  /** Runs that are over, as states. */
  readonly ends: number;
  readonly depth: number;
  readonly violation: string | null;
  /** The moves to it. */
  readonly moves: readonly string[];
  /** False: there are more states than allowed. */
  readonly isComplete: boolean;
}

/** How a state was reached: number of the one before, and the move. */
type Step = readonly [number, string];

const digest = (key: unknown): string =>
  createHash("sha1").update(JSON.stringify(key)).digest("base64");

const pathTo = (steps: readonly Step[], last: number): string[] => {
  const moves: string[] = [];
  for (let at = last; at > 0; at = steps[at]?.[0] ?? 0) moves.push(steps[at]?.[1] ?? "");
  return moves.reverse();
};

/** Explores at most `statesMax` states from the world's present one. */
export const explore = <Machine, Event, Effect extends { readonly type: string }, Below>(
  world: MessageWorld<Machine, Event, Effect, Below>,
  statesMax: number,
): Exploration => {
  const steps: Step[] = [[0, ""]];
  const seen = new Set<string>([digest(world.key())]);
  let front: (readonly [number, WorldState<Machine, Below>])[] = [[0, world.state]];
  let ends = 0;
  let depth = 0;
  const result = (violation: string | null, moves: readonly string[], isComplete: boolean) => ({
    states: steps.length,
    ends,
    depth,
    violation,
    moves,
    isComplete,
  });
  for (; front.length > 0; depth += 1) {
    const next: typeof front = [];
    for (const [number, state] of front) {
      world.state = state;
      const moves = world.moves();
      let move = "(end)";
      try {
        if (moves.every(isFault)) {
          ends += 1;
          world.checkEnd();
        }
        for (move of moves) {
          const after = world.after(state, move);
          const key = digest(world.key());
          if (seen.has(key)) continue;
          if (steps.length >= statesMax) return result(null, [], false);
          seen.add(key);
          next.push([steps.length, after]);
          steps.push([number, move]);
        }
      } catch (error) {
        if (!(error instanceof MessageViolation)) throw error;
        return result(error.message, [...pathTo(steps, number), move], true);
      }
    }
    front = next;
  }
  return result(null, [], true);
};
