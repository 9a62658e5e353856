import { suite } from "uvu";
import * as assert from "uvu/assert";
import { figuresOf, type Timing } from "../../../../bench/api/api-bench.ts";

const test = suite("bench/api-bench");

test("each load and round has its own p50 and p99 over all requests", () => {
  const timings = (load: string, round: number, factor: number): Timing[] =>
    Array.from({ length: 100 }, (_, index) => ({
      load,
      round,
      request: index % 2 === 0 ? "one" : "two",
      ms: (index + 1) * factor,
    }));
  const figures = figuresOf([
    ...timings("idle", 0, 1),
    ...timings("idle", 1, 2),
    ...timings("reads", 0, 3),
  ]);
  assert.equal(
    figures.map(({ row, round, value }) => [row, round, value]),
    [
      ["idle.p50", 0, 50],
      ["idle.p99", 0, 99],
      ["idle.p50", 1, 100],
      ["idle.p99", 1, 198],
      ["reads.p50", 0, 150],
      ["reads.p99", 0, 297],
    ],
  );
});

test.run();
