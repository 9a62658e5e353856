/** A board leaves service and comes back: what is refused, handed over, kept over a restart. */
import { basename } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { CodedError } from "../../../src/common/errors.ts";
import type { DrainMode } from "../../../src/control/drain-decision.ts";
import type { Quorum } from "../../../src/control/impact-types.ts";
import { createOrder } from "../../helpers/array-values.ts";
import { clusterView } from "../../helpers/cluster-values.ts";
import { type BenchOptions, type ControlBench, openBench } from "../../helpers/control-bench.ts";
import { inFolder } from "../../helpers/temporary-folder.ts";

const test = suite("control/drain");

/** md0 on two disks, also run by board b; its export md0 has a client. */
const openBoard = async (
  folder: string,
  nodes: readonly string[] = ["opi-a", "b"],
  options: Partial<BenchOptions> = {},
): Promise<ControlBench> => {
  const bench = await openBench({ folder, images: ["disk1", "disk2"], ...options });
  const { control, engine } = bench;
  const order = createOrder({ bitmap: "clustered", nodes: 4 });
  const job = await control.arrayCommands.create(order, "test");
  assert.is((await control.jobs.waitFor(job.id, AbortSignal.timeout(5000))).state, "succeeded");
  const made = { name: "md0", array: "md0", description: "", readOnly: false, tlsRequired: false };
  await control.exports.create(made);
  engine.attach("md0");
  runBy(bench, nodes);
  return bench;
};

const runBy = ({ engine }: ControlBench, nodes: readonly string[]): void => {
  const array = engine.array("md0");
  const peers = nodes.map((node, slot) => ({ slot, node }));
  array.show({ peers: { phase: "entered", nodes: peers, awaited: null, damaged: [] } });
  const members = nodes.map((node, slot) => ({
    slot,
    node,
    address: node === "b" ? "10.0.0.2:10809" : "0.0.0.0:10809",
    epoch: 20 + slot,
    isMe: node === "opi-a",
  }));
  array.view = clusterView({ members });
};

const drain = async (
  { control }: ControlBench,
  mode: DrainMode = "drain",
  force = false,
): Promise<string> => {
  try {
    const job = await control.drains.drain("opi-a", mode, force, "test");
    const ended = await control.jobs.waitFor(job.id, AbortSignal.timeout(5000));
    return ended.problem === null ? ended.state : ended.problem.message;
  } catch (error) {
    return `${(error as CodedError).code}: ${(error as CodedError).message}`;
  }
};

const undrain = async ({ control }: ControlBench): Promise<string> => {
  const job = control.drains.undrain("opi-a", "test");
  const ended = await control.jobs.waitFor(job.id, AbortSignal.timeout(5000));
  return ended.problem === null ? ended.state : ended.problem.message;
};

test(
  "a drained board has left its arrays, its clients are told where else, its disks are whole",
  inFolder(async (folder) => {
    await using bench = await openBoard(folder);
    const { control, engine } = bench;
    const array = engine.array("md0");
    assert.is(await drain(bench), "succeeded");
    assert.equal([engine.openExports.size, engine.attached.length, engine.arrays.size], [0, 0, 0]);
    assert.ok(array.calls.includes("stop"));
    assert.match(control.exports.find("md0").reason ?? "", "attach it at 10.0.0.2:10809");
    const states = array.status.members.map((member) => member.states);
    assert.equal(states, [["in_sync"], ["in_sync"]], "peers go on using its disks");
    assert.equal(control.drains.record?.arrays[0]?.elsewhere, [
      { board: "b", address: "10.0.0.2:10809" },
    ]);
  }),
);

test(
  "clients of a drained board are sent to boards that run its array now, over a restart too",
  inFolder(async (folder) => {
    const b = { node: "b", address: "10.0.0.2:10809" };
    const c = { node: "c", address: "0.0.0.0:10809" };
    const runners: { now: readonly { node: string; address: string }[] | null } = { now: [b] };
    const boards = { runners: async () => runners.now };
    const bench = await openBoard(folder, ["opi-a", "b"], { boards });
    const { control } = bench;
    const reason = (): string => control.exports.find("md0").reason ?? "";
    assert.is(await drain(bench), "succeeded");
    runners.now = [c, { node: "opi-a", address: "10.0.0.1:10809" }];
    await control.rounds.round();
    assert.is(reason(), "its board is out of service: attach it at c:10809");
    runners.now = null;
    await control.rounds.round();
    assert.match(reason(), "c:10809", "nobody told: what was known last");
    await bench.kill();
    await using again = await openBench({ folder, boards });
    assert.match(again.control.exports.find("md0").reason ?? "", "c:10809");
    runners.now = [];
    await again.control.rounds.round();
    assert.is(again.control.exports.find("md0").reason, "its board is out of service");
    assert.equal(again.control.drains.record?.arrays[0]?.elsewhere, []);
  }),
);

test(
  "an array that nobody else runs keeps its board in service, unless it is forced",
  inFolder(async (folder) => {
    await using bench = await openBoard(folder, ["opi-a"]);
    const { control, engine } = bench;
    assert.match(await drain(bench), "CONTROL_DRAIN_REFUSED");
    assert.equal([control.drains.record, engine.openExports.size], [null, 1]);
    assert.is(await drain(bench, "drain", true), "succeeded");
    assert.is(engine.arrays.size, 0);
  }),
);

test(
  "maintenance is refused where it would cost the last in-sync copy or the quorum, forced or not",
  inFolder(async (folder) => {
    const quorum: { now: Quorum | null } = { now: null };
    const disks = { own: ["disk1.img", "disk2.img"] };
    const boards = {
      quorum: async () => quorum.now,
      boardOf: (path: string) => (disks.own.includes(basename(path)) ? "opi-a" : "b"),
    };
    await using bench = await openBoard(folder, ["opi-a", "b"], { boards });
    const { engine } = bench;
    const refusal = await drain(bench, "maintenance", true);
    assert.match(refusal, "last in-sync copy", "both disks are this board's");
    disks.own = ["disk1.img"];
    const voter = (name: string, isHealthy: boolean) => ({ name, board: name, isHealthy });
    const voters = [voter("opi-a", true), voter("b", true), voter("c", false)];
    quorum.now = { voters, problem: null };
    assert.match(await drain(bench, "maintenance", true), "etcd would have 1 of 3 members");
    assert.is(engine.arrays.size, 1, "nothing was done");
    quorum.now = { voters: voters.map((one) => ({ ...one, isHealthy: true })), problem: null };
    assert.is(await drain(bench, "maintenance"), "succeeded");
  }),
);

test(
  "maintenance fails the board's own disks before it leaves, and takes them back by bitmap",
  inFolder(async (folder) => {
    const boardOf = (path: string) => (basename(path) === "disk1.img" ? "opi-a" : "b");
    await using bench = await openBoard(folder, ["opi-a", "b"], { boards: { boardOf } });
    const { control, engine, image } = bench;
    const array = engine.array("md0");
    const { uuid } = array;
    assert.is(await drain(bench, "maintenance"), "succeeded");
    const failed = array.status.members.find(({ path }) => path === image("disk1"));
    assert.equal(failed?.states, ["faulty"]);
    assert.equal(control.drains.record?.members, [{ uuid, path: image("disk1") }]);
    assert.equal([control.drains.record?.mode, engine.arrays.size], ["maintenance", 0]);

    // The others have gone on: what is there now is newer, and disk1 is out of it.
    for (const [path, { md }] of engine.contents)
      if (md !== undefined) engine.hold(path, { md: { ...md, events: 100 } });
    const assemble = engine.assemble.bind(engine);
    engine.assemble = async (paths, order) => {
      const stale = image("disk1");
      const running = await assemble(
        paths.filter((path) => path !== stale),
        order,
      );
      engine.hold(stale, { md: { ...engine.superblock(running.status, stale), events: 0 } });
      return running;
    };
    assert.is(await undrain(bench), "succeeded");
    assert.is(control.drains.record, null);
    assert.ok(engine.openExports.has("md0"), "clients may come back");
    const back = engine.array("md0").status.members.find(({ path }) => path === image("disk1"));
    assert.equal(back?.states, ["in_sync"]);
  }),
);

test(
  "a board that was drained stays so over a restart, and one cut short is gone through with",
  inFolder(async (folder) => {
    const first = await openBoard(folder);
    assert.is(await drain(first), "succeeded");
    first.engine.closedReasons.clear();
    await first.kill();
    {
      await using again = await openBench({ folder, engine: first.engine });
      assert.is(again.control.drains.record?.isDone, true);
      assert.is(again.engine.arrays.size, 0, "its array is not started");
      assert.match(again.engine.closedReasons.get("md0") ?? "", "attach it at 10.0.0.2:10809");
      assert.is(await undrain(again), "succeeded");
      assert.ok(again.control.arrays.find("md0").isRunning);
      runBy(again, ["opi-a", "b"]);
      // The power goes after the first word of a drain.
      const { uuid } = again.control.arrays.find("md0").record;
      const record = { mode: "drain", since: 1, isDone: false, members: [] };
      const arrays = [{ uuid, elsewhere: [] }];
      again.control.store.settings.set("node.drain", JSON.stringify({ ...record, arrays }));
    }
    await using third = await openBench({ folder, engine: first.engine });
    assert.equal([third.engine.arrays.size, third.control.drains.record?.isDone], [0, true]);
  }),
);

test(
  "another board is not this one's to drain, and a verb waits for the one under way",
  inFolder(async (folder) => {
    await using bench = await openBoard(folder);
    const { control } = bench;
    const code = async (work: () => unknown): Promise<string> => {
      try {
        await work();
        return "done";
      } catch (error) {
        return (error as CodedError).code;
      }
    };
    assert.is(
      await code(() => control.drains.drain("b", "drain", false, "test")),
      "CONTROL_NODE_ELSEWHERE",
    );
    assert.is(await code(() => control.drains.undrain("opi-a", "test")), "CONTROL_NODE_IN_SERVICE");
    assert.is(await drain(bench), "succeeded");
    assert.match(await drain(bench, "maintenance"), "CONTROL_NODE_DRAINED");
  }),
);

test(
  "what is refused on the way puts the board back into service",
  inFolder(async (folder) => {
    await using bench = await openBoard(folder);
    const { control, engine } = bench;
    const array = engine.array("md0");
    array.stop = async () => {
      throw new CodedError("CLUSTER_NODE_BUSY", "another node resyncs");
    };
    assert.match(await drain(bench), "another node resyncs");
    assert.equal([control.drains.record, engine.openExports.has("md0")], [null, true]);
    const events = control.events.page({
      order: "desc",
      from: null,
      limit: 100,
      types: [],
      subject: null,
    });
    assert.ok(events.some(({ type }) => type === "node.drain-failed"));
  }),
);

test.run();
