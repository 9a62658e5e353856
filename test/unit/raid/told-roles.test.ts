/** Roles of members that have failed: kept by who joins, not believed by who saw it fail. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { LEG_BLOCKED, RUN_BROKEN } from "../../../src/raid/shared-state.ts";
import { MD_FEATURE_RECOVERY_OFFSET } from "../../../src/raid/superblock-fields.ts";
import { ClusterBench } from "../../helpers/cluster-bench.ts";
import { Story } from "../../helpers/cluster-story.ts";
import { inSync, rebuilding } from "../../helpers/machine-bench.ts";
import { roles } from "../../helpers/md-samples.ts";
import { NodeBench } from "../../helpers/node-bench.ts";

const FAULTY = 0xfffe;

const test = suite("raid/told-roles");

test("a member that has failed is no spare for the next node that joins", () => {
  const story = new Story(new ClusterBench({ nodes: 2 }));
  const { bench } = story;
  story.rest();
  assert.is(bench.run(0, { type: "fail", path: "/m1", reason: "test" }), "ok");
  story.rest();
  bench.node(0).die();
  story.rest();
  const node = bench.join(2);
  story.rest();
  assert.is(bench.superblock("/m0").devRoles[1], FAULTY);
  assert.is(node.memberState("/m1"), "none");
  assert.is(bench.node(1).memberState("/m1"), "faulty");
});

test("a raid slot for a member that has failed here: this node cannot write it, so it fails it", () => {
  const bench = new NodeBench();
  bench.rest();
  bench.command({ type: "fail", path: "/m1", reason: "test" });
  bench.rest();
  bench.told.length = 0;
  const notice = bench.notice({ type: "metadata-updated", deviceNumber: 0, events: 0 });
  const [ask] = bench.told.filter((effect) => effect.type === "read-superblocks");
  const own = bench.superblocks.get(0);
  assert.ok(ask?.type === "read-superblocks" && own !== undefined);
  if (ask?.type !== "read-superblocks" || own === undefined) return;
  const superblock = { ...own, events: own.events + 1, devRoles: roles(0, 1) };
  bench.send({
    type: "superblocks-read",
    token: ask.token,
    found: [{ member: 0, superblock }],
  });
  bench.settle();
  assert.ok(bench.isProcessed(notice));
  assert.is(bench.shared.leg(1), LEG_BLOCKED, "no write is acknowledged without it");
  bench.rest();
  assert.is(bench.superblocks.get(0)?.devRoles[1], FAULTY);
});

// Seed 1023036 of the simulation of boards: the member had failed in the midst of the update.
test("a step of the update is on the member that is left here, not what it ended at: the node leaves", () => {
  const bench = new NodeBench();
  bench.rest();
  bench.told.length = 0;
  const own = bench.superblocks.get(1);
  assert.ok(own !== undefined);
  const { events } = own;
  bench.notice({ type: "metadata-updated", deviceNumber: 0, events: events + 3 });
  const [ask] = bench.told.filter((effect) => effect.type === "read-superblocks");
  assert.ok(ask?.type === "read-superblocks");
  if (ask?.type !== "read-superblocks") return;
  const found = [{ member: 1, superblock: { ...own, events: events + 2 } }];
  bench.takeLog();
  bench.send({ type: "superblocks-read", token: ask.token, found });
  bench.settle();
  assert.is(bench.shared.run, RUN_BROKEN);
  assert.equal(bench.takeLog(), [], "nothing is written");
});

// Seed 401025 of the simulation of boards: it recorded the failure on no member, and told of that.
test("the last copy is one that has failed here: the node leaves, and does not record that", () => {
  const bench = new NodeBench({ placements: [inSync(0), rebuilding(1)] });
  bench.tick(20);
  bench.send({ type: "member-vanished", path: "/m1", reason: "unplugged" });
  bench.notice({ type: "metadata-updated", deviceNumber: 1, events: 0 });
  const ask = bench.told.find((effect) => effect.type === "read-superblocks");
  const own = bench.superblocks.get(1);
  assert.ok(ask?.type === "read-superblocks" && own !== undefined);
  if (ask?.type !== "read-superblocks" || own === undefined) return;
  const featureMap = own.featureMap & ~MD_FEATURE_RECOVERY_OFFSET;
  const superblock = { ...own, featureMap, events: own.events + 9, devRoles: roles(FAULTY, 1) };
  bench.takeLog();
  bench.send({ type: "superblocks-read", token: ask.token, found: [{ member: 1, superblock }] });
  bench.settle();
  assert.is(bench.shared.run, RUN_BROKEN);
  assert.equal(bench.takeLog(), [], "nothing is written");
});

test.run();
