/**
 * A raid10 that several nodes run: a rebuild counts positions of a member, its ranges are those of
 * the array, and bits are the array's. The bench refuses a copy outside of what all others hold.
 * md runs near copies only in a cluster; the windows are right for every layout.
 */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Prng } from "../../../src/common/prng.ts";
import { ClusterBench } from "../../helpers/cluster-bench.ts";
import type { ClusterNode } from "../../helpers/cluster-node.ts";
import { Story } from "../../helpers/cluster-story.ts";
import { withSeeds } from "../../helpers/seed.ts";

const MIB = 1024 * 1024;

/** Name, layout word, disks. */
const LAYOUTS = [
  ["n2 on 3", 0x102, 3],
  ["n2 on 4", 0x102, 4],
  ["n3 on 4", 0x103, 4],
  ["f2 on 3", 0x201, 3],
  ["o2 on 3", 0x1_0201, 3],
] as const;

const test = suite("raid/cluster-raid10");

const started = (prng: Prng, layout: number, disks: number): Story => {
  const raid10 = { layout, chunkSectors: 128 };
  const bench = new ClusterBench(
    { nodes: 3, disks, blank: 1, raid10, chunks: 24, windowBytes: MIB },
    prng,
  );
  const story = new Story(bench);
  story.rest();
  story.storm(prng, 12, bench.chunks);
  return story;
};

const anyNode = (story: Story, prng: Prng): ClusterNode => {
  const nodes = story.bench.nodes.filter((node) => !node.isDead);
  return story.bench.node(prng.pick(nodes).slot);
};

/** Asks, and does everything until the answer. */
const done = (story: Story, node: ClusterNode, command: Parameters<ClusterNode["command"]>[0]) => {
  const id = node.command(command);
  for (let steps = 0; steps < 10_000 && node.outcome(id) === "waiting"; steps++)
    if (!story.step()) story.bench.tick(20);
  assert.is(node.outcome(id), "ok", command.type);
};

const lose = (story: Story, prng: Prng, path: string): void => {
  done(story, anyNode(story, prng), { type: "fail", path, reason: "by hand" });
  done(story, anyNode(story, prng), { type: "remove", path });
  story.storm(prng, 12, story.bench.chunks);
};

const paths = (count: number, without: string | null = null): string[] =>
  Array.from({ length: count }, (_, number) => `/m${number}`).filter((path) => path !== without);

const checkWhole = (story: Story, members: readonly string[]): void => {
  for (const node of story.bench.nodes) {
    if (node.isDead) continue;
    assert.equal(
      members.map((path) => node.memberState(path)),
      members.map(() => "in_sync"),
      `node ${node.slot}`,
    );
  }
  story.checkEnd(...members);
};

for (const [name, layout, disks] of LAYOUTS) {
  test(`${name}: a spare is rebuilt window by window while every node writes`, async () => {
    await withSeeds({ fixed: [1, 2], more: 3 }, (prng) => {
      const story = started(prng, layout, disks);
      const { bench } = story;
      lose(story, prng, "/m1");
      bench.cluster.log.length = 0;
      const node = anyNode(story, prng);
      const spare = `/m${disks}`;
      done(story, node, { type: "add", newcomer: node.newcomer(spare) });
      story.storm(prng, 20, bench.chunks);
      story.rest();
      const windows = bench.cluster.log.filter((line) => /resyncing \d+ \d+ [1-9]/.test(line));
      assert.ok(windows.length >= 2, "it moved its window");
      checkWhole(story, [...paths(disks, "/m1"), spare]);
    });
  });

  test(`${name}: a member returns by everybody's bits, and a node dies meanwhile`, async () => {
    await withSeeds({ fixed: [1, 2], more: 3 }, (prng) => {
      const story = started(prng, layout, disks);
      const { bench } = story;
      story.idle(30);
      const lost = `/m${prng.below(disks)}`;
      lose(story, prng, lost);
      const node = anyNode(story, prng);
      done(story, node, { type: "re-add", newcomer: node.newcomer(lost) });
      story.storm(prng, prng.below(8), bench.chunks);
      anyNode(story, prng).die();
      story.storm(prng, 10, bench.chunks);
      story.rest();
      checkWhole(story, paths(disks));
    });
  });

  test(`${name}: a dead node's bits are resynced, and nothing else`, async () => {
    await withSeeds({ fixed: [1], more: 3 }, (prng) => {
      const story = started(prng, layout, disks);
      const { bench } = story;
      story.idle(30);
      story.storm(prng, 6, 8);
      bench.node(1).die();
      story.rest();
      checkWhole(story, paths(disks));
      const copied = bench.nodes.flatMap((node) =>
        node
          .happenings()
          .flatMap(({ type, details }) =>
            type === "sync.finished" ? [Number(details["copied_bytes"])] : [],
          ),
      );
      assert.ok(Math.max(0, ...copied) <= 8 * 65_536, `${copied.join()} bytes copied`);
    });
  });
}

test.run();
