/**
 * Members fail on nodes that share an array, in any order of what is under way: no acknowledged
 * write is ever read stale, on any node, and the last in-sync copy stays.
 */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Prng } from "../../../src/common/prng.ts";
import { CHUNK_BYTES, ClusterBench } from "../../helpers/cluster-bench.ts";
import type { ClusterNode } from "../../helpers/cluster-node.ts";
import { Story } from "../../helpers/cluster-story.ts";
import type { NodeWrite } from "../../helpers/cluster-write.ts";
import { withSeeds } from "../../helpers/seed.ts";

const test = suite("raid/cluster-failures");

const STEP = 65536;

class Load {
  readonly bench: ClusterBench;
  readonly #prng: Prng;
  readonly #last = new Map<number, { write: NodeWrite; fill: number; node: ClusterNode }>();
  #fill = 1;

  constructor(bench: ClusterBench, prng: Prng) {
    this.bench = bench;
    this.#prng = prng;
  }

  /** Writes a place, on any node unless one is named, if nothing is under way there. */
  write(slot = this.#prng.below(this.bench.nodes.length)): void {
    const place = this.#prng.below(8);
    const before = this.#last.get(place);
    if (before !== undefined && !isOver(before.write)) return;
    const node = this.bench.nodes[slot];
    if (node === undefined || node.isDead) return;
    this.#fill = (this.#fill % 250) + 1;
    const write = node.write(place * STEP, new Uint8Array(512).fill(this.#fill));
    this.#last.set(place, { write, fill: this.#fill, node });
  }

  /** What a node had under way when it died may be there or not. */
  forget(): void {
    for (const [place, { write, node }] of this.#last)
      if (node.isDead && !isOver(write)) this.#last.delete(place);
  }

  /** What was acknowledged and not written since is what every node reads. */
  check(): void {
    for (const [place, { write, fill }] of this.#last) {
      if (write.state !== "acknowledged") continue;
      for (const node of this.bench.nodes) {
        if (node.isDead) continue;
        for (const [path, bytes] of node.reads(place * STEP, 512)) {
          const message = `node ${node.slot} reads ${path} at ${place}`;
          assert.is(bytes[0], fill, message);
        }
      }
    }
  }
}

const isOver = ({ state }: NodeWrite): boolean => state === "acknowledged" || state === "failed";

const run = (bench: ClusterBench, prng: Prng, faults: readonly (() => void)[]): void => {
  const load = new Load(bench, prng);
  const due = faults.map((fault) => ({ fault, round: prng.between(20, 250) }));
  for (let round = 0; round < 400; round++) {
    if (prng.chance(1, 4)) load.write();
    for (const { fault, round: when } of due) if (when === round) fault();
    if (prng.chance(1, 30)) bench.tick(20);
    bench.step();
    load.forget();
    load.check();
  }
  bench.settle();
  load.check();
  // Whoever had a fault that no write has met meets it now.
  for (const node of bench.nodes) {
    load.write(node.slot);
    bench.settle();
    load.check();
  }
  bench.finishSync();
  load.check();
};

const inSync = (bench: ClusterBench, slot: number): string[] =>
  bench
    .node(slot)
    .status.members.flatMap(({ path, states }) =>
      path !== null && states.includes("in_sync") ? [path] : [],
    );

test("two nodes fail different members at once: both are faulty everywhere", async () => {
  await withSeeds({ fixed: [1, 2, 3], more: 20 }, (prng) => {
    const bench = new ClusterBench({ nodes: 3, disks: 4 }, prng);
    bench.finishSync();
    run(bench, prng, [
      () => {
        bench.disk("/m0").failsWrites.add(0);
        bench.disk("/m3").failsWrites.add(1);
        bench.node(0).send({ type: "member-vanished", path: "/m0", reason: "gone" });
        bench.node(1).send({ type: "member-vanished", path: "/m3", reason: "gone" });
      },
    ]);
    for (const slot of [0, 1, 2]) assert.equal(inSync(bench, slot), ["/m1", "/m2"]);
    assert.ok(bench.isEqual("/m1", "/m2"));
  });
});

test("two nodes fail the last two members at once: one is kept, and it has what was written", async () => {
  await withSeeds({ fixed: [1, 2, 3], more: 20 }, (prng) => {
    const bench = new ClusterBench({ nodes: 3, disks: 2 }, prng);
    bench.finishSync();
    run(bench, prng, [
      () => {
        bench.disk("/m0").failsWrites.add(0);
        bench.disk("/m1").failsWrites.add(1);
      },
    ]);
    const kept = inSync(bench, 2);
    assert.is(kept.length, 1, "the last in-sync copy stays");
    // The node that cannot write it has left, unless it had nothing to record since.
    const others = bench.nodes.filter(({ isDead }) => !isDead);
    assert.ok(others.length >= 2);
    for (const { slot } of others) assert.equal(inSync(bench, slot), kept);
  });
});

test("a member fails for all nodes at once: the first to have its turn records it", async () => {
  await withSeeds({ fixed: [1, 2, 3], more: 20 }, (prng) => {
    const bench = new ClusterBench({ nodes: 4, disks: 3 }, prng);
    bench.finishSync();
    const events = bench.superblock("/m1").events;
    run(bench, prng, [
      () => {
        for (const slot of [0, 1, 2, 3]) bench.disk("/m0").breakFor(slot);
      },
      () => bench.node(3).send({ type: "member-vanished", path: "/m0", reason: "gone" }),
    ]);
    for (const slot of [0, 1, 2, 3]) assert.equal(inSync(bench, slot), ["/m1", "/m2"]);
    assert.is(bench.superblock("/m1").events, events + 1);
  });
});

// Both nodes would wait for each other: one for the update that records it, one for its window.
test("FUA writes whose flush fails beside another node's resync: acknowledged when all know, and kept", async () => {
  await withSeeds({ fixed: [1, 2, 3], more: 30 }, (prng) => {
    const chunks = Array.from({ length: 32 }, (_, chunk) => chunk);
    const bench = new ClusterBench({ nodes: 0, bits: { 0: chunks } }, prng);
    // The copies differ where nobody writes.
    for (const chunk of chunks)
      bench.content("/m1").fill(7, (chunk + 0.5) * CHUNK_BYTES, (chunk + 1) * CHUNK_BYTES);
    const story = new Story(bench);
    bench.join(0);
    const node = bench.join(1);
    const path = prng.pick(["/m0", "/m1"]);
    const known = (): boolean => bench.nodes.every((one) => one.memberState(path) === "faulty");
    const late: NodeWrite[] = [];
    const load = (rounds: number): void => {
      for (let round = 0; round < rounds; round++) {
        const chunk = prng.below(32);
        const isLate = bench.disk(path).failsFlushes.has(1);
        if (!story.isBusy(chunk, 1)) {
          const write = story.write(node, chunk, 1, true);
          if (isLate) late.push(write);
        }
        for (let steps = prng.below(8); steps > 0; steps--) {
          story.step();
          const isTold = late.some(({ state }) => state === "acknowledged");
          if (isTold) assert.ok(known(), "acknowledged before every node knows");
        }
        if (prng.chance(1, 4)) bench.tick(20);
      }
    };
    load(prng.below(10));
    bench.disk(path).failsFlushes.add(1);
    load(20);
    story.rest();
    assert.ok(known());
    assert.ok(late.every(({ state }) => state === "acknowledged"));
    story.checkEnd(path === "/m0" ? "/m1" : "/m0");
  });
});

test("a node dies while members fail: what was acknowledged is there, copies are equal", async () => {
  await withSeeds({ fixed: [1, 2, 2933791597], more: 20 }, (prng) => {
    const bench = new ClusterBench({ nodes: 3, disks: 4, raidDisks: 3, spares: 1 }, prng);
    bench.finishSync();
    const victim = prng.below(3);
    const disk = bench.disk(`/m${prng.below(3)}`);
    run(bench, prng, [
      () => disk.failsWrites.add(prng.below(3)),
      () => bench.node(victim).die(),
      () => bench.nodes.find(({ isDead }) => !isDead)?.tick(),
    ]);
    const [one, other] = bench.nodes.filter(({ isDead }) => !isDead);
    const paths = inSync(bench, one?.slot ?? 0);
    assert.equal(inSync(bench, other?.slot ?? 0), paths);
    assert.ok(paths.length >= 2, paths.join());
    assert.ok(bench.isEqual(...paths));
  });
});

test.run();
