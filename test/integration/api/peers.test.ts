/** Boards that serve their disks to each other over the API: devices, ways, metrics, attention. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type ApiBench, openApiBench } from "../../helpers/api-bench.ts";
import { FakeEngine } from "../../helpers/fake-engine.ts";
import { DISK, FakePeers, peerBoard } from "../../helpers/peer-values.ts";
import { inFolder } from "../../helpers/temporary-folder.ts";

const test = suite("api/peers");

/** Board opi-a with disk1; board b lives, with a disk of that name as well. */
const openBoards = async (folder: string): Promise<ApiBench & { readonly peers: FakePeers }> => {
  const engine = new FakeEngine();
  const peers = new FakePeers();
  engine.peers = peers;
  peers.live = [peerBoard("b", { epoch: 7, reaches: ["opi-a"] })];
  const api = await openApiBench({ folder, engine, images: ["disk1", "disk2"] });
  return Object.assign(api, { peers });
};

test(
  "a peer's disk is a device with its board, and goes with it; own disks are served",
  inFolder(async (folder) => {
    await using api = await openBoards(folder);
    const list = async () => {
      await api.control.monitor.tick();
      const { body } = await api.ask("GET", "/api/v1/devices");
      return body.items.map(
        (device: { id: string; status: { node: string; path: string; state: string } }) =>
          `${device.id} ${device.status.node} ${device.status.path} ${device.status.state}`,
      );
    };
    const own = ["disk1", "disk2"].map((id) => `${id} opi-a ${folder}/disks/${id}.img free`);
    assert.equal(await list(), ["b.disk1 b peer:b/disk1 free", ...own]);
    api.peers.live = [];
    assert.equal(await list(), own);
    assert.equal(
      api.peers.served.map(({ id, path }) => `${id} ${path}`),
      ["disk1", "disk2"].map((id) => `${id} ${folder}/disks/${id}.img`),
    );
  }),
);

test(
  "a board that began anew is another device: a file of the same name is not the same one",
  inFolder(async (folder) => {
    await using api = await openBoards(folder);
    await api.control.monitor.tick();
    const before = api.control.devices.fileAt("peer:b/disk1");
    api.peers.live = [peerBoard("b", { epoch: 8 })];
    await api.control.monitor.tick();
    const after = api.control.devices.fileAt("peer:b/disk1");
    assert.is.not(after?.identity, before?.identity);
  }),
);

test(
  "disks of other boards are refused outside of clustered arrays",
  inFolder(async (folder) => {
    await using api = await openBoards(folder);
    await api.control.monitor.tick();
    const order = { name: "md0", level: "raid1", device_ids: ["disk1", "b.disk1"] };
    const { body } = await api.ask("POST", "/api/v1/arrays", { body: order });
    assert.is(body.code, "CONTROL_PEERS_DISK");
  }),
);

test(
  "boards, ways, attention and metrics tell of each other",
  inFolder(async (folder) => {
    await using api = await openBoards(folder);
    await api.control.monitor.tick();
    const here = peerBoard("opi-a", { isHere: true, disks: [DISK] });
    api.peers.live = [here, peerBoard("b", { reaches: [] }), peerBoard("c")];
    const way = { disk: "disk1", inFlight: 1, reconnects: 2, lastError: null } as const;
    api.peers.ways = [
      { ...way, board: "b", state: "up", latencyMs: 4 },
      { ...way, board: "c", state: "gone", latencyMs: null, lastError: "no answer" },
    ];
    api.peers.open = { isOpen: false, reason: "the store is away", draining: [] };
    const { body } = await api.ask("GET", "/api/v1/peers");
    assert.equal([body.exporter.open, body.exporter.reason], [false, "the store is away"]);
    const ways = body.paths.map(
      (path: { node: string; device_node: string; state: string }) =>
        `${path.node}>${path.device_node} ${path.state}`,
    );
    assert.equal(ways.slice(0, 3), ["opi-a>opi-a local", "opi-a>b up", "opi-a>c down"]);
    assert.is(body.paths[1].latency, 0.004);
    const { health } = (await api.ask("GET", "/api/v1/system")).body;
    assert.equal(
      health.attention.map(({ code, message }: Record<string, string>) => [code, message]),
      [
        ["member-exports-closed", "this board serves its disks to nobody: the store is away"],
        ["peer-unreachable", "board c cannot be reached, and whether it lives is not known here"],
      ],
    );
    const metrics = String((await api.ask("GET", "/metrics")).body);
    assert.match(metrics, 'satsuma_node_up{node="b"} 1');
    assert.match(metrics, 'satsuma_peer_latency_seconds{node="b",disk="disk1"} 0.004');
    assert.match(metrics, 'satsuma_peer_up{node="c",disk="disk1"} 0');
    api.peers.live = [here];
    const stateOf = async () => {
      const { items } = (await api.ask("GET", "/api/v1/peers")).body;
      const found = items.find((item: { id: string }) => item.id === "b");
      return [found.state, found.disks[0].device_id];
    };
    assert.equal(await stateOf(), ["unknown", "b.disk1"], "this board hears of nobody");
    api.peers.open = { isOpen: true, reason: null, draining: [] };
    assert.equal(await stateOf(), ["away", "b.disk1"]);
  }),
);

test(
  "a board that serves no disks has no peers",
  inFolder(async (folder) => {
    await using api = await openApiBench({ folder });
    const { body } = await api.ask("GET", "/api/v1/peers");
    assert.equal([body.exporter, body.items, body.paths], [null, [], []]);
    assert.not.match(String((await api.ask("GET", "/metrics")).body), "satsuma_node_up");
  }),
);

test.run();
