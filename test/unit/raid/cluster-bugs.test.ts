/**
 * What Linux's md-cluster does wrong to this day, as scenarios: nodes on shared disks with real
 * bytes, which are compared. docs/md-cluster.md has the list (B1 to B6).
 */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { CHUNK_BYTES } from "../../helpers/cluster-bench.ts";
import { Story } from "../../helpers/cluster-story.ts";
import type { NodeWrite } from "../../helpers/cluster-write.ts";

const SLOTS = [0, 1, 2, 3];
const PATHS = ["/m0", "/m1"];

/** No node's bitmap says that copies differ, on either disk. */
const checkNoBits = (story: Story): void => {
  story.idle(40);
  for (const path of PATHS)
    assert.equal(
      SLOTS.map((slot) => story.bench.bits(path, slot)),
      SLOTS.map(() => []),
      path,
    );
};

/** Runs until it is so, time included. */
const until = (story: Story, what: string, isSo: () => boolean, look = (): void => {}): void => {
  for (let steps = 0; steps < 5000; steps++) {
    look();
    if (isSo()) return;
    if (!story.step()) story.bench.tick(20);
  }
  assert.unreachable(`never: ${what}`);
};

/** `path` is failed and removed; both nodes have written since, their writes by chunk. */
const without = (
  path: string,
): { readonly story: Story; readonly writes: Map<number, NodeWrite> } => {
  const story = Story.rested();
  const { bench } = story;
  for (const slot of [0, 1]) story.write(bench.node(slot), 2 + slot, slot);
  story.settle();
  assert.is(bench.run(0, { type: "fail", path, reason: "test" }), "ok");
  assert.is(bench.run(0, { type: "remove", path }), "ok");
  const writes = new Map<number, NodeWrite>();
  for (const [chunk, slot] of [0, 1, 1, 0, 1].entries())
    writes.set(3 * chunk, story.write(bench.node(slot), 3 * chunk));
  story.settle();
  for (const write of writes.values()) assert.is(write.state, "acknowledged");
  return { story, writes };
};

const test = suite("raid/cluster bugs");

test("B1 lost writes after a re-add: what only the other node wrote meanwhile is on the member", () => {
  const { story, writes } = without("/m1");
  const { bench } = story;
  const stale = bench.content("/m1").slice();
  const newcomer = bench.node(0).newcomer("/m1");
  assert.is(bench.run(0, { type: "re-add", newcomer }), "ok");
  story.rest();
  for (const node of bench.nodes) assert.is(node.memberState("/m1"), "in_sync");
  for (const [chunk, write] of writes) {
    const at = chunk * CHUNK_BYTES;
    assert.is.not(stale[at], write.data[0], "the member lacked it");
    assert.equal(bench.content("/m1").slice(at, at + write.data.length), write.data);
  }
  story.checkEnd(...PATHS);
});

test("B2 chunk 0 never resynced: the only dirty chunk of a dead node is the first", () => {
  const story = Story.rested();
  story.dieInWrite(0, 0);
  assert.equal(story.bench.bits("/m0", 0), [0]);
  story.rest();
  story.checkEnd(...PATHS);
  checkNoBits(story);
});

test("B2 chunk 0 never resynced: nor when the node that recovers it dies as well", () => {
  for (let steps = 0; steps < 30; steps += 2) {
    const story = Story.rested({ nodes: 3 });
    story.dieInWrite(0, 0);
    for (let at = 0; at < steps; at++) if (!story.step()) story.bench.tick(20);
    story.bench.node(1).die();
    story.rest();
    story.checkEnd(...PATHS);
    checkNoBits(story);
  }
});

for (const [path, leg] of [
  ["/m0", 0],
  ["/m1", 1],
] as const)
  test(`B3 stale reads from a rebuilding leg: leg ${leg} is rebuilt, and no node reads it`, () => {
    const { story, writes } = without(path);
    const { bench } = story;
    const other = path === "/m0" ? "/m1" : "/m0";
    const command = { type: "re-add", newcomer: bench.node(0).newcomer(path) } as const;
    bench.node(0).command(command);
    let looked = 0;
    let inWindow = 0;
    const look = (): void => {
      for (const node of bench.nodes) {
        if (node.memberState(path) !== "rebuilding") continue;
        looked++;
        for (const [chunk, write] of writes) {
          const found = node.reads(chunk * CHUNK_BYTES, write.data.length);
          assert.equal([...found.keys()], [other], `node ${node.slot}, chunk ${chunk}`);
          assert.equal(found.get(other), write.data, `node ${node.slot} reads what was written`);
          if (node.shared.isSuspended(chunk * CHUNK_BYTES, 1)) inWindow++;
        }
      }
    };
    const isWhole = (): boolean => bench.nodes.every((n) => n.memberState(path) === "in_sync");
    until(story, "the member is in sync everywhere", isWhole, look);
    assert.ok(looked > 10 && inWindow > 0, `${looked} looks, ${inWindow} in a window`);
    story.rest();
    story.checkEnd(...PATHS);
  });

test("B4 a write completed before peers acknowledged the failure: no node reads the old bytes then", () => {
  const story = Story.rested({ nodes: 3 });
  const { bench } = story;
  const before = story.write(bench.node(0), 5);
  story.settle();
  bench.disk("/m1").breakFor(0);
  const held = story.write(bench.node(0), 5);
  const slow = bench.node(2);
  // Node 2 does nothing for minutes: its clients may still be given the old bytes of /m1.
  for (let round = 0; round < 30; round++) {
    bench.stepsWithout(slow, 1000);
    bench.tick(20_000);
    assert.is.not(held.state, "acknowledged");
  }
  assert.equal(slow.reads(5 * CHUNK_BYTES, 4096).get("/m1"), before.data);
  until(story, "the write is acknowledged", () => held.state === "acknowledged");
  for (const node of bench.nodes)
    for (const [path, bytes] of node.reads(5 * CHUNK_BYTES, 4096))
      assert.equal(bytes, held.data, `node ${node.slot} reads ${path}`);
  story.settle();
  assert.equal(bench.content("/m1").slice(5 * CHUNK_BYTES, 5 * CHUNK_BYTES + 4096), before.data);
});

test("B5 death in mid-join: a node that dies at any step of its start harms no copy and no bit", () => {
  for (let steps = 0; steps < 24; steps++) {
    const story = Story.rested();
    const { bench } = story;
    story.write(bench.node(0), 3, 0);
    story.write(bench.node(1), 4, 1);
    for (let at = 0; at < 4; at++) story.step();
    const joining = bench.join(2);
    story.write(joining, 3, 2);
    for (let at = 0; at < steps; at++) if (!story.step()) bench.tick(20);
    joining.die();
    const later = [0, 1].map((slot) => story.write(bench.node(slot), 6 + slot, slot));
    story.rest();
    assert.equal(
      later.map(({ state }) => state),
      ["acknowledged", "acknowledged"],
    );
    story.checkEnd(...PATHS);
    checkNoBits(story);
  }
});

test("B6 an idle node keeps its dirty bits: they go on every disk, whatever the others write", () => {
  const story = Story.rested();
  const { bench } = story;
  const once = story.write(bench.node(1), 9);
  story.settle();
  assert.equal(bench.bits("/m1", 1), [9]);
  for (let second = 0; second < 40; second++) {
    story.write(bench.node(0), second % 8);
    bench.tick(1000);
    story.settle();
  }
  for (const path of PATHS) {
    assert.equal(bench.bits(path, 1), [], `${path}: of the idle node`);
    assert.ok(bench.bits(path, 0).length > 0, `${path}: of the busy one`);
    assert.equal(bench.content(path).slice(9 * CHUNK_BYTES, 9 * CHUNK_BYTES + 4096), once.data);
  }
  story.checkEnd(...PATHS);
});

test.run();
