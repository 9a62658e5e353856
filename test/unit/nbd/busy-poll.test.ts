/** Whom the thread stays awake for, and how long. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { BusyPoll } from "../../../src/nbd/busy-poll-driver.ts";

const setUp = () => {
  const clock = { now: 1000 };
  const turns: (() => void)[] = [];
  const poll = new BusyPoll(
    () => clock.now,
    (run) => turns.push(run),
  );
  /** Answers, then gets the next request after `gapMs`, `times` over. */
  const exchange = (gapMs: number, times: number): void => {
    for (let count = 0; count < times; count++) {
      poll.rest(clock.now);
      clock.now += gapMs;
      poll.arrived(clock.now);
    }
  };
  /** Turns of the loop until it may sleep, `stepMs` each. */
  const turn = (stepMs: number): number => {
    let count = 0;
    for (let run = turns.shift(); run !== undefined; run = turns.shift()) {
      clock.now += stepMs;
      run();
      count++;
    }
    return count;
  };
  return { clock, poll, exchange, turn };
};

const test = suite("nbd/busy-poll");

test("a client that asks again at once is waited for, 0.1 ms after each answer", () => {
  const { clock, poll, exchange, turn } = setUp();
  exchange(0.02, 20);
  turn(0.01);
  poll.rest(clock.now);
  assert.is(turn(0.03), 4);
  assert.is(turn(0.01), 0, "then the thread sleeps");
});

test("a new answer while the loop turns prolongs it, and adds no second turn", () => {
  const { clock, poll, exchange, turn } = setUp();
  exchange(0.02, 20);
  turn(1);
  poll.rest(clock.now);
  clock.now += 0.05;
  poll.arrived(clock.now);
  poll.rest(clock.now);
  assert.is(turn(0.03), 4);
});

test("a client that takes its time is not waited for", () => {
  const { exchange, turn } = setUp();
  exchange(0.5, 50);
  assert.is(turn(0.01), 0);
});

test("one pause is forgotten after some quick requests", () => {
  const { clock, poll, exchange, turn } = setUp();
  exchange(0.02, 50);
  turn(1);
  exchange(60_000, 1);
  turn(1);
  exchange(0.02, 20);
  turn(1);
  poll.rest(clock.now);
  assert.is(turn(0.06), 2);
});

test.run();
