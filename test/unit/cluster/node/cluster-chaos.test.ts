/**
 * Everything at once over a store that does what etcd may do: answers lost, old listings, watches
 * that break, leases that end at any time; nodes die, are expelled, and join. See cluster-chaos.ts
 * for what must hold; in the end, without faults, everything comes to rest.
 */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { ClusterChaos } from "../../../helpers/cluster-chaos.ts";
import { ClusterWorld } from "../../../helpers/cluster-host.ts";
import { type EtcdFaults, NO_FAULTS } from "../../../helpers/fake-etcd.ts";
import { withSeeds } from "../../../helpers/seed.ts";

const test = suite("cluster: everything at once");

const FAULTS: EtcdFaults = {
  lostTxn: 25,
  oldList: 4,
  brokenWatch: 60,
  coalesced: 4,
  repeated: 8,
  endedLease: 600,
  deadKeepAlive: 4,
};
const TURNS = 1500;

for (const protocol of ["channel", "literal"] as const) {
  test(`${protocol}: nodes that work, die and join keep what they promised`, async () => {
    const total = { updates: 0, windows: 0, recoveries: 0, expelled: 0, killed: 0, devices: 0 };
    await withSeeds({ fixed: [1, 8, 34, 35], fresh: 2 }, async (prng) => {
      const world = ClusterWorld.fake(protocol, prng, FAULTS);
      const chaos = new ClusterChaos(world, prng.fork());
      for (let count = 0; count < 3; count += 1) void chaos.join();
      for (let turn = 0; turn < TURNS; turn += 1) {
        await world.turn();
        chaos.turn();
        if (prng.chance(1, 250)) chaos.kill();
        const isFew = chaos.nodes.filter(({ phase }) => phase !== "out").length < 3;
        if (isFew && prng.chance(1, 20)) void chaos.join();
      }
      world.etcd.faults = NO_FAULTS;
      chaos.isQuiet = true;
      await world
        .until("everything is at rest", () => {
          chaos.turn();
          return chaos.isAtRest();
        })
        .catch((error: Error) => {
          error.message += `\n${chaos.story}`;
          throw error;
        });
      chaos.checkOrder();
      for (const key of Object.keys(total) as (keyof typeof total)[])
        total[key] += chaos.counts[key];
      world.end();
    });
    process.stdout.write(`    ${JSON.stringify(total)}\n`);
    assert.ok(total.updates > 50 && total.windows > 20 && total.recoveries > 10);
    assert.ok(total.killed > 1);
  });
}

test.run();
