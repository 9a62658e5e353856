/** A rolling restart goes on only when redundancy and quorum are back. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import {
  type RollingBoard,
  type RollingNode,
  type RollingPlan,
  rollingStep,
} from "../../../src/control/rolling-restart.ts";

const test = suite("control/rolling-restart");

const voter = (name: string, isHealthy = true) => ({ name, isHealthy });

const node = (over: Partial<RollingNode> = {}): RollingNode => ({
  isInService: true,
  startedAt: "1",
  arrays: [{ name: "md0", isRunning: true, degraded: 0, isSyncing: false }],
  quorum: { voters: [voter("a"), voter("b"), voter("c")], problem: null },
  impact: { verdict: "degrades", sentence: "" },
  ...over,
});

const boards = (over: Readonly<Record<string, Partial<RollingNode> | null>> = {}): RollingBoard[] =>
  ["a", "b", "c"].map((name) => {
    const change = over[name];
    return { name, told: change === null ? null : node(change) };
  });

const START: RollingPlan = { left: ["a", "b", "c"], restarting: null };
const WITH_A: RollingPlan = { left: ["b", "c"], restarting: { name: "a", startedAt: "1" } };

const array = (over: Partial<RollingNode["arrays"][number]>) => ({
  arrays: [{ name: "md0", isRunning: true, degraded: 0, isSyncing: false, ...over }],
});

test("whole boards are restarted in the order given, each once, then it is done", () => {
  assert.equal(rollingStep(START, boards()), { type: "restart", name: "a", startedAt: "1" });
  const back = boards({ a: { startedAt: "2" } });
  assert.equal(rollingStep(WITH_A, back), { type: "through", name: "a" });
  const next = rollingStep({ ...WITH_A, restarting: null }, back);
  assert.equal(next, { type: "restart", name: "b", startedAt: "1" });
  assert.equal(rollingStep({ left: [], restarting: null }, back), { type: "done" });
});

test("a board that has not gone yet, or is away, is waited for", () => {
  assert.equal(rollingStep(WITH_A, boards()), { type: "wait", why: "a is restarting" });
  assert.is(rollingStep(WITH_A, boards({ a: null })).type, "wait");
  assert.is(rollingStep(START, boards({ c: null })).type, "wait", "also before the first one");
});

test("the next board waits until redundancy is back, on whichever board it lacks", () => {
  const lacks = [
    [array({ degraded: 1 }), "md0 lacks 1 of its copies"],
    [array({ isSyncing: true }), "md0 is being resynced"],
    [array({ isRunning: false }), "md0 does not run on b"],
  ] as const;
  for (const [change, why] of lacks) {
    const seen = boards({ a: { startedAt: "2" }, b: change });
    assert.equal(rollingStep(WITH_A, seen), { type: "wait", why });
    assert.equal(rollingStep(START, boards({ b: change })), { type: "wait", why });
  }
});

test("the next board waits until every member of etcd answers", () => {
  const quorum = { voters: [voter("a", false), voter("b"), voter("c")], problem: null };
  const seen = boards({ a: { startedAt: "2" }, c: { quorum } });
  assert.match(JSON.stringify(rollingStep(WITH_A, seen)), "member a of etcd does not answer");
  const silent = boards({ b: { quorum: { voters: [], problem: "no answer" } } });
  assert.is(rollingStep(START, silent).type, "wait");
});

test("it stops where the next board cannot be spared, or one is out of service", () => {
  const alone = boards({ a: { impact: { verdict: "loses", sentence: "Not safe: md0" } } });
  assert.equal(rollingStep(START, alone), { type: "refused", why: "Not safe: md0" });
  const out = rollingStep(START, boards({ b: { isInService: false } }));
  assert.is(out.type, "refused");
  const unknown = boards({ a: { impact: { verdict: "unknown", sentence: "Not known" } } });
  assert.equal(rollingStep(START, unknown), { type: "wait", why: "Not known" });
});

test.run();
