/** The watch over devices: lost members are told to their array, changes are seen, once each. */
import { renameSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { DeviceFiles } from "../../../src/hal/device-files.ts";
import { linuxDeviceFiles } from "../../../src/hal/linux/device-files.ts";
import { createOrder } from "../../helpers/array-values.ts";
import { type ControlBench, MIB, makeImage, openBench } from "../../helpers/control-bench.ts";
import { inFolder } from "../../helpers/temporary-folder.ts";

const IMAGES = ["disk1", "disk2", "disk3"];

async function openBoard(folder: string): Promise<ControlBench> {
  const bench = await openBench({ folder, images: IMAGES });
  const job = await bench.control.arrayCommands.create(createOrder(), "test");
  await bench.control.jobs.waitFor(job.id, AbortSignal.timeout(5000));
  return bench;
}

const vanished = ({ engine }: ControlBench): string[] =>
  engine.array("md0").calls.filter((call) => call.startsWith("vanished"));

const LOSSES: readonly (readonly [string, (path: string) => void, string])[] = [
  ["is deleted", (path) => rmSync(path), "the path is gone"],
  ["is moved away", (path) => renameSync(path, `${path}.old`), "the path is gone"],
  [
    "is cut",
    (path) => truncateSync(path, 4 * MIB),
    `it was cut from ${8 * MIB} to ${4 * MIB} bytes`,
  ],
  [
    "is replaced by another file",
    (path) => {
      makeImage(`${path}.new`, 8 * MIB);
      renameSync(`${path}.new`, path);
    },
    "another file or device is at the path",
  ],
];

const test = suite("control/device-monitor");

for (const [name, lose, reason] of LOSSES) {
  test(
    `a member whose file ${name} is told to its array once`,
    inFolder(async (folder) => {
      await using bench = await openBoard(folder);
      const path = bench.image("disk2");
      lose(path);
      await bench.control.monitor.tick();
      await bench.control.monitor.tick();
      assert.equal(vanished(bench), [`vanished ${path}: ${reason}`]);
      const { state, reasons } = bench.control.devices.find("disk2");
      assert.equal([state, reasons[0]?.code], ["failed", "member-failed"]);
      assert.is(bench.control.arrays.find("md0").health, "degraded");
    }),
  );
}

test(
  "the last in-sync member that is lost is one event, the loudest sentence, and heals when it is back",
  inFolder(async (folder) => {
    await using bench = await openBoard(folder);
    const { control, engine } = bench;
    const path = bench.image("disk1");
    const missing = () =>
      control.events.page({
        order: "asc",
        from: null,
        limit: 99,
        types: ["device.*"],
        subject: null,
      }).length;
    const array = engine.array("md0");
    await array.fail(bench.image("disk2"));
    array.keepsLast = true;
    renameSync(path, `${path}.away`);
    for (let look = 0; look < 4; look += 1) await control.monitor.tick();
    assert.is(missing(), 1);
    assert.is(vanished(bench).length, 4, "told again: it is failed once another one is in sync");
    const view = control.arrays.find("md0");
    assert.equal(view.status?.members[0]?.states, ["in_sync", "missing"]);
    assert.is(view.reasons[0]?.code, "last-member-gone");
    const { sentence, attention } = control.health();
    assert.match(
      sentence,
      /^md0: the file of its last in-sync member is gone: .*disk1\.img: the path is gone;/,
    );
    assert.match(sentence, "Copy the content off now");
    assert.equal([attention[0]?.severity, attention[0]?.code], ["critical", "last-member-gone"]);
    renameSync(`${path}.away`, path);
    await control.monitor.tick();
    await control.monitor.tick();
    assert.is(missing(), 2, "told that it is there again, once");
    assert.equal(control.arrays.find("md0").status?.members[0]?.states, ["in_sync"]);
    assert.is(vanished(bench).length, 4);
  }),
);

test(
  "a lost member that the array fails later is shown as failed, not as its last one",
  inFolder(async (folder) => {
    await using bench = await openBoard(folder);
    const { control, engine } = bench;
    const array = engine.array("md0");
    await array.fail(bench.image("disk2"));
    array.keepsLast = true;
    rmSync(bench.image("disk1"));
    await control.monitor.tick();
    await control.monitor.tick();
    array.keepsLast = false;
    await control.monitor.tick();
    const view = control.arrays.find("md0");
    const lost = view.status?.members.find(({ path }) => path === bench.image("disk1"));
    assert.equal(lost?.states, ["faulty"]);
    assert.ok(view.reasons.every(({ code }) => code !== "last-member-gone"));
  }),
);

test(
  "a lost member that failed, and is in use again, is not shown as missing",
  inFolder(async (folder) => {
    await using bench = await openBoard(folder);
    const { control, engine } = bench;
    const array = engine.array("md0");
    const path = bench.image("disk1");
    await array.fail(bench.image("disk2"));
    array.keepsLast = true;
    renameSync(path, `${path}.away`);
    await control.monitor.tick();
    await control.monitor.tick();
    assert.equal(control.arrays.find("md0").status?.members[0]?.states, ["in_sync", "missing"]);
    const whole = array.status;
    const failed = { states: ["faulty"] as const, faultReason: "it failed" };
    array.show({
      members: whole.members.map((one) => (one.path === path ? { ...one, ...failed } : one)),
    });
    await control.monitor.tick();
    renameSync(`${path}.away`, path);
    await control.monitor.tick();
    array.show({ members: whole.members });
    await control.monitor.tick();
    assert.equal(control.arrays.find("md0").status?.members[0]?.states, ["in_sync"]);
  }),
);

test(
  "a member that is written to or grows is not lost",
  inFolder(async (folder) => {
    await using bench = await openBoard(folder);
    writeFileSync(bench.image("disk1"), "x", { flag: "r+" });
    truncateSync(bench.image("disk2"), 16 * MIB);
    await bench.control.monitor.tick();
    assert.equal(vanished(bench), []);
  }),
);

test(
  "a new file in the folder becomes a free device, a deleted one is forgotten",
  inFolder(async (folder) => {
    await using bench = await openBoard(folder);
    const { control } = bench;
    makeImage(bench.image("new disk"), 8 * MIB);
    await control.monitor.tick();
    assert.is(control.devices.find("new-disk").state, "free");
    rmSync(bench.image("new disk"));
    await control.monitor.tick();
    assert.throws(() => control.devices.find("new-disk"), /there is no device new-disk/);
    const events = control.events
      .page({ order: "asc", from: null, limit: 99, types: ["device.*"], subject: null })
      .map(({ type }) => type);
    assert.equal(events, ["device.appeared", "device.missing"]);
  }),
);

test(
  "a free device that comes to hold something is read again",
  inFolder(async (folder) => {
    await using bench = await openBoard(folder);
    bench.engine.hold(bench.image("disk3"), { signatures: ["ext4"] });
    writeFileSync(bench.image("disk3"), "x", { flag: "r+" });
    await bench.control.monitor.tick();
    assert.is(bench.control.devices.find("disk3").state, "foreign");
  }),
);

test(
  "a path that cannot be looked at does not blind the watch over the others",
  inFolder(async (folder) => {
    const broken = join(folder, "broken.img");
    let isBroken = false;
    const files: DeviceFiles = {
      ...linuxDeviceFiles,
      identify: async (path) => {
        if (isBroken && path === broken) throw new Error("EACCES");
        return await linuxDeviceFiles.identify(path);
      },
      listImages: async (directory) => {
        if (isBroken) throw new Error("EACCES");
        return await linuxDeviceFiles.listImages(directory);
      },
    };
    await using bench = await openBench({ folder, images: IMAGES, devicePaths: [broken], files });
    isBroken = true;
    rmSync(bench.image("disk2"));
    await bench.control.monitor.tick();
    assert.throws(() => bench.control.devices.find("disk2"), /there is no device/);
    assert.is(bench.control.devices.find("broken").state, "missing");
  }),
);

test(
  "a configured path that is gone stays listed as missing and comes back",
  inFolder(async (folder) => {
    const path = join(folder, "usb.img");
    await using bench = await openBench({ folder, devicePaths: [path] });
    const { devices, monitor } = bench.control;
    assert.is(devices.find("usb").state, "missing");
    makeImage(path, MIB);
    await monitor.tick();
    assert.is(devices.find("usb").state, "free");
    rmSync(path);
    await monitor.tick();
    assert.is(devices.find("usb").state, "missing");
  }),
);

test(
  "a directory and two paths of the same name get their own ids",
  inFolder(async (folder) => {
    const one = join(folder, "a", "d.img");
    const two = join(folder, "b", "d.img");
    await using bench = await openBench({ folder, devicePaths: [one, two, folder] });
    const shown = bench.control.devices.list().map(({ record, state }) => [record.id, state]);
    assert.equal(shown.slice(0, 2), [
      ["d", "missing"],
      ["d-2", "missing"],
    ]);
    assert.is(shown[2]?.[1], "unusable");
  }),
);

test.run();
