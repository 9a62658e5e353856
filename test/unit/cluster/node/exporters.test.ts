/**
 * Boards that serve the members to each other: a node that is gone counts as fenced when each of
 * them has said that it serves it no more, or is gone for long enough itself.
 */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { fenceTime } from "../../../../src/cluster/store/permission.ts";
import { type ClusterHost, type EmbeddedWorld, QUICK } from "../../../helpers/cluster-host.ts";
import { DeafStore } from "../../../helpers/deaf-store.ts";
import { HandBoards } from "../../../helpers/hand-boards.ts";

const test = suite("cluster node: exporters");
const FENCE_MS = fenceTime(QUICK.permitMs);
/** Longer than everything that a node waits for by itself. */
const LONG_MS = 4 * (QUICK.leaseMs + FENCE_MS);

const condition = (host: ClusterHost, slot: number) => host.view.slots[slot]?.condition;

const waits = (host: ClusterHost): string => host.view.waits.join("\n");

const NODES = ["a", "b"] as const;

/** No node is a member. */
const isEmpty = ({ memory, keys }: EmbeddedWorld): boolean =>
  memory.map.list(keys.members).length === 0;

/** Two nodes, and boards with exporters. */
const start = async (
  names: readonly string[],
  nodes: readonly string[] = NODES,
  timing: typeof QUICK = QUICK,
) => {
  const boards = new HandBoards();
  const { world } = boards;
  world.timing = timing;
  for (const name of names) await boards.begin(name);
  const hosts: ClusterHost[] = [];
  for (const node of nodes) hosts.push(await world.enter(node, { boards: boards.keys }));
  const [a, b] = hosts;
  if (a === undefined || b === undefined) throw new Error("two nodes are there");
  return { boards, world, a, b };
};

const sessionOf = ({ slot, view }: ClusterHost) => ({ slot: slot + 1, epoch: view.epoch });

test("each board has to say so, and the sentences name those that have not", async () => {
  const { boards, world, a, b } = await start(["board-a", "board-b", "board-c"]);
  const gone = sessionOf(a);
  a.die();
  await world.until("it is seen to be gone", () => condition(b, 0) === "gone");
  await boards.acknowledge("board-c", gone);
  await boards.acknowledge("board-a", gone);
  await world.rest(LONG_MS);
  assert.is(condition(b, 0), "gone");
  assert.match(waits(b), /^waiting for board-b to acknowledge the fence of node 1$/m);
  assert.not.match(waits(b), /board-[ac]|last confirmed/);
  assert.not.ok(b.notices.includes("recover-slot 0"));
  await boards.acknowledge("board-b", gone);
  await world.until("it is recovered", () => condition(b, 0) === "free");
  assert.ok(b.notices.includes("recover-slot 0"));
  world.end();
});

test("a node says that it takes part before its first client comes, until its session ends", async () => {
  const { world, a, b } = await start(["board-a"]);
  const said = ({ slot }: ClusterHost) => world.memory.map.get(world.keys.entered(slot + 1))?.value;
  for (const host of [a, b]) assert.is(said(host), String(host.view.epoch));
  a.die();
  await world.until("its lease is over", () => said(a) === undefined);
  world.end();
});

test("a node that leaves with bits to recover is fenced: a write of it may hang at a board", async () => {
  const { boards, world, a, b } = await start(["board-a"]);
  const gone = sessionOf(a);
  await world.ok(a, { type: "leave", needsSync: true });
  await world.until("it is seen to be gone", () => condition(b, 0) === "gone");
  await world.rest(LONG_MS);
  assert.not.ok(b.notices.includes("recover-slot 0"));
  await boards.acknowledge("board-a", gone);
  await world.until("it is recovered", () => condition(b, 0) === "free");
  assert.ok(b.notices.includes("recover-slot 0"));
  world.end();
});

test("what was said of an earlier session is not enough", async () => {
  const { boards, world, a, b } = await start(["board-b"]);
  const { slot, epoch } = sessionOf(a);
  await boards.acknowledge("board-b", { slot, epoch: epoch - 1 });
  a.die();
  await world.rest(LONG_MS);
  assert.is(condition(b, 0), "gone");
  await boards.acknowledge("board-b", { slot, epoch });
  await world.until("it is recovered", () => condition(b, 0) === "free");
  world.end();
});

test("a board that is gone is waited for as a node is: so long after its last confirmation", async () => {
  const { boards, world, a, b } = await start(["board-a", "board-b"]);
  const gone = sessionOf(a);
  a.die();
  await world.until("it is seen to be gone", () => condition(b, 0) === "gone");
  await boards.acknowledge("board-b", gone);
  await world.rest(LONG_MS);
  await boards.end("board-a");
  const since = world.clock.now();
  await world.until("it is said", () => /to be fenced/.test(waits(b)));
  assert.match(
    waits(b),
    /^waiting for board-a, which last confirmed 0\.\d s ago, to be fenced, 1/m,
  );
  await world.until("it is recovered", () => condition(b, 0) === "free");
  assert.ok(world.clock.now() - since >= FENCE_MS - 200, "its own gate has closed by then");
  world.end();
});

test("a board that dies with the node costs nothing: both were heard last at the same time", async () => {
  const { boards, world, a, b } = await start(["board-a", "board-b"]);
  const gone = sessionOf(a);
  a.die();
  boards.stop("board-a");
  await world.until("it is seen to be gone", () => condition(b, 0) === "gone");
  const since = world.clock.now();
  await boards.acknowledge("board-b", gone);
  await world.until("it is fenced", () => condition(b, 0) !== "gone");
  assert.ok(world.clock.now() - since < 600, `${world.clock.now() - since} ms`);
  world.end();
});

test("a node is fenced as soon as the last board has said so, whoever confirms meanwhile", async () => {
  const { boards, world, a, b } = await start(["board-a", "board-b"]);
  const gone = sessionOf(a);
  a.die();
  await world.until("it is seen to be gone", () => condition(b, 0) === "gone");
  await boards.acknowledge("board-a", gone);
  await world.rest(400);
  boards.hush();
  const since = world.clock.now();
  await boards.acknowledge("board-b", gone);
  await world.until("it is fenced", () => condition(b, 0) !== "gone");
  assert.ok(world.clock.now() - since <= 200, `${world.clock.now() - since} ms`);
  world.end();
});

test("or as soon as its own time is over, however much the array has told meanwhile", async () => {
  const { boards, world, a, b } = await start(["board-a", "board-b"], NODES, {
    ...QUICK,
    permitMs: 2200,
  });
  const gone = sessionOf(a);
  const died = world.clock.now();
  a.die();
  await world.until("it is seen to be gone", () => condition(b, 0) === "gone");
  for (const name of ["board-a", "board-b"]) await boards.acknowledge(name, gone);
  boards.hush();
  await world.until("it is fenced", () => condition(b, 0) !== "gone");
  const late = world.clock.now() - died - fenceTime(2200);
  assert.ok(late <= 200, `${late} ms`);
  world.end();
});

test("a board that is back in another life has to say so again, whatever its last one said", async () => {
  const { boards, world, a, b } = await start(["board-b"]);
  const gone = sessionOf(a);
  await boards.acknowledge("board-b", { ...gone, epoch: gone.epoch + 1000 });
  // The key outlives its lease in what this node is shown.
  world.put(world.keys.fence("board-b", gone.slot), String(gone.epoch + 1000));
  await boards.end("board-b");
  await boards.begin("board-b");
  a.die();
  await world.rest(LONG_MS);
  assert.is(condition(b, 0), "gone");
  assert.match(waits(b), /board-b to acknowledge the fence of node 1/);
  await boards.acknowledge("board-b", gone);
  await world.until("it is recovered", () => condition(b, 0) === "free");
  world.end();
});

test("a board that the watch has lost is found by the transaction that decides", async () => {
  const boards = new HandBoards();
  const { world } = boards;
  world.timing = QUICK;
  await boards.begin("board-b");
  const store = new DeafStore(world.memory, world.clock);
  store.hears = (key) => !key.includes("board-c");
  const a = await world.enter("a", { boards: boards.keys });
  const b = await world.enter("b", { boards: boards.keys, store });
  await boards.begin("board-c");
  const gone = sessionOf(a);
  await boards.acknowledge("board-b", gone);
  a.die();
  await world.rest(LONG_MS);
  assert.is(condition(b, 0), "gone");
  await boards.acknowledge("board-c", gone);
  await world.until("it is recovered", () => condition(b, 0) === "free");
  world.end();
});

test("no board is there: the node's own time is enough", async () => {
  const { world, a, b } = await start([]);
  a.die();
  await world.until("it is recovered", () => condition(b, 0) === "free");
  world.end();
});

test("a message of a node that is gone is finished when the boards serve it no more", async () => {
  const { boards, world, a, b } = await start(["board-b"], ["a", "b", "c"]);
  const c = world.hosts[2] as ClusterHost;
  c.holds = new Set(["resyncing"]);
  await world.ok(a, { type: "resync-start" });
  a.ask({ type: "resync-info-update", lo: 0, hi: 64 });
  await world.until("c is told", () => c.held !== null);
  const gone = sessionOf(a);
  a.die();
  await world.until("it is gone", () => condition(b, 0) === "gone");
  c.carryOut();
  await world.rest(LONG_MS);
  assert.is(b.view.message?.isDone, false);
  assert.match(
    waits(b),
    /^waiting for board-b to acknowledge the fence of node 1 before RESYNCING is finished$/m,
  );
  await boards.acknowledge("board-b", gone);
  await world.until("it is finished", () => b.view.message?.isDone === true);
  world.end();
});

test("a slot is adopted, where nobody else is left, when the boards have said so", async () => {
  const { boards, world, a, b } = await start(["board-a"]);
  world.nodes = 2;
  const sessions = [sessionOf(a), sessionOf(b)];
  a.die();
  b.die();
  await world.until("both are gone", () => isEmpty(world));
  const patienceMs = LONG_MS;
  const refused = await world.finish(
    "it is refused",
    world.join("c", { boards: boards.keys, patienceMs }).catch((error: Error) => error),
  );
  assert.is((refused as { code?: string }).code, "CLUSTER_NOT_FENCED");
  assert.match((refused as Error).message, /node 1 can write no more: board-a did not say so/);
  const late = boards.acknowledge("board-a", sessions[0] ?? sessionOf(a));
  const c = await world.join("c", { boards: boards.keys, patienceMs });
  await late;
  await world.finish("c enters", c.cluster?.start() ?? Promise.reject());
  assert.is(c.slot, 0);
  assert.is(condition(c, 1), "gone", "the other one is recovered when the boards say so");
  await boards.acknowledge("board-a", sessions[1] ?? sessionOf(b));
  await world.until("it is recovered", () => condition(c, 1) === "free");
  world.end();
});

test("a session whose slot something else has freed is seen to be gone, and ends as every one", async () => {
  const { boards, world, a, b } = await start(["board-a"]);
  const gone = sessionOf(b);
  a.die();
  b.die();
  await world.until("both are gone", () => isEmpty(world));
  world.put(world.keys.slot(1), null);
  world.put(world.keys.slot(2), null);
  world.put(world.keys.channel, null);
  const joining = world.join("c", { boards: boards.keys });
  await world.until("it is said", () => world.get(world.keys.slot(2)) === `live ${gone.epoch}`);
  const c = await joining;
  await world.finish("c enters", c.cluster?.start() ?? Promise.reject());
  assert.is(c.slot, 0);
  await world.rest(LONG_MS);
  assert.is(condition(c, 1), "gone");
  assert.match(waits(c), /^waiting for board-a to acknowledge the fence of node 2$/m);
  const written = world.memory.map.get(world.keys.slot(2))?.modRevision ?? 0;
  await boards.acknowledge("board-a", { slot: 2, epoch: written });
  await world.until("it is recovered", () => condition(c, 1) === "free");
  assert.ok(c.notices.includes("recover-slot 1"));
  world.end();
});

test("without boards that serve members nobody's word is waited for", async () => {
  const boards = new HandBoards();
  const { world } = boards;
  await boards.begin("board-a");
  const a = await world.enter("a");
  const b = await world.enter("b");
  a.die();
  await world.until("it is recovered", () => condition(b, 0) === "free");
  world.end();
});

test.run();
