/** What a seed has happen to boards, and what links do then. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { describeFault, type FaultKind, planFaults } from "../../helpers/fault-runs/fault-plan.ts";
import { GOOD_LINK, LinkTable } from "../../helpers/fault-runs/link-table.ts";

const test = suite("fault runs: plan and links");

const OPTIONS = { kind: "own", boards: 3, etcdMembers: 3, ms: 75_000, without: [] } as const;
const SEEDS = Array.from({ length: 300 }, (_, seed) => seed);

test("a seed has the same happen each time, and seeds differ", () => {
  const texts = SEEDS.map((seed) => JSON.stringify(planFaults(seed, OPTIONS)));
  for (const [seed, text] of texts.entries())
    assert.is(JSON.stringify(planFaults(seed, OPTIONS)), text);
  assert.is(new Set(texts).size, SEEDS.length);
});

test("everything of the list happens, in the time that a run has", () => {
  const seen = new Set<FaultKind>();
  for (const seed of SEEDS) {
    const { steps } = planFaults(seed, OPTIONS);
    for (const { faults } of steps) for (const { kind } of faults) seen.add(kind);
    const last = steps.at(-1);
    const before = steps.slice(0, -1);
    const ms = before.reduce(
      (sum, { faults, pauseMs }) => sum + pauseMs + Math.max(...faults.map((fault) => fault.ms)),
      0,
    );
    assert.ok(last !== undefined && ms < OPTIONS.ms);
  }
  assert.is(seen.size, 17, [...seen].join(" "));
});

test("two things at once hit two boards, and one disk at most", () => {
  const twice = SEEDS.flatMap((seed) => planFaults(seed, OPTIONS).steps).filter(
    ({ faults }) => faults.length > 1,
  );
  assert.ok(twice.length > 50);
  for (const { faults } of twice) {
    const boards = faults.flatMap((fault) => ("board" in fault ? [fault.board] : []));
    assert.is(new Set(boards).size, boards.length, faults.map(describeFault).join("; "));
    assert.ok(faults.filter(({ kind }) => kind.startsWith("disk")).length <= 1);
  }
});

test("what a machine or the boards cannot do is left out", () => {
  const without: readonly FaultKind[] = ["clock-jump", "etcd-full"];
  for (const seed of SEEDS)
    for (const { faults } of planFaults(seed, { ...OPTIONS, kind: "shared", without }).steps)
      for (const { kind } of faults) assert.not([...without, "cut-peer"].includes(kind));
});

test("a link that is cut one way carries the other one, until it is mended", () => {
  const links = new LinkTable();
  let told = 0;
  links.onChange(() => {
    told += 1;
  });
  const mend = links.cut([{ from: "a", to: "b", isOneWay: true }]);
  assert.ok(links.rule("a", "b").isCut);
  assert.not(links.rule("b", "a").isCut);
  const slow = { ...GOOD_LINK, delayMs: 20 };
  const lift = links.lay([{ from: "a", to: "b", isOneWay: false }], slow);
  assert.equal(links.rule("b", "a"), slow);
  assert.equal(links.rule("a", "b"), { ...slow, isCut: true });
  mend();
  assert.equal(links.rule("a", "b"), slow);
  lift();
  lift();
  assert.equal(links.rule("a", "b"), GOOD_LINK);
  assert.is(told, 4);
});

test.run();
