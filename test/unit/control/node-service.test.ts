/** What a board tells of others that are away, and of their disks: nothing of it is called safe. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { peerDeviceId, peerPath } from "../../../src/hal/peer-path.ts";
import { createOrder } from "../../helpers/array-values.ts";
import { openBench } from "../../helpers/control-bench.ts";
import { FakeEngine } from "../../helpers/fake-engine.ts";
import { FakePeers, peerBoard } from "../../helpers/peer-values.ts";
import { inFolder } from "../../helpers/temporary-folder.ts";

const test = suite("control/node-service");

test(
  "the disk of a board that is away may be the only good copy of what does not run here",
  inFolder(async (folder) => {
    const engine = new FakeEngine();
    const peers = new FakePeers();
    engine.peers = peers;
    engine.cluster = "c";
    peers.live = [peerBoard("b")];
    const images = ["disk1", "disk2"];
    const disk = { board: "b", disk: "disk1" };
    const boards = {
      boardOf: (path: string) => (path === peerPath(disk) ? "b" : "opi-a"),
      names: () => peers.live.map(({ name }) => name),
    };
    await using bench = await openBench({ folder, engine, images, boards });
    const { nodes, arrays, arrayCommands, jobs, devices } = bench.control;
    const made = await arrayCommands.create(createOrder({ bitmap: "clustered", nodes: 4 }), "test");
    await jobs.waitFor(made.id, AbortSignal.timeout(5000));
    assert.equal(nodes.names(), ["b", "opi-a"]);

    const { uuid } = arrays.find("md0").record;
    const order = { confirm: "md0", force: true, forget: false };
    const stopped = arrayCommands.stop(uuid, order, "test");
    await jobs.waitFor(stopped.id, AbortSignal.timeout(5000));
    peers.live = [];
    await devices.readAll(devices.paths());
    assert.equal(nodes.names(), ["b", "opi-a"], "it is away, not unknown");
    const pull = await nodes.deviceImpact(peerDeviceId(disk));
    assert.equal([pull.verdict, pull.unjudged], ["unknown", ["md0"]]);
    const stop = await nodes.boardImpact("b");
    assert.is(stop.verdict, "unknown");
    assert.match(stop.reasons[0] ?? "", "b is away");
    const all = (await nodes.impacts()).filter(({ verdict }) => verdict === "safe");
    assert.equal(all, []);
    peers.open = { isOpen: false, reason: "cut off", draining: [] };
    assert.equal(nodes.names(), ["opi-a"], "who is cut off knows of nobody that he is away");
  }),
);

test.run();
