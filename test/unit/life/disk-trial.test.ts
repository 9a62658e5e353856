/** A disk is judged by its best moment, and measured again while that is too slow. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { DiskTrial } from "../../../src/life/disk-trial-driver.ts";

const test = suite("life/disk-trial");

/** A disk that takes so long, one measurement after the other. */
const trialOf = (times: readonly (number | Error)[]) => {
  const clock = { now: 0, measured: 0 };
  const measure = async (): Promise<number> => {
    const took = times[clock.measured] ?? 1;
    clock.measured += 1;
    if (took instanceof Error) throw took;
    return took;
  };
  return { clock, trial: new DiskTrial({ limitMs: 50, measure, now: () => clock.now }) };
};

test("one slow moment costs no vote for long, and is told with what follows", async () => {
  const { clock, trial } = trialOf([286, 120, 41]);
  const first = await trial.verdict();
  assert.is(first.timing, null);
  assert.match(first.remark ?? "", "took 286 ms at best");
  assert.match(first.remark ?? "", "a vote needs 50 ms or less; measured again in 3 s");
  clock.now = 2999;
  await trial.verdict();
  assert.is(clock.measured, 1, "not before its time");
  clock.now = 3000;
  assert.match((await trial.verdict()).remark ?? "", "being measured again");
  await trial.settled();
  const second = await trial.verdict();
  assert.match(second.remark ?? "", "took 120 ms at best");
  assert.match(second.remark ?? "", "in 10 s");
  clock.now = 13_000;
  await trial.verdict();
  await trial.settled();
  assert.equal((await trial.verdict()).timing, { heartbeatMs: 250, electionMs: 2500 });
  clock.now = 1e6;
  await trial.verdict();
  assert.is(clock.measured, 3, "a disk that is quick enough is left in peace");
});

test("a worse moment takes nothing back, and a disk that cannot be measured says why", async () => {
  const { clock, trial } = trialOf([new Error("no space"), 60, 90]);
  assert.match((await trial.verdict()).remark ?? "", "no space");
  for (const now of [3000, 13_000]) {
    clock.now = now;
    await trial.verdict();
    await trial.settled();
  }
  assert.is(clock.measured, 3);
  assert.match((await trial.verdict()).remark ?? "", "took 60 ms at best");
});

test.run();
