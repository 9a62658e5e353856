/**
 * The same stories for both protocols. Told step by step, each member processes the same messages
 * in the same order, whichever protocol carries them; told all at once, with calls and answers
 * delayed, lost, repeated and overtaken, nodes that crash at any step, are expelled though they
 * live, and join, both keep I5 to I7.
 */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Prng } from "../../src/common/prng.ts";
import { replayedSeed, withSeeds } from "../helpers/seed.ts";
import { ChannelWorld } from "./channel-world.ts";
import { LiteralWorld } from "./literal-world.ts";
import type { Wish, WorldOptions } from "./message-world.ts";
import { runRandomly, runToRest } from "./random-run.ts";

const test = suite("explore: stories");

const WISHES: readonly Wish[] = [
  "message",
  "message",
  "message",
  "hold",
  "withdraw",
  "hold, withdraw",
];

/** "send 0", "hold 2", "join 3", "crash 1": each is over before the next. */
type StoryStep = readonly ["want", number, Wish] | readonly ["make", string];

interface World {
  want(index: number, wish: Wish): void;
  make(move: string): void;
}

const tellStory = (world: World, steps: readonly StoryStep[], rest: () => void): void => {
  for (const step of steps) {
    if (step[0] === "want") world.want(step[1], step[2]);
    else world.make(step[1]);
    rest();
  }
};

/** Steps of members that live; at least two are left. */
const drawStory = (prng: Prng, members: number, joiners: number): readonly StoryStep[] => {
  const living = new Set(Array.from({ length: members }, (_, index) => index));
  let next = members;
  return Array.from({ length: 30 }, (): StoryStep => {
    const who = prng.pick([...living]);
    const dice = prng.below(12);
    if (dice === 0 && next < members + joiners) {
      living.add(next);
      next += 1;
      return ["make", `join ${next - 1}`];
    }
    if (dice === 1 && living.size > 2) {
      living.delete(who);
      return ["make", prng.chance(1, 2) ? `crash ${who}` : `expel ${who}`];
    }
    return ["want", who, prng.pick(WISHES)];
  });
};

test("told step by step: every member processes the same in both protocols", async () => {
  let processed = 0;
  await withSeeds({ fixed: [1, 2, 3], more: 1 }, (prng) => {
    for (let round = 0; round < 15; round += 1) {
      const members = prng.between(2, 5);
      const steps = drawStory(prng, members, 2);
      const wishes = Array.from({ length: members }, () => []);
      const options: WorldOptions = { wishes, joiners: 2, crashes: 9, expulsions: 9 };
      const literal = new LiteralWorld(options, "satsuma");
      const channel = new ChannelWorld(options);
      tellStory(literal, steps, () => runToRest(literal));
      tellStory(channel, steps, () => runToRest(channel));
      for (const world of [literal, channel]) world.checkEnd();
      const told = JSON.stringify(steps);
      assert.equal(channel.state.history, literal.state.history, told);
      processed += literal.state.history.processed.flat().length;
    }
  });
  if (replayedSeed() === null) assert.ok(processed > 1000, `${processed} messages processed`);
});

const drawOptions = (prng: Prng): WorldOptions => ({
  wishes: Array.from({ length: prng.between(2, 6) }, () =>
    Array.from({ length: prng.below(4) }, () => prng.pick(WISHES)),
  ),
  joiners: prng.below(3),
  crashes: prng.below(3),
  expulsions: prng.below(2),
  isHostile: true,
});

test("told all at once, over a hostile network: both keep I5, I6 and I7", async () => {
  const counts = { literal: 0, channel: 0, moves: 0 };
  await withSeeds({ fixed: [11, 12, 13], more: 1 }, (prng) => {
    for (let round = 0; round < 60; round += 1) {
      const options = drawOptions(prng);
      const literal = new LiteralWorld(options, "satsuma");
      counts.moves += runRandomly(literal, prng.fork());
      const channel = new ChannelWorld(options);
      counts.moves += runRandomly(channel, prng.fork());
      counts.literal += literal.state.history.processed.flat().length;
      counts.channel += channel.state.history.processed.flat().length;
    }
  });
  const { literal, channel, moves } = counts;
  process.stdout.write(`    ${moves} moves, ${literal} and ${channel} messages processed\n`);
  if (replayedSeed() === null) assert.ok(literal > 1000 && channel > 1000);
});

test.run();
