/**
 * What a daemon finds and does when it starts again: over a real store and real files, with an
 * engine that remembers what superblocks would tell. A kill closes the store and tells nobody.
 */
import { renameSync, rmSync } from "node:fs";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { CodedError } from "../../../src/common/errors.ts";
import type { Store } from "../../../src/store/store.ts";
import { ASSEMBLE, createOrder } from "../../helpers/array-values.ts";
import { type ControlBench, MIB, makeImage, openBench } from "../../helpers/control-bench.ts";
import { FakeEngine } from "../../helpers/fake-engine.ts";
import { fakeSync } from "../../helpers/fake-status.ts";
import { inFolder } from "../../helpers/temporary-folder.ts";

const deadline = (): AbortSignal => AbortSignal.timeout(5000);

/** A board with the array md0 on disk1 and disk2 and its export. */
async function openBoard(folder: string): Promise<ControlBench> {
  const bench = await openBench({ folder, images: ["disk1", "disk2", "disk3"] });
  const { control } = bench;
  const job = await control.arrayCommands.create(createOrder(), "test");
  assert.is((await control.jobs.waitFor(job.id, deadline())).state, "succeeded");
  await control.exports.create({
    name: "md0",
    array: "md0",
    description: "",
    readOnly: false,
    tlsRequired: false,
  });
  return bench;
}

/** The next daemon on the folder: a new engine over the same superblocks. */
async function reopen(
  before: ControlBench,
  onStore: (store: Store) => void = () => undefined,
): Promise<ControlBench> {
  await before.kill();
  const engine = new FakeEngine();
  for (const [path, content] of before.engine.contents) engine.hold(path, content);
  for (const [uuid, status] of before.engine.lastStatuses) engine.lastStatuses.set(uuid, status);
  return await openBench({ folder: before.folder, engine, onStore });
}

/** A full filesystem under the store: every write of these tables fails. */
function refuseWrites(store: Store): void {
  const refuse = (): never => {
    throw new CodedError("STORE_FULL", "there is no space left");
  };
  store.arrays.put = refuse;
  store.devices.add = refuse;
  store.jobs.put = refuse;
}

const eventTypes = ({ control }: ControlBench): string[] =>
  control.events
    .page({ order: "asc", from: null, limit: 1000, types: [], subject: null })
    .map(({ type }) => type);

const test = suite("control/restart");

test(
  "arrays and exports come back by themselves after a kill",
  inFolder(async (folder) => {
    const first = await openBoard(folder);
    await using second = await reopen(first);
    const view = second.control.arrays.find("md0");
    assert.equal([view.isRunning, view.health], [true, "optimal"]);
    assert.equal([...second.engine.openExports.keys()], ["md0"]);
    assert.is(second.control.exports.find("md0").isOpen, true);
    assert.is(second.control.readiness().isReady, true);
    assert.ok(eventTypes(second).includes("array.started"));
  }),
);

test(
  "an array with a missing member waits for it, then starts degraded and is listed with it",
  inFolder(async (folder) => {
    const first = await openBoard(folder);
    rmSync(first.image("disk2"));
    await using second = await reopen(first);
    second.clock.now += 29_999;
    await second.control.rounds.round();
    assert.is(second.control.arrays.find("md0").isRunning, false);
    second.clock.now += 1;
    await second.control.rounds.round();
    const view = second.control.arrays.find("md0");
    assert.equal([view.isRunning, view.health], [true, "degraded"]);
    assert.is(second.control.devices.find("disk2").state, "missing");
  }),
);

test(
  "an array without members stays listed as inactive with the reason per member",
  inFolder(async (folder) => {
    const first = await openBoard(folder);
    rmSync(first.image("disk1"));
    rmSync(first.image("disk2"));
    await using second = await reopen(first);
    const view = second.control.arrays.find("md0");
    assert.equal([view.isRunning, view.health], [false, "inactive"]);
    assert.equal(
      view.reasons.map(({ code, path }) => [code, path]),
      [
        ["not-started", null],
        ["not-started", first.image("disk1")],
        ["not-started", first.image("disk2")],
      ],
    );
    assert.is(view.status?.sizeBytes, first.control.arrays.find("md0").status?.sizeBytes);
    assert.is(second.control.exports.find("md0").isOpen, false);
    assert.ok(eventTypes(second).includes("array.start-failed"));
    assert.match(second.control.health().sentence, "md0 could not start");
  }),
);

test(
  "an array that could not start starts when the last device that carries it appears",
  inFolder(async (folder) => {
    const first = await openBoard(folder);
    const away = (name: string): string => `${first.folder}/${name}`;
    renameSync(first.image("disk1"), away("disk1"));
    renameSync(first.image("disk2"), away("disk2"));
    await using second = await reopen(first);
    renameSync(away("disk2"), first.image("disk2"));
    await second.control.monitor.tick();
    const waiting = second.control.arrays.find("md0");
    assert.equal([waiting.isRunning, waiting.health], [false, "inactive"]);
    assert.match(waiting.startProblem?.message ?? "", "1 of 2 raid devices are there");
    renameSync(away("disk1"), first.image("disk1"));
    await second.control.monitor.tick();
    const view = second.control.arrays.find("md0");
    assert.equal([view.isRunning, view.health], [true, "optimal"]);
    assert.is(second.control.exports.find("md0").isOpen, true);
  }),
);

test(
  "a member that moved to another path is found by its superblock",
  inFolder(async (folder) => {
    const first = await openBoard(folder);
    renameSync(first.image("disk2"), first.image("moved"));
    const content = first.engine.contents.get(first.image("disk2"));
    first.engine.hold(first.image("moved"), content ?? {});
    await using second = await reopen(first);
    const paths = second.control.arrays.find("md0").record.memberPaths;
    assert.equal([...paths].sort(), [first.image("disk1"), first.image("moved")]);
  }),
);

test(
  "a stopped array stays stopped, its speed limits stay set, until it is assembled",
  inFolder(async (folder) => {
    const first = await openBoard(folder);
    await first.control.memberCommands.setSync("md0", { speedMin: 7000, speedMax: 8000 }, "t");
    const stop = { confirm: "md0", force: false, forget: false };
    const job = first.control.arrayCommands.stop("md0", stop, "test");
    assert.is((await first.control.jobs.waitFor(job.id, deadline())).state, "succeeded");
    await using second = await reopen(first);
    const { control } = second;
    assert.equal(
      [control.arrays.find("md0").isRunning, control.arrays.find("md0").health],
      [false, "inactive"],
    );
    assert.is(control.health().sentence, "No array runs. 1 array stopped by request.");
    const start = await control.arrayCommands.assemble("md0", ASSEMBLE, "test");
    assert.is((await control.jobs.waitFor(start.id, deadline())).state, "succeeded");
    const { syncSpeedMin, syncSpeedMax } = second.engine.array("md0").status;
    assert.equal([syncSpeedMin, syncSpeedMax], [7000, 8000]);
    assert.is(control.exports.find("md0").isOpen, true);
  }),
);

test(
  "one array that cannot start leaves the others alone",
  inFolder(async (folder) => {
    const first = await openBoard(folder);
    const other = createOrder({ name: "md1", devices: ["disk3"], raidDevices: 2 });
    const job = await first.control.arrayCommands.create(other, "test");
    await first.control.jobs.waitFor(job.id, deadline());
    await first.kill();
    const engine = new FakeEngine();
    for (const [path, content] of first.engine.contents) engine.hold(path, content);
    for (const [uuid, status] of first.engine.lastStatuses) engine.lastStatuses.set(uuid, status);
    const error = new CodedError("RAID_ASSEMBLY_REFUSED", "torn superblock", {
      details: { members: [{ path: "/x", reason: "checksum" }] },
    });
    engine.failNext = { call: "assemble", error };
    await using second = await openBench({ folder, engine });
    const states = second.control.arrays.list().map(({ isRunning }) => isRunning);
    assert.equal([...states].sort(), [false, true]);
    const failed = second.control.arrays.list().find(({ isRunning }) => !isRunning);
    assert.equal(failed?.startProblem?.members, [{ path: "/x", reason: "checksum" }]);
  }),
);

test(
  "a full filesystem under the store does not keep arrays from their clients",
  inFolder(async (folder) => {
    const first = await openBoard(folder);
    makeImage(first.image("disk4"), 8 * MIB);
    await using second = await reopen(first, refuseWrites);
    const { control } = second;
    assert.equal(
      [control.arrays.find("md0").health, control.readiness().isReady],
      ["optimal", true],
    );
    assert.is(control.exports.find("md0").isOpen, true);
    assert.is(control.devices.find("disk4").state, "free");
    const order = createOrder({ name: "md1", devices: ["disk3", "disk4"] });
    const job = await control.arrayCommands.create(order, "test");
    const ended = await control.jobs.waitFor(job.id, deadline());
    assert.equal([ended.state, ended.problem?.code], ["failed", "STORE_FULL"]);
    assert.throws(() => control.arrays.find("md1"), /there is no array md1/);
    assert.is(second.engine.arrays.size, 1, "nothing was made");
    assert.equal(control.jobs.get(job.id), ended);
  }),
);

test(
  "an array is recorded before it is made, and not at all when the engine refuses it",
  inFolder(async (folder) => {
    const first = await openBoard(folder);
    makeImage(first.image("disk4"), 8 * MIB);
    await first.control.monitor.tick();
    const { arrays } = first.control.store;
    const create = first.engine.create.bind(first.engine);
    const recorded: string[][] = [];
    first.engine.create = async (request, uuid) => {
      recorded.push(arrays.list().flatMap((record) => (record.uuid === uuid ? record.name : [])));
      return await create(request, uuid);
    };
    const order = createOrder({ name: "md1", devices: ["disk3", "disk4"] });
    const error = new CodedError("RAID_MEMBER_IO_ERROR", "it cannot be written");
    first.engine.failNext = { call: "create", error };
    const refused = await first.control.arrayCommands.create(order, "test");
    await first.control.jobs.waitFor(refused.id, deadline());
    assert.equal(
      arrays.list().map(({ name }) => name),
      ["md0"],
    );
    const made = await first.control.arrayCommands.create(order, "test");
    const ended = await first.control.jobs.waitFor(made.id, deadline());
    assert.is(ended.state, "succeeded");
    assert.equal(recorded, [["md1"], ["md1"]]);
    await using second = await reopen(first);
    assert.is(second.control.arrays.find("md1").isRunning, true);
  }),
);

for (const [type, state] of [
  ["clustered", "cancelled"],
  ["internal", "interrupted"],
] as const) {
  test(
    `the recovery of an array with a bitmap ${type} is ${state} when its daemon had died`,
    inFolder(async (folder) => {
      const first = await openBench({ folder, images: ["disk1", "disk2"] });
      const { arrayCommands, jobs, syncJobs } = first.control;
      const made = await arrayCommands.create(createOrder({ bitmap: type, nodes: 4 }), "test");
      assert.is((await jobs.waitFor(made.id, deadline())).state, "succeeded");
      const array = first.engine.array("md0");
      array.show({ sync: fakeSync({ action: "recover" }) });
      const id = syncJobs.jobOf(array.uuid) ?? "";
      assert.is(jobs.get(id).state, "running");
      // It does not start again: nobody takes its recovery up here.
      for (const disk of ["disk1", "disk2"]) rmSync(first.image(disk));
      await using second = await reopen(first);
      assert.is(second.control.jobs.get(id).state, state);
    }),
  );
}

test(
  "device ids and labels stay the same over restarts",
  inFolder(async (folder) => {
    const first = await openBoard(folder);
    first.control.devices.setLabel("disk3", "left slot");
    await using second = await reopen(first);
    const shown = second.control.devices.list().map(({ record }) => [record.id, record.label]);
    assert.equal(shown, [
      ["disk1", null],
      ["disk2", null],
      ["disk3", "left slot"],
    ]);
  }),
);

test.run();
