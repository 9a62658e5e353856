/** The array thread: its metadata, and sync actions on members that answer at once. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { MemoryDevice } from "../../../src/hal/sim/memory-device.ts";
import { ArrayDriver, type ArrayHost } from "../../../src/raid/array-driver.ts";
import type { ArrayHappening } from "../../../src/raid/array-status.ts";
import { type AssembleDevice, assembleDevices } from "../../../src/raid/assemble-driver.ts";
import { createOnDevices } from "../../../src/raid/create-driver.ts";
import { RUN_ACTIVE } from "../../../src/raid/shared-state.ts";
import { encodeSuperblock } from "../../../src/raid/superblock.ts";
import { SAMPLE_CREATE, sampleSuperblock } from "../../helpers/md-samples.ts";
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
  const ended = Promise.withResolvers<ArrayHappening>();
  const driver = await running(devices, {
    happening: (happening) => {
      if (happening.type === "sync.finished") ended.resolve(happening);
    },
  });
  return { driver, ended: ended.promise };
};

const running = async (
  devices: readonly AssembleDevice[],
  told: Partial<ArrayHost>,
): Promise<ArrayDriver> => {
  const limits = { syncSpeedMin: NO_LIMIT, syncSpeedMax: NO_LIMIT };
  const options = { readOnly: false, workers: 1, now: Date.now(), ...limits };
  const array = await assembleDevices(devices, options);
  const driver = new ArrayDriver(array.machine, array.shared, array.members, {
    now: () => Date.now(),
    waitForRegion: async () => undefined,
    nextTurn: () => new Promise((resolve) => setImmediate(resolve)),
    openLeg: async () => null,
    dropLeg: () => undefined,
    intentReady: () => undefined,
    legResolved: () => undefined,
    status: () => undefined,
    happening: () => undefined,
    stopped: () => undefined,
    ...told,
  });
  array.shared.run = RUN_ACTIVE;
  return driver;
};

/** A store that can keep some bytes at once, and notes what it is asked for. */
class NotingDevice extends MemoryDevice {
  readonly log: string[] = [];

  override async write(source: readonly Uint8Array[], offset: number): Promise<void> {
    this.log.push(`write ${offset}`);
    await super.write(source, offset);
  }

  writeDurable(source: Uint8Array, offset: number): Promise<void> {
    this.log.push(`durable ${offset}`);
    return super.write([source], offset);
  }

  override async flush(): Promise<void> {
    this.log.push("flush");
    await super.flush();
  }
}

const test = suite("raid/array-driver");

test(
  "a bit is durable before it is ready, and nothing else has to be",
  withTimeout(WAIT_MS, async () => {
    const devices = [0, 1].map((index) => ({
      path: `/d${index}`,
      device: new NotingDevice(`/d${index}`, new Uint8Array(64 * MIB)),
      deviceUuid: new Uint8Array(16).fill(index + 1),
    }));
    await createOnDevices({ ...SAMPLE_CREATE, assumeClean: true }, devices, false);
    const ready = Promise.withResolvers<undefined>();
    const driver = await running(devices, { intentReady: () => ready.resolve(undefined) });
    for (const { device } of devices) device.log.length = 0;
    driver.dispatch({ type: "intent", worker: 0, ranges: [[0, 0]] });
    await ready.promise;
    // The superblocks say that the array is active from the first write on.
    for (const { device } of devices)
      assert.equal(device.log, ["durable 8192", "write 4096", "flush"]);
  }),
);

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
