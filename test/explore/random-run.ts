/** One random run of a world to its end, for more nodes and faults than can be exhausted. */
import type { Prng } from "../../src/common/prng.ts";
import { isFault, type MessageWorld } from "./message-world.ts";

const MOVES_MAX = 20_000;

/**
 * Makes random moves until only faults are left, then lets `rest` be. Faults are rarer than other
 * moves, or nothing would ever get done. Throws MessageViolation, with the moves in its message.
 */
export const runRandomly = <Machine, Event, Effect extends { readonly type: string }, Below>(
  world: MessageWorld<Machine, Event, Effect, Below>,
  prng: Prng,
): number => {
  const made: string[] = [];
  try {
    for (;;) {
      const moves = world.moves();
      const steps = moves.filter((move) => !isFault(move));
      const joins = moves.filter((move) => move.startsWith("join"));
      if (steps.length === 0 && joins.length === 0) break;
      const isFaultNow = steps.length === 0 || prng.chance(1, 12);
      const move = prng.pick(isFaultNow && moves.length > steps.length ? moves : steps);
      made.push(move);
      world.make(move);
      if (made.length > MOVES_MAX) throw new Error(`${MOVES_MAX} moves and no end`);
    }
    world.checkEnd();
  } catch (error) {
    if (error instanceof Error) error.message += `\n  ${made.slice(-60).join("; ")}`;
    throw error;
  }
  return made.length;
};

/** Lets everything happen that is under way, in a fixed order and without faults. */
export const runToRest = <Machine, Event, Effect extends { readonly type: string }, Below>(
  world: MessageWorld<Machine, Event, Effect, Below>,
): void => {
  for (;;) {
    const move = world.moves().find((each) => !isFault(each));
    if (move === undefined) return;
    world.make(move);
  }
};
