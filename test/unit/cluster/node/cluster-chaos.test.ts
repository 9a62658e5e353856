/**
 * Everything at once over a store that does what etcd may do: answers lost, old listings, watches
 * that break, leases that end at any time; nodes die, are expelled, and join. See cluster-chaos.ts
 * for what must hold; in the end, without faults, everything comes to rest.
 */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Prng } from "../../../../src/common/prng.ts";
import { ClusterChaos } from "../../../helpers/cluster-chaos.ts";
import { ClusterWorld } from "../../../helpers/cluster-host.ts";
import { type EtcdFaults, NO_FAULTS } from "../../../helpers/fake-etcd.ts";
import { replayedSeed, withSeeds } from "../../../helpers/seed.ts";

const test = suite("cluster: everything at once");

interface Weather {
  readonly faults: EtcdFaults;
  /** Bitmaps that the array has, and how many nodes there usually are. */
  readonly nodes: number;
  readonly hosts: number;
  readonly turns: number;
  /** A node dies in one turn of so many. */
  readonly kills: number;
  readonly seeds: readonly number[];
}

const FAIR: Weather = {
  faults: {
    ...NO_FAULTS,
    lostTxn: 25,
    oldList: 4,
    brokenWatch: 60,
    coalesced: 4,
    repeated: 8,
    endedLease: 600,
    deadKeepAlive: 4,
  },
  nodes: 4,
  hosts: 3,
  turns: 1500,
  kills: 250,
  seeds: [1, 8, 34, 35],
};

const FOUL: Weather = {
  faults: { ...FAIR.faults, lostTxn: 12, oldList: 3, brokenWatch: 30, endedLease: 900 },
  nodes: 5,
  hosts: 4,
  turns: 1200,
  kills: 300,
  seeds: [1182],
};

const live = async (
  protocol: "channel" | "literal",
  { faults, nodes, hosts, turns, kills }: Weather,
  prng: Prng,
) => {
  const world = ClusterWorld.fake(protocol, prng, faults);
  world.nodes = nodes;
  const chaos = new ClusterChaos(world, prng.fork());
  for (let count = 0; count < hosts; count += 1) void chaos.join();
  for (let turn = 0; turn < turns; turn += 1) {
    await world.turn();
    chaos.turn();
    if (prng.chance(1, kills)) chaos.kill();
    const isFew = chaos.nodes.filter(({ phase }) => phase !== "out").length < hosts;
    if (isFew && prng.chance(1, 20)) void chaos.join();
  }
  world.etcd.faults = NO_FAULTS;
  chaos.isQuiet = true;
  const isAtRest = (): boolean => {
    chaos.turn();
    return chaos.isAtRest();
  };
  await world.until("everything is at rest", isAtRest).catch((error: Error) => {
    error.message += `\n${chaos.story}`;
    throw error;
  });
  chaos.checkOrder();
  world.end();
  return chaos.counts;
};

for (const protocol of ["channel", "literal"] as const)
  for (const [name, weather] of Object.entries({ fair: FAIR, foul: FOUL }))
    test(`${protocol}, ${name} weather: nodes that work, die and join keep what they promised`, async () => {
      const total = { updates: 0, windows: 0, recoveries: 0, expelled: 0, killed: 0, devices: 0 };
      await withSeeds({ fixed: weather.seeds, more: 2 }, async (prng) => {
        const counts = await live(protocol, weather, prng);
        for (const key of Object.keys(total) as (keyof typeof total)[]) total[key] += counts[key];
      });
      process.stdout.write(`    ${JSON.stringify(total)}\n`);
      if (replayedSeed() !== null) return;
      assert.ok(total.updates > 10 && total.windows > 10 && total.recoveries > 5);
      assert.ok(total.killed > 1);
    });

test.run();
