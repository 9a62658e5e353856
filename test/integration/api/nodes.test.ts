/** Boards over the API: what is lost if one stops, safe to pull, drain and back, restart. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { ImpactResource } from "../../../src/api/schemas/node.ts";
import { type ApiBench, openApiBench } from "../../helpers/api-bench.ts";
import { clusterView } from "../../helpers/cluster-values.ts";
import { inFolder } from "../../helpers/temporary-folder.ts";
import { eventually } from "../../helpers/timeout.ts";

const test = suite("api/nodes");
const HERE = "/api/v1/nodes/opi-a";

/** md0 on two disks, exported, run by this board and b. */
const openBoards = async (folder: string): Promise<ApiBench> => {
  const api = await openApiBench({ folder, images: ["disk1", "disk2", "free"] });
  const order = { name: "md0", level: "raid1", device_ids: ["disk1", "disk2"] };
  await api.do("POST", "/api/v1/arrays", { ...order, bitmap: "clustered" });
  await api.ask("POST", "/api/v1/exports", { body: { name: "md0", array: "md0" } });
  const array = api.engine.array("md0");
  const nodes = ["opi-a", "b"].map((node, slot) => ({ slot, node }));
  array.show({ peers: { phase: "entered", nodes, awaited: null, damaged: [] } });
  const members = nodes.map(({ slot, node }) => {
    const address = node === "b" ? "10.0.0.2:10809" : "127.0.0.1:10809";
    return { slot, node, address, epoch: 20 + slot, isMe: node === "opi-a" };
  });
  array.view = clusterView({ members });
  return api;
};

test(
  "boards that run an array are listed, and this one tells of itself",
  inFolder(async (folder) => {
    await using api = await openBoards(folder);
    const { body } = await api.ask("GET", "/api/v1/nodes");
    const [other, here] = body.items;
    assert.equal([other.name, other.here, other.status], ["b", false, null]);
    assert.equal([here.name, here.status.state], ["opi-a", "in-service"]);
    assert.equal(here.status.arrays[0].nodes, ["opi-a", "b"]);
    assert.is((await api.ask("GET", "/api/v1/nodes/c")).body.code, "CONTROL_NODE_NOT_FOUND");
  }),
);

test(
  "the impact of a board and of a device is told in words and numbers",
  inFolder(async (folder) => {
    await using api = await openBoards(folder);
    const stop = (await api.ask("GET", `${HERE}/impact`)).body;
    assert.equal([stop.safe, stop.verdict], [false, "loses"], "both disks are this board's");
    assert.equal([stop.arrays[0].copies_before, stop.arrays[0].copies_after], [2, 0]);
    const pull = (await api.ask("GET", "/api/v1/devices/disk1/impact")).body;
    assert.equal([pull.safe, pull.verdict], [true, "degrades"]);
    assert.match(pull.sentence, "md0 has less redundancy");
    const free = (await api.ask("GET", "/api/v1/devices/free/impact")).body;
    assert.is(free.sentence, "Safe: nothing is lost when free is pulled.");
    const other = (await api.ask("GET", "/api/v1/nodes/b/impact")).body;
    assert.equal([other.verdict, other.arrays[0].nodes_after], ["safe", ["opi-a"]]);
    const { items } = (await api.ask("GET", "/api/v1/impacts")).body;
    assert.equal(
      items.map(({ subject }: ImpactResource) => `${subject.kind} ${subject.name}`),
      ["board b", "board opi-a", "device disk1", "device disk2", "device free"],
    );
    assert.equal([items[0], items[1], items[2], items[4]], [other, stop, pull, free]);
  }),
);

test(
  "a board is drained, tells where its clients go on, and comes back",
  inFolder(async (folder) => {
    await using api = await openBoards(folder);
    const drained = await api.do("POST", `${HERE}/actions/drain`, {});
    assert.is(drained.status, 200);
    const { status } = (await api.ask("GET", HERE)).body;
    assert.is(status.state, "drained");
    assert.equal(status.elsewhere[0].addresses, ["10.0.0.2:10809"]);
    const { reason } = (await api.ask("GET", "/api/v1/exports/md0")).body.status;
    assert.match(reason, "attach it at 10.0.0.2:10809");
    const { elsewhere } = (await api.ask("GET", "/api/v1/exports/md0/attach")).body;
    assert.equal(elsewhere, [{ board: "b", uri: "nbd://10.0.0.2:10809/md0" }]);
    assert.is((await api.do("POST", `${HERE}/actions/undrain`)).status, 200);
    assert.is((await api.ask("GET", HERE)).body.status.state, "in-service");
    assert.is((await api.ask("GET", "/api/v1/exports/md0")).body.status.state, "online");
  }),
);

test(
  "a refusal says why; another board is to be asked itself",
  inFolder(async (folder) => {
    await using api = await openBoards(folder);
    const order = { mode: "maintenance" };
    const refused = await api.do("POST", `${HERE}/actions/drain`, order);
    assert.equal([refused.status, refused.body.code], [409, "CONTROL_DRAIN_REFUSED"]);
    assert.match(refused.body.details.reasons[0], "last in-sync copy");
    const other = await api.do("POST", "/api/v1/nodes/b/actions/drain", {});
    assert.equal([other.status, other.body.code], [421, "CONTROL_NODE_ELSEWHERE"]);
  }),
);

test(
  "a board that is needed is not restarted unless forced; else the daemon ends after its answer",
  inFolder(async (folder) => {
    await using api = await openBoards(folder);
    const refused = await api.ask("POST", `${HERE}/actions/restart`, { body: {} });
    assert.equal([refused.status, api.ends.count], [409, 0]);
    assert.is(refused.body.code, "CONTROL_RESTART_REFUSED");
    const forced = await api.ask("POST", `${HERE}/actions/restart`, { body: { force: true } });
    assert.is(forced.status, 202);
    await eventually("the daemon is to end", 5000, () => api.ends.count === 1);
  }),
);

test.run();
