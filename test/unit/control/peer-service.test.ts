/** What of this board its peers get, and who gets nothing. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { PeerService } from "../../../src/control/peer-service.ts";
import { openBench } from "../../helpers/control-bench.ts";
import { FakeEngine } from "../../helpers/fake-engine.ts";
import { FakePeers } from "../../helpers/peer-values.ts";
import { inFolder } from "../../helpers/temporary-folder.ts";

const test = suite("control/peer-service");

test(
  "peers get the disks that are there; refused certificates are told with each look",
  inFolder(async (folder) => {
    const engine = new FakeEngine();
    const peers = new FakePeers();
    engine.peers = peers;
    await using bench = await openBench({ folder, engine, images: ["disk1", "disk2"] });
    assert.equal(peers.served.map(({ id }) => id).sort(), ["disk1", "disk2"]);
    const { devices } = bench.control;
    let refused: readonly string[] = [];
    const service = new PeerService({ engine, devices, refused: () => refused });
    refused = ["0A"];
    await service.tick();
    assert.equal(peers.refused, ["0A"]);
  }),
);

test.run();
