/** The array thread beside a sync action on members that answer at once. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { MemoryDevice } from "../../../src/hal/sim/memory-device.ts";
import { ArrayDriver } from "../../../src/raid/array-driver.ts";
import type { ArrayHappening } from "../../../src/raid/array-status.ts";
import { assembleDevices } from "../../../src/raid/assemble-driver.ts";
import { RUN_ACTIVE } from "../../../src/raid/shared-state.ts";
import { encodeSuperblock } from "../../../src/raid/superblock.ts";
import { sampleSuperblock } from "../../helpers/md-samples.ts";
import { withTimeout } from "../../helpers/timeout.ts";

const MIB = 1024 * 1024;
const SIZE = (32 * MIB) / 512;
const WAIT_MS = 20_000;
const NO_LIMIT = 2 ** 40;

const start = async () => {
  const devices = [0, 1].map((devNumber) => {
    const bytes = new Uint8Array(33 * MIB);
    const shape = { featureMap: 0, size: SIZE, dataSize: SIZE, dataOffset: 2048, devNumber };
    bytes.set(encodeSuperblock(sampleSuperblock(shape)), 4096);
    const path = `/m${devNumber}`;
    return { path, device: new MemoryDevice(path, bytes) };
  });
  const limits = { syncSpeedMin: NO_LIMIT, syncSpeedMax: NO_LIMIT };
  const options = { readOnly: false, workers: 1, now: Date.now(), ...limits };
  const array = await assembleDevices(devices, options);
  const ended = Promise.withResolvers<ArrayHappening>();
  const driver = new ArrayDriver(array.machine, array.shared, array.members, {
    now: () => Date.now(),
    waitForRegion: async () => undefined,
    nextTurn: () => new Promise((resolve) => setImmediate(resolve)),
    openLeg: async () => null,
    dropLeg: () => undefined,
    intentReady: () => undefined,
    legResolved: () => undefined,
    status: () => undefined,
    happening: (happening) => {
      if (happening.type === "sync.finished") ended.resolve(happening);
    },
    stopped: () => undefined,
  });
  array.shared.run = RUN_ACTIVE;
  return { driver, ended: ended.promise };
};

const test = suite("raid/array-driver");

test(
  "what comes while a check runs through the page cache is heard before its end",
  withTimeout(WAIT_MS, async () => {
    const { driver, ended } = await start();
    await driver.command({ type: "sync-action", action: "check" });
    setImmediate(() => void driver.command({ type: "sync-action", action: "idle" }));
    assert.is((await ended).details["outcome"], "cancelled");
  }),
);

test(
  "left alone it goes on to its end without a tick",
  withTimeout(WAIT_MS, async () => {
    const { driver, ended } = await start();
    await driver.command({ type: "sync-action", action: "check" });
    const { details } = await ended;
    assert.equal([details["outcome"], details["copied_bytes"]], ["done", 32 * MIB]);
  }),
);

test.run();
