/** Spares that move between arrays of a group, over failures and kills. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { CodedError } from "../../../src/common/errors.ts";
import { ASSEMBLE, createOrder } from "../../helpers/array-values.ts";
import { type ControlBench, openBench } from "../../helpers/control-bench.ts";
import type { FakeArray } from "../../helpers/fake-array.ts";
import { FakeEngine } from "../../helpers/fake-engine.ts";
import { inFolder } from "../../helpers/temporary-folder.ts";

const IMAGES = ["disk1", "disk2", "disk3", "disk4", "disk5"];

/** md0 on disk1 and disk2; md1 on disk3 and disk4 with the spare disk5; both in group `shelf`. */
const withBoard = (body: (bench: ControlBench) => Promise<void>) =>
  inFolder(async (folder) => {
    await using bench = await openBench({ folder, images: IMAGES });
    const { control } = bench;
    for (const order of [
      createOrder(),
      createOrder({ name: "md1", devices: ["disk3", "disk4", "disk5"], raidDevices: 2 }),
    ]) {
      const job = await control.arrayCommands.create(order, "test");
      const ended = await control.jobs.waitFor(job.id, AbortSignal.timeout(5000));
      assert.is(ended.state, "succeeded");
    }
    for (const name of ["md0", "md1"]) control.spareGroups.setGroup(name, "shelf");
    await body(bench);
  });

async function restart(bench: ControlBench): Promise<ControlBench> {
  await bench.kill();
  const engine = new FakeEngine();
  for (const [path, content] of bench.engine.contents) engine.hold(path, content);
  for (const [uuid, status] of bench.engine.lastStatuses) engine.lastStatuses.set(uuid, status);
  return await openBench({ folder: bench.folder, engine });
}

const members = (array: FakeArray): string[] =>
  array.status.members.flatMap(({ path, states }) =>
    path === null ? [] : [`${path.split("/").at(-1)} ${states.join()}`],
  );

const events = ({ control }: ControlBench, type: string): (string | null)[][] =>
  control.events
    .page({ order: "asc", from: null, limit: 1000, types: [type], subject: null })
    .map(({ severity, mdadmEvent, message }) => [severity, mdadmEvent, message]);

const refuse = (code: string) => async (): Promise<never> => {
  throw new CodedError(code, "the device does not answer", { remedy: "look at it" });
};

const test = suite("control/spare-group-service");

test(
  "a degraded array gets the spare of another array of its group",
  withBoard(async (bench) => {
    await bench.control.rounds.round();
    assert.equal(events(bench, "spare.moved"), []);
    await bench.engine.array("md0").fail(bench.image("disk2"));
    await bench.control.rounds.round();
    assert.ok(members(bench.engine.array("md0")).includes("disk5.img spare"));
    assert.equal(members(bench.engine.array("md1")), ["disk3.img in_sync", "disk4.img in_sync"]);
    const [[severity, mdadm, message] = []] = events(bench, "spare.moved");
    assert.equal([severity, mdadm], ["info", "MoveSpare"]);
    assert.match(message ?? "", /disk5.img moved from md1 to md0$/);
    assert.equal(bench.control.store.spares.moves(), []);
    // md1 gave it on purpose.
    assert.equal(events(bench, "spare.missing"), []);
    await bench.control.rounds.round();
    assert.is(events(bench, "spare.moved").length, 1);
  }),
);

test(
  "arrays of no group keep their spares",
  withBoard(async (bench) => {
    bench.control.spareGroups.setGroup("md1", null);
    await bench.engine.array("md0").fail(bench.image("disk2"));
    await bench.control.rounds.round();
    assert.equal(events(bench, "spare.moved"), []);
    await using again = await restart(bench);
    const group = (name: string) =>
      again.control.spareGroups.groupOf(again.control.arrays.find(name).record.uuid);
    assert.equal([group("md0"), group("md1")], ["shelf", null]);
  }),
);

test(
  "a spare that cannot be added goes back, is told of, and is not tried again until something changes",
  withBoard(async (bench) => {
    const md0 = bench.engine.array("md0");
    const { add } = md0;
    md0.add = refuse("RAID_MEMBER_IO_ERROR");
    await md0.fail(bench.image("disk2"));
    await bench.control.rounds.round();
    await bench.control.rounds.round();
    assert.ok(members(bench.engine.array("md1")).includes("disk5.img spare"));
    const failed = events(bench, "spare.move-failed");
    assert.is(failed.length, 1);
    assert.match(
      failed[0]?.[2] ?? "",
      /stays there, md0 cannot take it: the device does not answer/,
    );
    md0.add = add;
    await bench.control.rounds.round();
    assert.equal(events(bench, "spare.moved"), []);
    await md0.remove(bench.image("disk2"));
    await bench.control.rounds.round();
    assert.is(events(bench, "spare.moved").length, 1);
  }),
);

test(
  "a spare that can go neither way is told as critical, and is brought back when that is possible",
  withBoard(async (bench) => {
    const [md0, md1] = [bench.engine.array("md0"), bench.engine.array("md1")];
    const { add } = md1;
    md0.add = refuse("RAID_MEMBER_IO_ERROR");
    md1.add = refuse("RAID_MEMBER_IO_ERROR");
    await md0.fail(bench.image("disk2"));
    for (const _ of [1, 2, 3]) await bench.control.rounds.round();
    assert.equal(
      events(bench, "spare.move-failed").map(([severity]) => severity),
      ["critical"],
    );
    md1.add = add;
    await bench.control.rounds.round();
    assert.ok(members(md1).includes("disk5.img spare"));
    assert.equal(bench.control.store.spares.moves(), []);
  }),
);

test(
  "a kill between taking a spare out and adding it loses nothing: the next start brings it back",
  withBoard(async (bench) => {
    const md0 = bench.engine.array("md0");
    await md0.fail(bench.image("disk2"));
    const added = Promise.withResolvers<void>();
    md0.add = () => {
      added.resolve();
      return new Promise(() => undefined);
    };
    void bench.control.spareGroups.tick();
    await added.promise;
    // The superblock of a removed spare stays; this one is lost, to make it hard.
    bench.engine.hold(bench.image("disk5"), {});
    await using again = await restart(bench);
    await again.control.spareGroups.tick();
    const held = [...again.engine.arrays.values()].flatMap(members);
    assert.is(held.filter((member) => member.startsWith("disk5")).length, 1);
    assert.equal(again.control.store.spares.moves(), []);
  }),
);

test(
  "an array that is busy gets its spare later",
  withBoard(async (bench) => {
    const { arrays, rounds } = bench.control;
    const { uuid } = arrays.find("md0").record;
    await bench.engine.array("md0").fail(bench.image("disk2"));
    await arrays.exclusively(uuid, "a change", async () => rounds.round());
    assert.equal([events(bench, "spare.moved"), events(bench, "spare.move-failed")], [[], []]);
    assert.ok(members(bench.engine.array("md1")).includes("disk5.img spare"));
    await rounds.round();
    assert.is(events(bench, "spare.moved").length, 1);
  }),
);

test(
  "a spare that failed is missing, by mdadm's name; one that took a place is not",
  withBoard(async (bench) => {
    const md1 = bench.engine.array("md1");
    const whole = md1.status.members;
    const rebuilt = md1.status.members.map((member) => {
      if (member.path === bench.image("disk4")) return { ...member, states: ["faulty" as const] };
      const isSpare = member.path === bench.image("disk5");
      return isSpare ? { ...member, states: ["spare" as const, "rebuilding" as const] } : member;
    });
    md1.show({ members: rebuilt, degraded: 1, health: "recovering" });
    assert.equal(events(bench, "spare.missing"), []);
    md1.show({ members: whole, degraded: 0, health: "optimal" });
    const failed = whole.map((member) =>
      member.path === bench.image("disk5") ? { ...member, states: ["faulty" as const] } : member,
    );
    for (let times = 0; times < 2; times++) md1.show({ members: failed });
    assert.equal(
      events(bench, "spare.missing").map(([severity, mdadm]) => [severity, mdadm]),
      [["warning", "SparesMissing"]],
    );
  }),
);

test(
  "an array that starts without the spare it had is told of",
  withBoard(async (bench) => {
    bench.engine.contents.delete(bench.image("disk5"));
    await using again = await restart(bench);
    assert.is(again.control.arrays.find("md1").health, "optimal");
    assert.is(events(again, "spare.missing").length, 1);
  }),
);

test(
  "an array that was stopped and starts without its spare is told of",
  withBoard(async (bench) => {
    const { control, engine } = bench;
    const order = { confirm: "md1", force: false, forget: false };
    const stop = control.arrayCommands.stop("md1", order, "test");
    await control.jobs.waitFor(stop.id, AbortSignal.timeout(5000));
    engine.contents.delete(bench.image("disk5"));
    const job = await control.arrayCommands.assemble("md1", ASSEMBLE, "test");
    const started = await control.jobs.waitFor(job.id, AbortSignal.timeout(5000));
    assert.is(started.state, "succeeded");
    assert.is(events(bench, "spare.missing").length, 1);
  }),
);

test(
  "a name that cannot be one of a group is refused",
  withBoard(async (bench) => {
    for (const name of ["", "a b", "-x", "x".repeat(32)]) {
      assert.throws(() => bench.control.spareGroups.setGroup("md0", name), /cannot name a group/);
    }
  }),
);

test.run();
