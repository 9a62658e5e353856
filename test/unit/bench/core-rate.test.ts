import { suite } from "uvu";
import * as assert from "uvu/assert";
import { measureRate } from "../../../bench/core-rate.ts";

const test = suite("bench/core-rate");

test("the rate is units per second of the clock, warm-up left out", () => {
  let now = 0;
  // The first 100 ms are ten times slower: they must not count.
  const step = () => {
    now += now < 100 ? 1 : 0.1;
  };
  const rate = measureRate(1, 5, step, () => now);
  assert.ok(Math.abs(rate - 50_000) < 1, `${rate}`);
});

test("slow steps end soon after the time is up", () => {
  let now = 0;
  let steps = 0;
  const step = () => {
    now += 400;
    steps++;
  };
  assert.is(
    measureRate(1, 1, step, () => now),
    2.5,
  );
  assert.ok(steps < 10, `${steps} steps`);
});

test.run();
