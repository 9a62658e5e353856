/** A member that stays silent is failed after its limit; never the last one. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { ANSWER_LIMIT_MS, MachineBench } from "../../helpers/machine-bench.ts";

const test = suite("raid/answer-watch");

const seconds = (bench: MachineBench): number => Math.floor(bench.now / 1000);

/** Time passes in steps of half a second, as idle ticks do. */
const pass = (bench: MachineBench, ms: number, owed?: ReadonlyMap<number, number>): void => {
  for (let at = 0; at < ms; at += 500) {
    bench.now += 500;
    bench.send(owed === undefined ? { type: "tick" } : { type: "tick", owed });
  }
};

const failed = (bench: MachineBench): boolean => bench.happenings().includes("member.failed");

test("a member that owes a worker an answer is failed after the limit, and not before", () => {
  const bench = new MachineBench();
  bench.shared.setStall(0, 1, seconds(bench));
  pass(bench, ANSWER_LIMIT_MS);
  assert.not.ok(failed(bench));
  pass(bench, 1000);
  bench.settle();
  assert.ok(failed(bench));
  assert.is(bench.status.degraded, 1);
  assert.match(bench.memberStatus("/m1")?.faultReason ?? "", /^no answer for 30 s/);
  assert.equal(
    bench.toldOf("drop-leg").map((effect) => "reason" in effect && effect.reason !== null),
    [true],
  );
});

test("what the array thread itself waits for ends: the update goes on without the member", () => {
  const bench = new MachineBench();
  const began = bench.now;
  pass(bench, ANSWER_LIMIT_MS + 1000, new Map([[1, began]]));
  const told = bench.toldOf("give-up-member");
  assert.equal(
    told.map((effect) => "member" in effect && effect.member),
    [1],
  );
});

test("the last in-sync member is waited for, however long it takes", () => {
  const bench = new MachineBench();
  bench.shared.setStall(0, 0, seconds(bench));
  bench.shared.setStall(0, 1, seconds(bench));
  pass(bench, 3 * ANSWER_LIMIT_MS);
  bench.settle();
  assert.is(bench.status.degraded, 1);
  assert.is(bench.memberStatus("/m1")?.states.join(), "in_sync");
});

test("calls that are answered in turn are no silence, however many follow each other", () => {
  const bench = new MachineBench();
  for (let turn = 0; turn < 40; turn++) {
    bench.shared.setStall(0, 1, seconds(bench));
    pass(bench, 2000);
  }
  bench.settle();
  assert.not.ok(failed(bench));
});

test("a clock that is set forward fails nobody", () => {
  const bench = new MachineBench();
  bench.shared.setStall(0, 1, seconds(bench));
  pass(bench, 500);
  bench.tick(30 * 24 * 3600 * 1000);
  bench.settle();
  assert.not.ok(failed(bench));
});

test.run();
