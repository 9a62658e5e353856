/** What a cluster asks of its store grows with boards and arrays, not with their squares. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { withTimeout } from "../../helpers/timeout.ts";
import { type CellFigures, runCell } from "./scale-cell.ts";

const test = suite("sim/scale");
const ARRAYS = 2;
const SIZES = [2, 4, 8];

const cells = async (commitsPerSecond: number | null): Promise<CellFigures[]> => {
  const figures = [];
  for (const boards of SIZES)
    figures.push(await runCell({ boards, arrays: ARRAYS, restSeconds: 30, commitsPerSecond }));
  return figures;
};

/** Whether the steps are as long as those of the sizes. */
const isLinear = (values: readonly number[]): boolean => {
  const [first = 0, second = 0, third = 0] = values;
  return Math.abs(third - second - 2 * (second - first)) <= 0.1 * third;
};

test(
  "traffic of a board's store grows linearly with the boards, at rest and when one dies",
  withTimeout(60_000, async () => {
    const found = await cells(null);
    for (const { boards, transactionsAtRest } of found)
      assert.is(transactionsAtRest, boards * (ARRAYS + 1), "one confirmation per node and board");
    assert.ok(isLinear(found.map(({ eventsAtRest }) => eventsAtRest)));
    const [two] = found;
    assert.ok(found.every(({ watches }) => watches === two?.watches));
    const extra = found.map(({ boards, extraTransactions }) => extraTransactions * (boards - 1));
    assert.ok(isLinear(extra), `extra transactions of an array: ${extra.join(", ")}`);
    const most = found.map(({ boards, eventsInFailover }) => eventsInFailover / boards);
    assert.ok(
      most.every((each) => each <= 1.2 * (most[0] ?? 0)),
      `events: ${most.join(", ")}`,
    );
  }),
);

test(
  "a dead board is recovered in 11 s, however many boards there are",
  withTimeout(60_000, async () => {
    for (const { boards, recoverySeconds } of await cells(500))
      assert.ok(recoverySeconds < 11, `${boards} boards: ${recoverySeconds} s`);
  }),
);

test.run();
