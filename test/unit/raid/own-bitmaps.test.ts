/**
 * A member that returns has bitmaps of its own, of every node: what they say is part of what it is
 * rebuilt by. A write that reached it alone, with its bit, is told by nothing else.
 */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { BITMAP_AT, CHUNK_BYTES, type ClusterBench } from "../../helpers/cluster-bench.ts";
import { Story } from "../../helpers/cluster-story.ts";

const test = suite("raid/own-bitmaps");
const LATE = 0x5a;

/** Sets a bit in a node's bitmap on one disk alone. */
const setBit = (bench: ClusterBench, path: string, slot: number, chunk: number): void => {
  const at = BITMAP_AT + slot * bench.areaBytes + 256 + (chunk >> 3);
  const { bytes } = bench.disk(path);
  bytes[at] = (bytes[at] ?? 0) | (1 << (chunk & 7));
};

/** /m1 is away; node `slot` has written there in time, and on no other member. */
const withLateWrite = (slot: number, chunk: number, disks = 2): Story => {
  const story = Story.rested({ disks, raidDisks: disks });
  const { bench } = story;
  for (const node of [0, 1]) story.write(bench.node(node), 2 + node, node);
  story.settle();
  assert.is(bench.run(0, { type: "fail", path: "/m1", reason: "test" }), "ok");
  assert.is(bench.run(0, { type: "remove", path: "/m1" }), "ok");
  story.write(bench.node(1), 6);
  story.settle();
  bench.content("/m1").fill(LATE, chunk * CHUNK_BYTES, chunk * CHUNK_BYTES + 4096);
  setBit(bench, "/m1", slot, chunk);
  return story;
};

const isLate = (bench: ClusterBench, chunk: number): boolean =>
  bench.content("/m1")[chunk * CHUNK_BYTES] === LATE;

for (const slot of [0, 1, 3])
  test(`a write on the returning member alone is written over: its bit is in slot ${slot}`, () => {
    const story = withLateWrite(slot, 9);
    const { bench } = story;
    assert.is(bench.run(0, { type: "re-add", newcomer: bench.node(0).newcomer("/m1") }), "ok");
    story.rest();
    for (const node of bench.nodes) assert.is(node.memberState("/m1"), "in_sync");
    assert.not.ok(isLate(bench, 9));
    story.checkEnd("/m0", "/m1");
    story.idle(40);
    assert.equal(
      [0, 1, 2, 3].map((of) => bench.bits("/m1", of)),
      [[], [], [], []],
      "and its bit goes",
    );
  });

test("what a member that is being rebuilt has of other slots is not given to one that comes", () => {
  const story = withLateWrite(3, 9, 3);
  const { bench } = story;
  const node = bench.node(0);
  assert.is(bench.run(0, { type: "fail", path: "/m2", reason: "test" }), "ok");
  assert.is(bench.run(0, { type: "remove", path: "/m2" }), "ok");
  const reAdd = (path: string): void => {
    const id = node.command({ type: "re-add", newcomer: node.newcomer(path) });
    while (node.outcome(id) === "waiting") if (!story.step()) bench.tick(20);
    assert.equal([node.outcome(id), node.memberState(path)], ["ok", "rebuilding"]);
  };
  reAdd("/m2");
  // Another node has recovered the slot before it knew of this member.
  setBit(bench, "/m2", 3, 5);
  reAdd("/m1");
  assert.equal(bench.bits("/m1", 3), []);
  story.rest();
  story.checkEnd("/m0", "/m1", "/m2");
});

test("an add goes by them as well", () => {
  const story = withLateWrite(1, 9);
  const { bench } = story;
  assert.is(bench.run(0, { type: "add", newcomer: bench.node(0).newcomer("/m1") }), "ok");
  story.rest();
  assert.ok(
    bench
      .node(0)
      .happenings()
      .some(({ type }) => type === "member.readded"),
  );
  story.checkEnd("/m0", "/m1");
});

test("whoever takes it back, and dies at any step, another one finds them", () => {
  let deaths = 0;
  for (let steps = 0; steps < 40; steps++) {
    const story = withLateWrite(1, 9);
    const { bench } = story;
    const first = bench.node(0);
    const id = first.command({ type: "re-add", newcomer: first.newcomer("/m1") });
    for (let at = 0; at < steps; at++) if (!story.step()) bench.tick(20);
    if (first.outcome(id) !== "waiting") break;
    deaths++;
    first.die();
    story.rest();
    const next = bench.node(1);
    if (next.memberState("/m1") !== "in_sync") {
      if (next.memberState("/m1") !== "none") bench.run(1, { type: "remove", path: "/m1" });
      assert.is(bench.run(1, { type: "re-add", newcomer: next.newcomer("/m1") }), "ok", `${steps}`);
      story.rest();
    }
    assert.is(next.memberState("/m1"), "in_sync", `${steps}`);
    assert.not.ok(isLate(bench, 9), `the write is there still, after ${steps} steps`);
    story.checkEnd("/m0", "/m1");
  }
  assert.ok(deaths > 5, `${deaths} deaths`);
});

test("this node's bitmap with them is on the member before they are written over", () => {
  const story = withLateWrite(1, 9);
  const { bench } = story;
  const { writes } = bench.disk("/m1");
  const before = writes.length;
  bench.run(0, { type: "re-add", newcomer: bench.node(0).newcomer("/m1") });
  const slots = writes.slice(before).map(({ offset }) => (offset - BITMAP_AT) / bench.areaBytes);
  assert.equal(slots.slice(0, 4), [0, 1, 2, 3]);
  const other = withLateWrite(0, 9).bench;
  const since = other.disk("/m1").writes.length;
  other.run(1, { type: "re-add", newcomer: other.node(1).newcomer("/m1") });
  const first = other.disk("/m1").writes[since]?.offset;
  assert.is(first, BITMAP_AT + other.areaBytes, "slot 1 is the node's own");
});

test("one of them is damaged: the member is rebuilt whole, by an add", () => {
  const story = withLateWrite(1, 9);
  const { bench } = story;
  const at = BITMAP_AT + 1 * bench.areaBytes;
  bench.disk("/m1").bytes.fill(0xff, at, at + 256);
  const outcome = bench.run(0, { type: "re-add", newcomer: bench.node(0).newcomer("/m1") });
  assert.is(outcome, "RAID_RE_ADD_REFUSED");
  assert.is(bench.run(0, { type: "add", newcomer: bench.node(0).newcomer("/m1") }), "ok");
  story.rest();
  assert.is(bench.node(0).memberState("/m1"), "in_sync");
  assert.not.ok(isLate(bench, 9));
  story.checkEnd("/m0", "/m1");
});

test.run();
