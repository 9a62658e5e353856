/** GET /api/v1/dlm and the cluster's part of an array and of the metrics. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { openApiBench } from "../../helpers/api-bench.ts";
import { clusterView } from "../../helpers/cluster-values.ts";
import { inFolder } from "../../helpers/temporary-folder.ts";

const test = suite("api/dlm");

test(
  "a board without clustered arrays has no locks to show",
  inFolder(async (folder) => {
    await using api = await openApiBench({ folder });
    const { status, body } = await api.ask("GET", "/api/v1/dlm");
    assert.is(status, 200);
    assert.equal(body, { cluster: "attic", items: [], absent: [] });
  }),
);

test(
  "nodes, locks with holders and waiters, the message, what is awaited, held writes, the trace",
  inFolder(async (folder) => {
    await using api = await openApiBench({ folder, images: ["disk1", "disk2"] });
    const order = { name: "md0", level: "raid1", device_ids: ["disk1", "disk2"] };
    await api.do("POST", "/api/v1/arrays", order);
    const array = api.engine.array("md0");
    array.view = clusterView();
    array.writeHolds = { byRange: 3, byGate: 1, held: 2, p50Ms: 1.5, p99Ms: 40, maxMs: 41 };
    const { body } = await api.ask("GET", "/api/v1/dlm");
    const [found] = body.items;
    assert.equal([found.name, found.slot, found.phase, found.epoch], ["md0", 1, "entered", 21]);
    assert.is(found.awaited, "waiting for node 1 (a) to process RESYNCING, 0.4 s");
    assert.equal(found.locks[0].granted, [{ slot: 0, node: "a", granted: "PW", requested: null }]);
    assert.equal(found.locks[0].range, { lo: 0, hi: 65_536 });
    assert.equal(found.message.awaited, [{ slot: 0, what: "process" }]);
    assert.equal(found.calls, [{ call: "resync-info-update", seconds: 0.4 }]);
    assert.equal(found.held_writes, {
      by_range: 3,
      by_gate: 1,
      held: 2,
      p50: 0.0015,
      p99: 0.04,
      max: 0.041,
    });
    const { now } = api.clock;
    assert.is(found.trace[0].at, new Date(now - 1000).toISOString());
    assert.is(found.links.array, `/api/v1/arrays/${found.array}`);
  }),
);

test(
  "a clustered array that is out of its cluster is named, with the reason",
  inFolder(async (folder) => {
    await using api = await openApiBench({ folder, images: ["disk1", "disk2"] });
    const order = { name: "md0", level: "raid1", device_ids: ["disk1", "disk2"] };
    await api.do("POST", "/api/v1/arrays", { ...order, bitmap: "clustered" });
    const { uuid } = api.engine.array("md0");
    api.engine.expel(uuid, "it was silent");
    const { body } = await api.ask("GET", "/api/v1/dlm");
    assert.equal(body.items, []);
    const [found] = body.absent;
    assert.equal([found.name, found.code, found.cluster], ["md0", "CLUSTER_EXPELLED", "attic"]);
    assert.match(found.message, "it was silent");
    assert.equal([found.desired_state, found.tries_again], ["started", true]);
  }),
);

test(
  "an array tells its slot, nodes and resync=REMOTE; the metrics count what was held",
  inFolder(async (folder) => {
    await using api = await openApiBench({ folder, images: ["disk1", "disk2"] });
    const order = { name: "md0", level: "raid1", device_ids: ["disk1", "disk2"] };
    await api.do("POST", "/api/v1/arrays", order);
    const array = api.engine.array("md0");
    array.writeHolds = { byRange: 3, byGate: 1, held: 2, p50Ms: 1.5, p99Ms: 40, maxMs: 41 };
    const damaged = [{ key: "lk/resync", code: "DLM_BAD_RESOURCE", message: "no lock" }];
    array.show({
      cluster: {
        slot: 1,
        resync: "REMOTE",
        pendingAction: null,
        remote: [{ slot: 0, from: 0, to: 4096 }],
        balancesReads: false,
        recovering: [],
        expelled: null,
      },
      peers: {
        phase: "entered",
        nodes: [{ slot: 0, node: "a" }],
        awaited: "waiting for a",
        damaged,
      },
    });
    const { body } = await api.ask("GET", "/api/v1/arrays/md0");
    assert.equal(body.status.cluster, {
      slot: 1,
      phase: "entered",
      nodes: [{ slot: 0, node: "a" }],
      resync: "REMOTE",
      pending_action: null,
      remote: [{ slot: 0, from: 0, to: 4096 }],
      balances_reads: false,
      recovering: [],
      awaited: "waiting for a",
      damaged,
    });
    const { health, health_reasons: reasons } = body.status;
    assert.is(health, "resyncing", "by another board");
    const codes = reasons.map(({ code }: { code: string }) => code);
    assert.equal(codes, ["resync-running", "cluster-store-damaged"]);
    assert.match(reasons[1].message, "lk/resync");
    const { body: system } = await api.ask("GET", "/api/v1/system");
    assert.match(JSON.stringify(system.health), "The cluster store is damaged: md0.");
    const { body: text } = await api.ask("GET", "/metrics");
    for (const line of [
      'satsuma_cluster_nodes{array="md0"} 1',
      'satsuma_cluster_slot{array="md0"} 1',
      'satsuma_cluster_remote_sync{array="md0"} 1',
      'satsuma_cluster_held_writes_total{array="md0",reason="range"} 3',
      'satsuma_cluster_held_writes_total{array="md0",reason="gate"} 1',
      'satsuma_cluster_held_writes{array="md0"} 2',
      'satsuma_cluster_held_write_seconds{array="md0",quantile="0.99"} 0.04',
    ]) {
      assert.match(text, line);
    }
  }),
);

test.run();
