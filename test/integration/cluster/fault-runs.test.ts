// wall-limit: 900 s
/**
 * A few runs of real boards with their own disks under faults, with clients on all of them that
 * check what they read; `npm run fault-runs -- --runs 200` makes many. Each ends mended: whole by
 * itself, nothing lost, all members the same.
 */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Fault } from "../../helpers/fault-runs/fault-plan.ts";
import {
  type FaultRunReport,
  faultRun,
  missingFaults,
} from "../../helpers/fault-runs/fault-run.ts";
import { skipUnless, skipWhen } from "../../helpers/skip.ts";
import { withTimeout } from "../../helpers/timeout.ts";

const test = suite("cluster/fault-runs");
const runTest = skipUnless("etcd", test);
const [missing] = missingFaults();
const fullTest = missing === undefined ? runTest : skipWhen(`${missing[0]}: ${missing[1]}`, test);
const LIMIT_MS = 290_000;
const SECOND = 1000;

/** One thing after the other, each with a pause in which the boards need not come to rest. */
const run = (seed: number, faults: readonly (readonly Fault[])[]): Promise<FaultRunReport> =>
  faultRun({
    ...{ seed, kind: "own", boards: 3, etcdMembers: 3, ms: 0, sizeMib: 64 },
    plan: { seed, steps: faults.map((step) => ({ faults: step, pauseMs: 4 * SECOND })) },
  });

const isGood = ({ problems, folder, writes }: FaultRunReport): void => {
  assert.equal(problems, [], `see ${folder}`);
  assert.ok(writes > 300, `${writes} writes`);
};

runTest(
  "boards die alone, with the leader of etcd, and all at once",
  withTimeout(LIMIT_MS, async () => {
    const report = await run(1, [
      [{ kind: "kill", board: 0, ms: 12 * SECOND }],
      [
        { kind: "kill", board: 1, ms: 3 * SECOND },
        { kind: "etcd-kill", isLeader: true, ms: 6 * SECOND },
      ],
      [{ kind: "kill-all", order: [2, 0, 1], apartMs: SECOND, ms: SECOND }],
    ]);
    isGood(report);
    assert.ok(report.fences >= 3, `${report.fences} sessions were fenced`);
  }),
);

fullTest(
  "a board hangs, a link is cut one way, disks fill, a clock jumps, and etcd loses its leader",
  withTimeout(LIMIT_MS, async () => {
    const report = await run(3, [
      [{ kind: "stop", board: 2, ms: 14 * SECOND }],
      [{ kind: "cut-one-way", board: 1, peer: null, ms: 5 * SECOND }],
      [{ kind: "etcd-full", ms: 4 * SECOND }],
      [{ kind: "settings-full", board: 1, ms: 5 * SECOND }],
      [{ kind: "clock-jump", board: 2, seconds: -86_400, ms: 4 * SECOND }],
      [{ kind: "etcd-kill", isLeader: true, ms: 4 * SECOND }],
    ]);
    isGood(report);
    assert.ok(report.fences >= 1, `${report.fences} sessions were fenced`);
  }),
);

test.run();
