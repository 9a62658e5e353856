/** Arrays of a cluster: expelled and joined again, devices that others add, reports. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { peerReportResource } from "../../../src/api/resources/peer-resource.ts";
import { CodedError } from "../../../src/common/errors.ts";
import type { MemberStatus } from "../../../src/raid/array-status.ts";
import { createOrder } from "../../helpers/array-values.ts";
import { clusterView } from "../../helpers/cluster-values.ts";
import { type ControlBench, openBench } from "../../helpers/control-bench.ts";
import { FakePeers } from "../../helpers/peer-values.ts";
import { inFolder } from "../../helpers/temporary-folder.ts";
import { eventually } from "../../helpers/timeout.ts";

const test = suite("control/cluster-service");

/** A board with the array md0 and its export md0. */
const openBoard = async (
  folder: string,
  order: Parameters<typeof createOrder>[0] = {},
): Promise<ControlBench & { readonly uuid: string }> => {
  const bench = await openBench({ folder, images: ["disk1", "disk2", "disk3"] });
  const { control } = bench;
  const job = await control.arrayCommands.create(createOrder(order), "test");
  const ended = await control.jobs.waitFor(job.id, AbortSignal.timeout(5000));
  assert.is(ended.state, "succeeded");
  const made = { name: "md0", array: "md0", description: "", readOnly: false, tlsRequired: false };
  await control.exports.create(made);
  return Object.assign(bench, { uuid: control.arrays.find("md0").record.uuid });
};

/** So many seconds pass; the start that the board tries then, or tries later, fails like this. */
const failAfter = async (
  { control, engine, clock }: ControlBench,
  seconds: number,
  code: string,
  message: string,
): Promise<void> => {
  engine.failNext = { call: "assemble", error: new CodedError(code, message) };
  const before = control.arrays.find("md0").startProblem;
  clock.now += seconds * 1000;
  await control.cluster.tick();
  const isTold = () => control.arrays.find("md0").startProblem !== before;
  await eventually("the attempt has failed", 30_000, isTold);
  await new Promise(setImmediate);
};

test(
  "an array that the cluster goes on without is taken from its clients, and stays wanted",
  inFolder(async (folder) => {
    await using bench = await openBoard(folder);
    bench.engine.expel(bench.uuid, "it was silent");
    const { isRunning, startProblem, record } = bench.control.arrays.find("md0");
    assert.equal([isRunning, record.desiredState], [false, "started"]);
    assert.is(startProblem?.code, "CLUSTER_EXPELLED");
    assert.match(startProblem?.message ?? "", "it was silent");
    await eventually("the export is closed", 5000, () => !bench.engine.openExports.has("md0"));
    assert.match(bench.control.exports.find("md0").reason ?? "", "it was silent");
  }),
);

test(
  "it joins again by itself, and its export is open again",
  inFolder(async (folder) => {
    await using bench = await openBoard(folder);
    bench.engine.expel(bench.uuid, "it was silent");
    await bench.control.cluster.tick();
    assert.not.ok(bench.control.arrays.find("md0").isRunning, "a pause comes first");
    bench.clock.now += 1000;
    await bench.control.cluster.tick();
    await eventually("it runs", 5000, () => bench.control.arrays.find("md0").isRunning);
    await eventually("it is exported", 5000, () => bench.engine.openExports.has("md0"));
  }),
);

test(
  "starts that look at devices at the same time start the array once, and only while it is wanted",
  inFolder(async (folder) => {
    await using bench = await openBoard(folder, { bitmap: "clustered", nodes: 4 });
    const { control, engine, uuid } = bench;
    const { arrayCommands: commands } = control;
    /** Begins a start; what it returns lets it go on from its look at the devices. */
    const lookFirst = async (): Promise<() => Promise<boolean>> => {
      const held = Promise.withResolvers<void>();
      let isLooking = false;
      const examine = engine.examine.bind(engine);
      engine.examine = async (paths) => {
        engine.examine = examine;
        isLooking = true;
        await held.promise;
        return await examine(paths);
      };
      const started = commands.startIfComplete(uuid, false);
      await eventually("it looks", 5000, () => isLooking);
      return () => {
        held.resolve();
        return started;
      };
    };
    engine.expel(uuid, "it was silent");
    const goOn = await lookFirst();
    assert.ok(await commands.startIfComplete(uuid, false));
    const running = engine.array("md0");
    assert.ok(await goOn());
    assert.is(engine.array("md0"), running, "no other thread has been started");
    assert.is(control.arrays.find("md0").startProblem, null);
    await commands.startUnlessRunning(uuid, false);
    const code = await commands
      .start(uuid, { readOnly: false, run: true })
      .catch((error: CodedError) => error.code);
    assert.is(code, "CONTROL_ARRAY_RUNNING");
    assert.is(engine.array("md0"), running);

    engine.expel(uuid, "it was silent");
    const late = await lookFirst();
    const order = { confirm: "md0", force: true, forget: false };
    const job = commands.stop("md0", order, "test");
    await control.jobs.waitFor(job.id, AbortSignal.timeout(5000));
    await late();
    assert.is(control.arrays.find("md0").isRunning, false, "somebody has stopped it meanwhile");
  }),
);

test(
  "a clustered array that lacks a member joins by itself once others have recorded it as faulty",
  inFolder(async (folder) => {
    await using bench = await openBoard(folder, { bitmap: "clustered", nodes: 4 });
    const { control, engine, clock, uuid } = bench;
    const problem = () => control.arrays.find("md0").startProblem?.code;
    /** So many seconds pass; true when the engine was asked to start the array. */
    const attempts = async (seconds: number): Promise<boolean> => {
      await failAfter(bench, seconds, "CLUSTER_MEMBER_MISSING", "raid slot 1 is not here");
      return engine.failNext === null;
    };
    // The member is lost while the node joins, then its superblocks are found missing.
    engine.expel(uuid, "it was silent");
    await control.cluster.tick();
    assert.ok(await attempts(1));
    assert.is(problem(), "CLUSTER_MEMBER_MISSING");
    engine.hold(bench.image("disk2"), {});
    for (const seconds of [2, 4, 8, 16, 30, 30]) {
      assert.not.ok(await attempts(seconds), "what the member holds may be newer");
      assert.is(problem(), "CONTROL_ARRAY_INCOMPLETE");
    }
    // Another board records its failure: whoever is left is complete.
    const told = engine.lastStatuses.get(uuid);
    if (told !== undefined) engine.lastStatuses.set(uuid, { ...told, degraded: 1 });
    engine.failNext = null;
    clock.now += 30_000;
    await control.cluster.tick();
    await eventually("it runs", 30_000, () => control.arrays.find("md0").isRunning);
    await eventually("it is exported", 30_000, () => engine.openExports.has("md0"));
  }),
);

test(
  "with disks of other boards the cluster decides; what this board doubts is told where it knows nothing",
  inFolder(async (folder) => {
    await using bench = await openBoard(folder, { bitmap: "clustered", nodes: 4 });
    const { control, engine, uuid } = bench;
    const start = (run: boolean) =>
      control.arrayCommands.start(uuid, { readOnly: false, run }).then(
        () => null,
        ({ code }: CodedError) => code,
      );
    engine.expel(uuid, "it was silent");
    engine.hold(bench.image("disk2"), {});
    assert.is(await start(false), "CONTROL_ARRAY_INCOMPLETE", "all boards open the same disks");
    engine.peers = new FakePeers();
    assert.is(await start(false), null);
    assert.is(engine.lastOrder?.doubt?.code, "CONTROL_ARRAY_INCOMPLETE");
    assert.is(engine.lastOrder?.run, false);
    engine.expel(uuid, "it was silent");
    assert.is(await start(true), null);
    assert.equal([engine.lastOrder?.doubt, engine.lastOrder?.run], [null, true]);
  }),
);

test(
  "a board that waits for disks of others says when it cannot hear of any",
  inFolder(async (folder) => {
    await using bench = await openBoard(folder, { bitmap: "clustered", nodes: 4 });
    const { control, engine, uuid } = bench;
    engine.expel(uuid, "it was silent");
    engine.hold(bench.image("disk2"), {});
    const peers = new FakePeers();
    engine.peers = peers;
    const told = async () => {
      assert.not.ok(await control.arrayCommands.startIfComplete(uuid, false));
      return control.arrays.find("md0").startProblem?.message ?? "";
    };
    const lacks = `; ${bench.image("disk2")}, in sync when it ran here last, is not here`;
    assert.is(
      await told(),
      `1 of 2 raid devices are there so far, it waits for those of other boards${lacks}`,
    );
    peers.open = { isOpen: false, reason: "etcd does not answer", draining: [] };
    assert.match(await told(), ", and hears of none now: etcd does not answer");
    const { items } = await peerReportResource(control);
    const here = items.map(({ id, here, state }) => [id, here, state]);
    assert.equal(here, [[control.nodes.here, true, "unknown"]], "it lists itself");
  }),
);

test(
  "a plain array that waits for a member is left to whoever brings it",
  inFolder(async (folder) => {
    await using bench = await openBoard(folder);
    const { control, engine, clock, uuid } = bench;
    engine.expel(uuid, "it was silent");
    const problem = { code: "CONTROL_ARRAY_INCOMPLETE", message: "", remedy: "", members: [] };
    control.arrays.startFailed(uuid, problem);
    for (const seconds of [0, 1, 60]) {
      clock.now += seconds * 1000;
      await control.cluster.tick();
      await new Promise(setImmediate);
      assert.is(control.arrays.find("md0").startProblem, problem);
    }
  }),
);

test(
  "the pauses between attempts grow; a success ends them",
  inFolder(async (folder) => {
    await using bench = await openBoard(folder);
    const { control, clock, engine } = bench;
    engine.expel(bench.uuid, "it was silent");
    // After 1 s, then 2, 4, 8, 16 and at most 30 s.
    const due = new Set([1, 3, 7, 15, 31, 61]);
    for (let second = 0; second < 64; second++) {
      const error = new CodedError("CLUSTER_EXPELLED", `not in second ${second}`);
      engine.failNext = { call: "assemble", error };
      await control.cluster.tick();
      if (due.has(second)) {
        await eventually(`an attempt after ${second} s`, 30_000, () => {
          const { message = "" } = control.arrays.find("md0").startProblem ?? {};
          return message.includes(error.message);
        });
      }
      await new Promise(setImmediate);
      assert.is(engine.failNext === null, due.has(second), `after ${second} s`);
      clock.now += 1000;
    }
    engine.failNext = null;
    clock.now += 60_000;
    await control.cluster.tick();
    await eventually("it runs", 5000, () => control.arrays.find("md0").isRunning);
  }),
);

test(
  "an array that was stopped, or cannot start for another reason, is left alone",
  inFolder(async (folder) => {
    await using bench = await openBoard(folder);
    bench.engine.expel(bench.uuid, "it was silent");
    bench.control.arrays.stopped(bench.uuid);
    bench.clock.now += 60_000;
    await bench.control.cluster.tick();
    await new Promise(setImmediate);
    assert.not.ok(bench.control.arrays.find("md0").isRunning);
  }),
);

test(
  "an array that is broken here is taken from its clients, says why, and is not joined again by itself",
  inFolder(async (folder) => {
    await using bench = await openBoard(folder);
    const { control, engine, clock } = bench;
    engine.expel(bench.uuid, "No metadata can be written any more: EIO.", true);
    const { startProblem, isRunning } = control.arrays.find("md0");
    assert.equal([isRunning, startProblem?.code], [false, "RAID_ARRAY_BROKEN"]);
    assert.match(startProblem?.message ?? "", "EIO");
    await eventually("the export is closed", 5000, () => !engine.openExports.has("md0"));
    clock.now += 60_000;
    await control.cluster.tick();
    await new Promise(setImmediate);
    assert.not.ok(control.arrays.find("md0").isRunning);
    await control.arrayCommands.start(bench.uuid, { readOnly: false, run: false });
    assert.ok(control.arrays.find("md0").isRunning);
  }),
);

test(
  "an array that broke for want of another board's disk is joined again, ever more seldom",
  inFolder(async (folder) => {
    await using bench = await openBoard(folder);
    const { control, engine, clock, uuid } = bench;
    const breakIt = (): void => {
      const { status } = engine.array("md0");
      // One of several copies that are whole may be this board's own.
      const members = status.members.map(
        (member, at): MemberStatus =>
          at === 0 ? member : { ...member, path: `peer:board${at + 1}/disk1` },
      );
      engine.publish(uuid, { ...status, members });
      engine.expel(uuid, "No metadata can be written any more: gone.", true);
    };
    const tick = async (ms: number): Promise<void> => {
      clock.now += ms;
      await control.cluster.tick();
      await new Promise(setImmediate);
    };
    const query = { order: "asc", from: null, limit: 99, subject: null } as const;
    const starts = (): number => control.events.page({ ...query, types: ["array.started"] }).length;
    for (const pauseMs of [1000, 2000, 4000]) {
      const before = starts();
      breakIt();
      assert.is(control.arrays.find("md0").startProblem?.code, "RAID_ARRAY_BROKEN");
      await tick(0);
      await tick(pauseMs - 1);
      assert.not.ok(engine.arrays.has(uuid), `not before ${pauseMs} ms`);
      await tick(1);
      await eventually("it runs", 5000, () => control.arrays.find("md0").isRunning);
      await eventually("its export is open", 5000, () => engine.openExports.has("md0"));
      await eventually("its start is told, the last thing of it", 5000, () => starts() > before);
      await new Promise(setImmediate);
    }
  }),
);

test(
  "a device that another board adds is found by its uuid, among those that no array uses",
  inFolder(async (folder) => {
    await using bench = await openBoard(folder);
    const { engine, control } = bench;
    const status = control.arrays.find("md0").status as never;
    const superblock = engine.superblock(status, bench.image("disk1"));
    const deviceUuid = "01234567-89ab-cdef-0123-456789abcdef";
    engine.hold(bench.image("disk3"), { md: { ...superblock, deviceUuid } });
    const hex = "0123456789abcdef0123456789abcdef";
    assert.is(await engine.findDevice(hex), bench.image("disk3"));
    assert.is(await engine.findDevice(hex.replace("0", "1")), null);
    engine.hold(bench.image("disk1"), { md: { ...superblock, deviceUuid } });
    engine.hold(bench.image("disk3"), {});
    assert.is(await engine.findDevice(hex), null, "a member of a running array is not looked at");
  }),
);

test(
  "reports are of arrays that run in the cluster, with their held writes",
  inFolder(async (folder) => {
    await using bench = await openBoard(folder);
    assert.equal(await bench.control.cluster.reports(), { present: [], absent: [] });
    const array = bench.engine.array("md0");
    array.view = clusterView();
    array.writeHolds = { byRange: 3, byGate: 0, held: 1, p50Ms: 1, p99Ms: 2, maxMs: 3 };
    const [report] = (await bench.control.cluster.reports()).present;
    assert.equal([report?.array.record.name, report?.view.slot], ["md0", 1]);
    assert.is(report?.holds.byRange, 3);
  }),
);

test(
  "a damaged key that keeps the board out has one event, however often it tries again",
  inFolder(async (folder) => {
    await using bench = await openBoard(folder, { bitmap: "clustered", nodes: 4 });
    const { control, engine, uuid } = bench;
    engine.expel(uuid, "it was silent");
    await control.cluster.tick();
    for (const seconds of [1, 2, 4, 8]) {
      await failAfter(bench, seconds, "CLUSTER_BAD_CHANNEL", "the key ch is damaged");
    }
    const query = { order: "asc", from: null, limit: 99, subject: null } as const;
    const failed = control.events.page({ ...query, types: ["array.start-failed"] });
    assert.equal(
      failed.map(({ message }) => message),
      ["array md0 could not start: the key ch is damaged"],
    );
  }),
);

test(
  "a clustered array that does not run is reported with the reason, and whether it tries again",
  inFolder(async (folder) => {
    await using bench = await openBoard(folder, { bitmap: "clustered", nodes: 4 });
    const { control, engine, uuid } = bench;
    const absent = async () =>
      (await control.cluster.reports()).absent.map(({ array, problem, triesAgain }) => [
        array.record.name,
        problem?.code ?? null,
        triesAgain,
      ]);
    engine.array("md0").view = clusterView();
    assert.equal(await absent(), []);
    engine.expel(uuid, "it was silent");
    assert.equal(await absent(), [["md0", "CLUSTER_EXPELLED", true]]);
    for (const [code, triesAgain] of [
      ["CLUSTER_BAD_CHANNEL", true],
      ["DLM_BAD_RESOURCE", true],
      ["RAID_ARRAY_BROKEN", false],
    ] as const) {
      control.arrays.startFailed(uuid, { code, message: "why", remedy: "", members: [] });
      assert.equal(await absent(), [["md0", code, triesAgain]]);
    }
    control.arrays.stopped(uuid);
    assert.equal(await absent(), [["md0", null, false]]);
  }),
);

test.run();
