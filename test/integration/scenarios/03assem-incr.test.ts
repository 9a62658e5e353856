/**
 * mdadm's tests/03assem-incr: members are given one by one (`mdadm -I`): the array starts with the
 * last of them, not before, however old the first one is; asked for explicitly (`mdadm -A`) it
 * starts with those that are there, and takes the late one back.
 */
import { renameSync } from "node:fs";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { ArrayResource } from "../../../src/api/schemas/array.ts";
import { type MdDaemon, onDaemon } from "../../helpers/md-daemon.ts";
import { eventually } from "../../helpers/timeout.ts";

const test = suite("mdadm 03assem-incr");
const SIZE = 8 * 1024 * 1024;
const NAMES = ["one", "two", "three"];

/** The device is there; the array says how many it has, and waits. */
const bring = async (daemon: MdDaemon, name: string, inSync: number): Promise<void> => {
  renameSync(daemon.away(name), daemon.device(name));
  const text = `${inSync} of 3 raid devices are there`;
  const { status } = await daemon.until("md0", `${name} is read`, (array) =>
    array.status.health_reasons.some(({ message }) => message.includes(text)),
  );
  assert.is(status.health, "inactive");
};

/** The device that completes the array: it starts. */
const bringLast = async (daemon: MdDaemon, name: string): Promise<ArrayResource> => {
  renameSync(daemon.away(name), daemon.device(name));
  return await daemon.until("md0", "it runs", ({ status }) => status.health !== "inactive");
};

const leaveWithout = async (daemon: MdDaemon, names: readonly string[]): Promise<void> => {
  await daemon.serve.shutDown();
  for (const name of names) renameSync(daemon.device(name), daemon.away(name));
  await daemon.serve.start();
};

test(
  "the array starts with its last member",
  onDaemon(async (daemon) => {
    await daemon.makeArray("md0", NAMES, SIZE);
    await daemon.write("md0");
    await leaveWithout(daemon, NAMES);
    assert.is((await daemon.array("md0")).status.health, "inactive");
    await bring(daemon, "two", 1);
    await bring(daemon, "one", 2);
    const { status } = await bringLast(daemon, "three");
    assert.equal([status.health, status.in_sync_copies], ["optimal", 3]);
    await daemon.verify("md0");
  }),
);

test(
  "a member that missed writes comes first, and is not believed",
  onDaemon(async (daemon) => {
    await daemon.makeArray("md0", NAMES, SIZE);
    await daemon.write("md0");
    const stale = (await daemon.array("md0")).status.members[0]?.device_id ?? "";
    await daemon.serve.request("POST", `/arrays/md0/members/${stale}/actions/fail`);
    await daemon.write("md0");
    await leaveWithout(daemon, NAMES);
    await bring(daemon, "one", 1);
    await bring(daemon, "two", 1);
    const { status } = await bringLast(daemon, "three");
    assert.is(status.in_sync_copies, 2);
    await daemon.verify("md0");
  }),
);

test(
  "asked for, it starts degraded, and the late member comes back by the bitmap",
  onDaemon(async (daemon) => {
    await daemon.makeArray("md0", NAMES, SIZE);
    await daemon.write("md0");
    await leaveWithout(daemon, NAMES);
    await bring(daemon, "one", 1);
    await bring(daemon, "two", 2);
    await daemon.serve.request("POST", "/arrays", { assemble: "md0" });
    assert.is((await daemon.array("md0")).status.degraded, 1);
    await daemon.verify("md0");
    renameSync(daemon.away("three"), daemon.device("three"));
    await eventually("it has been read", 30_000, async () => {
      const path = "/events?types=device.appeared&limit=50";
      return JSON.stringify(await daemon.serve.request("GET", path)).includes("three.img");
    });
    await daemon.serve.request("POST", "/arrays/md0/members/three/actions/re-add");
    await daemon.until("md0", "it is whole", (array) => array.status.health === "optimal");
    await daemon.verify("md0");
  }),
);

test.run();
