/** Devices of an array that several nodes run: they come, go and return on all of them. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Prng } from "../../../src/common/prng.ts";
import { uuidToMdadmText } from "../../../src/raid/uuid.ts";
import { CHUNK_BYTES, ClusterBench } from "../../helpers/cluster-bench.ts";
import { superblockOn } from "../../helpers/cluster-node.ts";
import { withSeeds } from "../../helpers/seed.ts";

const test = suite("raid/cluster-devices");

const page = (fill: number): Uint8Array => new Uint8Array(4096).fill(fill);

const started = (more = {}): ClusterBench => {
  const bench = new ClusterBench({ nodes: 3, disks: 2, blank: 2, ...more });
  bench.finishSync();
  bench.cluster.log.length = 0;
  return bench;
};

const seen = (bench: ClusterBench, path: string): string[] =>
  bench.nodes.filter(({ isDead }) => !isDead).map((node) => node.memberState(path));

const add = (bench: ClusterBench, slot: number, path: string): string => {
  const newcomer = bench.node(slot).newcomer(path);
  return bench.run(slot, { type: "add", newcomer });
};

const fail = (bench: ClusterBench, path: string): string =>
  bench.run(0, { type: "fail", path, reason: "by hand" });

test("§5 NEWDISK with uuid and number, every node finds it, METADATA_UPDATED tells", () => {
  const bench = started();
  assert.is(add(bench, 0, "/m2"), "ok");
  const [newDisk, updated] = bench.cluster.log;
  const { deviceUuid } = bench.superblock("/m2");
  const uuid = Buffer.from(deviceUuid).toString("hex");
  assert.is(newDisk, `0 new-disk ${uuid} 2`);
  assert.is(updated, "0 metadata-updated 0 21");
  assert.equal(seen(bench, "/m2"), ["spare", "spare", "spare"]);
  assert.is(bench.cluster.holder, null);
});

test("§6.7 add_new_disk_start comes before it is bound, with its metadata on it", () => {
  const bench = started();
  const node = bench.node(0);
  const id = node.command({ type: "add", newcomer: node.newcomer("/m2") });
  for (let steps = 0; steps < 100 && bench.cluster.log.length === 0; steps++)
    assert.ok(bench.step());
  const first = bench.superblock("/m2");
  assert.equal([first.devNumber, first.events], [2, 0]);
  assert.equal(bench.superblock("/m0").devRoles.length, first.devRoles.length);
  assert.equal(seen(bench, "/m2").slice(1), ["none", "none"]);
  assert.is(node.outcome(id), "waiting");
  // No other node may write superblocks until the update that tells.
  assert.is(bench.cluster.holder, 0);
  bench.settle();
  assert.is(node.outcome(id), "ok");
  assert.is(bench.superblock("/m2").events, bench.superblock("/m0").events);
});

test("§6.7 new_disk_ack says that it is there, or that it is unavailable", () => {
  const bench = started();
  bench.disk("/m2").hiddenFrom.add(1);
  add(bench, 0, "/m2");
  assert.equal(bench.cluster.acks, ["1 unavailable", "2 found"]);
  bench.disk("/m2").hiddenFrom.clear();
  bench.cluster.acks.length = 0;
  add(bench, 0, "/m2");
  assert.equal(bench.cluster.acks, ["1 found", "2 found"]);
});

test("§5 if not every node sees it, the operation fails, and METADATA_UPDATED is sent", () => {
  const bench = started();
  bench.disk("/m2").hiddenFrom.add(2);
  assert.is(add(bench, 0, "/m2"), "CLUSTER_DEVICE_NOT_SEEN");
  assert.is(bench.cluster.log.length, 2);
  assert.ok(bench.cluster.log[1]?.startsWith("0 metadata-updated"));
  assert.equal(seen(bench, "/m2"), ["none", "none", "none"]);
  assert.is(bench.cluster.holder, null);
  // The device says nothing of this array any more, and can be added once all see it.
  bench.disk("/m2").hiddenFrom.clear();
  assert.is(add(bench, 1, "/m2"), "ok");
  assert.equal(seen(bench, "/m2"), ["spare", "spare", "spare"]);
});

test("what is added has the bitmap of every slot, also of nodes that are absent", () => {
  const bench = started({ nodes: 2, slots: 4 });
  add(bench, 1, "/m2");
  for (const slot of [0, 1, 2, 3]) assert.equal(bench.bits("/m2", slot), []);
});

test("two nodes that add a device at once give them different numbers", async () => {
  await withSeeds({ fixed: [1, 2, 3], more: 40 }, (prng) => {
    const bench = new ClusterBench({ nodes: 3, disks: 2, blank: 2 }, prng);
    bench.finishSync();
    const ids = [0, 1].map((slot) => {
      const node = bench.node(slot);
      return node.command({ type: "add", newcomer: node.newcomer(`/m${2 + slot}`) });
    });
    bench.settle();
    assert.equal(
      ids.map((id, slot) => bench.node(slot).outcome(id)),
      ["ok", "ok"],
    );
    for (const path of ["/m2", "/m3"]) assert.equal(seen(bench, path), ["spare", "spare", "spare"]);
    const numbers = ["/m2", "/m3"].map((path) => bench.superblock(path).devNumber);
    assert.equal(numbers.sort(), [2, 3]);
  });
});

/** What nodes 0, 1 … are told that all add the same device, each beginning when it may. */
const addAtOnce = (bench: ClusterBench, prng: Prng, adders: number): string[] => {
  const ids = Array.from({ length: adders }, (_, slot) => {
    bench.steps(prng.below(12));
    const node = bench.node(slot);
    return node.command({ type: "add", newcomer: node.newcomer("/m2") });
  });
  bench.finishSync();
  return ids.map((id, slot) => bench.node(slot).outcome(id));
};

test("nodes that add the same device at once: one has it, and what is on it is that one's", async () => {
  await withSeeds({ fixed: [1, 2, 3], more: 150 }, (prng) => {
    const bench = new ClusterBench({ nodes: 3, disks: 2, blank: 1, answersLate: true }, prng);
    bench.finishSync();
    const outcomes = addAtOnce(bench, prng, 2 + prng.below(2));
    const losers = outcomes.filter((outcome) => outcome !== "ok");
    assert.is(losers.length, outcomes.length - 1, outcomes.join());
    // Whoever loses is told that others add it, or that they do not take what it has written.
    const told = ["RAID_MEMBER_BUSY", "RAID_ALREADY_A_MEMBER", "CLUSTER_DEVICE_NOT_SEEN"];
    assert.ok(
      losers.every((outcome) => told.includes(outcome)),
      outcomes.join(),
    );
    assert.equal(seen(bench, "/m2"), ["spare", "spare", "spare"]);
    const written = bench.superblock("/m2");
    assert.is(written.events, bench.superblock("/m0").events);
    for (const { status } of bench.nodes) {
      const member = status.members.find(({ path }) => path === "/m2");
      assert.is(member?.deviceUuid, uuidToMdadmText(written.deviceUuid));
      assert.is(member?.deviceNumber, written.devNumber);
    }
    assert.is(bench.cluster.holder, null);
    // It is a spare of all of them: it takes the place of a member that fails.
    fail(bench, "/m1");
    bench.finishSync();
    assert.equal(seen(bench, "/m2"), ["in_sync", "in_sync", "in_sync"]);
    assert.ok(bench.isEqual("/m0", "/m2"));
  });
});

test("nodes that add the same device, which another one does not see: nobody has it, nothing is on it", async () => {
  await withSeeds({ fixed: [1, 2, 3], more: 100 }, (prng) => {
    const bench = new ClusterBench({ nodes: 3, disks: 2, blank: 1, answersLate: true }, prng);
    bench.finishSync();
    bench.disk("/m2").hiddenFrom.add(2);
    const outcomes = addAtOnce(bench, prng, 2);
    const told = ["RAID_MEMBER_BUSY", "CLUSTER_DEVICE_NOT_SEEN"];
    assert.ok(
      outcomes.every((outcome) => told.includes(outcome)),
      outcomes.join(),
    );
    assert.equal(seen(bench, "/m2"), ["none", "none", "none"]);
    assert.is(superblockOn(bench.disk("/m2"), -1), null);
    assert.is(bench.cluster.holder, null);
    // It can be added once all see it.
    bench.disk("/m2").hiddenFrom.clear();
    assert.is(add(bench, 1, "/m2"), "ok");
  });
});

test("who is refused because another node adds the device, too, is not told that it is not there", () => {
  const bench = started();
  bench.disk("/m2").hiddenFrom.add(1);
  const node = bench.node(0);
  const id = node.command({ type: "add", newcomer: node.newcomer("/m2") });
  bench.settle();
  const outcome = node.outcomes.get(id);
  assert.match(outcome?.ok === false ? outcome.message : "", "or is being added by another node");
});

test("who offered a device dies, at whatever step: any other node can add it", () => {
  for (let steps = 1; ; steps++) {
    const bench = started();
    const node = bench.node(0);
    const id = node.command({ type: "add", newcomer: node.newcomer("/m2") });
    bench.steps(steps);
    if (node.outcome(id) !== "waiting") return assert.ok(steps > 10, `${steps} steps`);
    node.die();
    bench.finishSync();
    const isAdded = bench.node(1).memberState("/m2") === "spare";
    // Node 1 has recovered the dead one, and has told node 2 so.
    const adder = 1 + (steps % 2);
    const outcome = add(bench, adder, "/m2");
    assert.is(outcome, isAdded ? "RAID_ALREADY_A_MEMBER" : "ok", `died after ${steps} steps`);
    assert.equal(seen(bench, "/m2"), ["spare", "spare"]);
  }
});

test("a spare of all nodes takes the place of a failed member, with what every node wrote", async () => {
  await withSeeds({ fixed: [1, 2, 3], more: 30 }, (prng) => {
    const bench = new ClusterBench({ nodes: 3, disks: 3, raidDisks: 2, spares: 1 }, prng);
    bench.finishSync();
    bench.node(0).command({ type: "fail", path: "/m1", reason: "by hand" });
    const writes = [];
    for (let round = 0; round < 200; round++) {
      if (prng.chance(1, 8)) {
        const slot = prng.below(3);
        const at = (slot * 8 + prng.below(8)) * CHUNK_BYTES;
        writes.push(bench.node(slot).write(at, page(1 + (round % 200))));
      }
      if (prng.chance(1, 20)) bench.tick(20);
      bench.step();
    }
    bench.finishSync();
    assert.ok(writes.every(({ state }) => state === "acknowledged"));
    assert.equal(seen(bench, "/m2"), ["in_sync", "in_sync", "in_sync"]);
    assert.ok(bench.isEqual("/m0", "/m2"));
  });
});

test("§3.1.4, §6.8 REMOVE names the device; every node lets a failed one go", () => {
  const bench = started();
  fail(bench, "/m1");
  bench.cluster.log.length = 0;
  assert.is(bench.run(1, { type: "remove", path: "/m1" }), "ok");
  assert.is(bench.cluster.log[0], "1 remove 1");
  assert.equal(seen(bench, "/m1"), ["none", "none", "none"]);
  assert.is(bench.superblock("/m0").devRoles[1], 0xffff);
});

test("§3.1.4, §6.8 a spare is removed on every node; a member in use is not", () => {
  const bench = started();
  add(bench, 0, "/m2");
  assert.is(bench.run(2, { type: "remove", path: "/m2" }), "ok");
  assert.equal(seen(bench, "/m2"), ["none", "none", "none"]);
  assert.is(bench.run(2, { type: "remove", path: "/m1" }), "RAID_MEMBER_NOT_FAULTY");
  assert.equal(seen(bench, "/m1"), ["in_sync", "in_sync", "in_sync"]);
});

test("§3.1.5, §6.9, B1: who is re-added has what every node wrote meanwhile", async () => {
  await withSeeds({ fixed: [1, 2, 3], more: 40 }, (prng) => {
    const bench = new ClusterBench({ nodes: 3, disks: 2 }, prng);
    bench.finishSync();
    fail(bench, "/m1");
    bench.run(0, { type: "remove", path: "/m1" });
    for (const slot of [0, 1, 2]) bench.node(slot).write(slot * 8 * CHUNK_BYTES, page(slot + 1));
    bench.settle();
    assert.not.ok(bench.isEqual("/m0", "/m1"));
    bench.cluster.log.length = 0;
    const node = bench.node(0);
    const id = node.command({ type: "re-add", newcomer: node.newcomer("/m1") });
    const before = bench.disk("/m1").writes.length;
    for (let round = 0; round < 60; round++) {
      if (prng.chance(1, 8)) {
        const slot = prng.below(3);
        bench.node(slot).write((slot * 8 + 1 + prng.below(4)) * CHUNK_BYTES, page(100 + slot));
      }
      bench.step();
    }
    bench.finishSync();
    assert.is(node.outcome(id), "ok");
    assert.equal(seen(bench, "/m1"), ["in_sync", "in_sync", "in_sync"]);
    assert.ok(bench.isEqual("/m0", "/m1"));
    assert.ok(bench.cluster.log.some((line) => line.endsWith("re-add 1")));
    const [readded] = node.happenings().filter(({ type }) => type === "member.readded");
    const marked = Number(readded?.details["marked_bytes"]) / CHUNK_BYTES;
    assert.ok(
      marked >= 3 && marked <= 3 * 5,
      `one chunk of each node, and what came since: ${marked}`,
    );
    // Guided: what nobody wrote was not copied.
    const copied = bench.disk("/m1").writes.slice(before);
    const bytes = copied.reduce((sum, w) => sum + (w.offset >= 2 ** 20 ? w.length : 0), 0);
    assert.ok(bytes < bench.chunks * CHUNK_BYTES, `${bytes} bytes`);
  });
});

test('§3.1.5 "the assumption is that it has been determined to be working": if not, it is failed again', () => {
  const bench = started({ blank: 0 });
  fail(bench, "/m1");
  bench.run(0, { type: "remove", path: "/m1" });
  bench.node(1).write(0, page(7));
  bench.settle();
  // Node 2 sees it, and cannot write it.
  bench.disk("/m1").failsWrites.add(2);
  const node = bench.node(0);
  bench.run(0, { type: "re-add", newcomer: node.newcomer("/m1") });
  const write = bench.node(2).write(5 * CHUNK_BYTES, page(8));
  bench.finishSync();
  assert.is(write.state, "acknowledged");
  assert.equal(seen(bench, "/m1"), ["faulty", "faulty", "faulty"]);
  for (const { slot } of bench.nodes) {
    assert.equal([...bench.node(slot).reads(0, 4096).values()], [page(7)]);
    assert.equal(
      [
        ...bench
          .node(slot)
          .reads(5 * CHUNK_BYTES, 4096)
          .values(),
      ],
      [page(8)],
    );
  }
});

/** Node 0 brings /m1 back; its job that fits `name` waits while it records that /m2 failed. */
const failWhileReturning = (bench: ClusterBench, name: RegExp): string => {
  fail(bench, "/m1");
  const node = bench.node(0);
  const id = node.command({ type: "re-add", newcomer: node.newcomer("/m1") });
  const at = (): number => node.jobs.findIndex((job) => name.test(job.name));
  for (let steps = 0; steps < 200 && at() < 0; steps++) assert.ok(bench.step());
  const held = node.jobs.splice(at(), 1);
  node.command({ type: "fail", path: "/m2", reason: "by hand" });
  const write = node.write(0, page(7));
  bench.settle();
  node.jobs.push(...held);
  bench.finishSync();
  assert.is(write.state, "acknowledged");
  assert.equal(seen(bench, "/m2"), ["faulty", "faulty", "faulty"]);
  return node.outcome(id);
};

test("a failure that is met while who comes back is opened keeps it out nowhere", () => {
  const bench = started({ disks: 3, blank: 0 });
  assert.is(failWhileReturning(bench, /open leg/), "ok");
  assert.equal(seen(bench, "/m1"), ["in_sync", "in_sync", "in_sync"]);
  assert.ok(bench.isEqual("/m0", "/m1"));
});

test("who comes back and is refused still tells its place: the next time it is re-added", () => {
  const bench = started({ disks: 3, blank: 0 });
  bench.disk("/m1").hiddenFrom.add(2);
  assert.is(failWhileReturning(bench, /io 100/), "CLUSTER_DEVICE_NOT_SEEN");
  assert.is(bench.superblock("/m1").devRoles[1], 1);
  bench.disk("/m1").hiddenFrom.clear();
  const newcomer = bench.node(0).newcomer("/m1");
  assert.is(bench.run(0, { type: "re-add", newcomer }), "ok");
  bench.finishSync();
  assert.equal(seen(bench, "/m1"), ["in_sync", "in_sync", "in_sync"]);
});

test("who left before any node cleared bits that it lacks is refused as a re-add", () => {
  const bench = started();
  fail(bench, "/m1");
  bench.run(0, { type: "remove", path: "/m1" });
  add(bench, 0, "/m2");
  bench.finishSync();
  assert.equal(seen(bench, "/m2"), ["in_sync", "in_sync", "in_sync"]);
  // Node 2 alone writes, and clears its bit once the array is whole.
  bench.node(2).write(0, page(9));
  for (let round = 0; round < 30; round++) {
    bench.tick(5000);
    bench.settle();
  }
  assert.equal(bench.bits("/m0", 2), []);
  fail(bench, "/m2");
  bench.run(0, { type: "remove", path: "/m2" });
  const newcomer = bench.node(0).newcomer("/m1");
  assert.is(bench.run(0, { type: "re-add", newcomer }), "RAID_RE_ADD_REFUSED");
});

test("md has no replacement in a cluster: it is refused", () => {
  const bench = started();
  add(bench, 0, "/m2");
  const replace = { type: "replace", path: "/m1", withPath: null } as const;
  assert.is(bench.run(0, replace), "RAID_UNSUPPORTED_ON_CLUSTERED");
});

test("a member that must be kept by then is not failed by a command that waited for its turn", () => {
  const bench = started({ blank: 0 });
  const ids = [0, 1].map((slot) =>
    bench.node(slot).command({ type: "fail", path: `/m${slot}`, reason: "by hand" }),
  );
  bench.settle();
  const outcomes = ids.map((id, slot) => bench.node(slot).outcome(id));
  assert.equal(outcomes.sort(), ["RAID_LAST_IN_SYNC_MEMBER", "ok"]);
  for (const node of bench.nodes)
    assert.is([node.memberState("/m0"), node.memberState("/m1")].sort().join(), "faulty,in_sync");
});

test.run();
