/** Files, block devices, layers, simulated devices and the array keep the port's contract. */
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Prng } from "../../src/common/prng.ts";
import { AdaptiveDevice } from "../../src/hal/layers/adaptive-device.ts";
import { FaultDevice, FaultSwitch } from "../../src/hal/layers/fault-device.ts";
import { FileBlockDevice } from "../../src/hal/linux/file-block-device.ts";
import { SimDevice, SimMedium } from "../../src/hal/sim/crash-device.ts";
import { MemoryDevice } from "../../src/hal/sim/memory-device.ts";
import { attachLoop, detachLoop, noLoopDevice } from "../helpers/loop-device.ts";
import { startMemoryArray } from "../helpers/memory-array.ts";
import { skipWhen } from "../helpers/skip.ts";
import { Scheduler } from "../sim/scheduler.ts";
import { blockDeviceSuite, type DeviceFactory, type DeviceUnderTest } from "./block-device.ts";

const SIZE = 1024 * 1024;

type Layer = (device: FileBlockDevice) => DeviceUnderTest["device"];

const plain: Layer = (device) => device;
const adaptive: Layer = (device) => new AdaptiveDevice(device, () => performance.now());
const faulty: Layer = (device) =>
  new FaultDevice(device, new FaultSwitch(), () => Promise.resolve());

const fileFactory =
  (layer: Layer): DeviceFactory =>
  async () => {
    const folder = mkdtempSync(join(tmpdir(), "bd-"));
    const path = join(folder, "member.img");
    writeFileSync(path, new Uint8Array(SIZE));
    const device = await FileBlockDevice.open(path, { mode: "write" });
    return {
      device: layer(device),
      openReadOnly: async () => layer(await FileBlockDevice.open(path, { mode: "read" })),
      truncate: async () => truncateSync(path, SIZE / 2),
      dispose: async () => {
        await device.close();
        rmSync(folder, { recursive: true, force: true });
      },
    };
  };

const loopFactory: DeviceFactory = async () => {
  const folder = mkdtempSync(join(tmpdir(), "bd-"));
  const path = join(folder, "loop.img");
  writeFileSync(path, new Uint8Array(SIZE));
  const loop = attachLoop(path);
  if (loop === null) throw new Error("no loop device could be made");
  const device = await FileBlockDevice.open(loop, { mode: "write", exclusive: true });
  return {
    device,
    openReadOnly: () => FileBlockDevice.open(loop, { mode: "read" }),
    truncate: null,
    dispose: async () => {
      await device.close();
      detachLoop(loop);
      rmSync(folder, { recursive: true, force: true });
    },
  };
};

const memoryFactory: DeviceFactory = async () => {
  const bytes = new Uint8Array(SIZE);
  return {
    device: new MemoryDevice("memory", bytes),
    openReadOnly: async () => new MemoryDevice("memory", bytes, { readOnly: true }),
    truncate: null,
    dispose: async () => undefined,
  };
};

/** Turns come by themselves, so that calls complete. */
const simFactory =
  (isQuick: boolean): DeviceFactory =>
  async () => {
    const scheduler = new Scheduler(new Prng(7));
    const turn = async () => {
      const mine = scheduler.turn();
      void scheduler.step();
      return mine;
    };
    const medium = new SimMedium(SIZE);
    return {
      device: new SimDevice("simulated", medium, turn, () => isQuick),
      openReadOnly: null,
      truncate: null,
      dispose: async () => undefined,
    };
  };

const arrayFactory =
  (legs: number, quickness: number): DeviceFactory =>
  async () => {
    const { device } = await startMemoryArray({ legs, seed: legs, quickness });
    return {
      device,
      openReadOnly: null,
      truncate: null,
      dispose: () => device.close(),
    };
  };

blockDeviceSuite("file", fileFactory(plain), { sync: true }).run();
blockDeviceSuite("adaptive over file", fileFactory(adaptive), { sync: true }).run();
blockDeviceSuite("disarmed faults over file", fileFactory(faulty), { sync: true }).run();
blockDeviceSuite("memory", memoryFactory, { sync: true }).run();
blockDeviceSuite("simulated", simFactory(false), { sync: false }).run();
blockDeviceSuite("simulated, quick", simFactory(true), { sync: true }).run();
blockDeviceSuite("raid1 of 2 in memory", arrayFactory(2, 0), { sync: false }).run();
blockDeviceSuite("raid1 of 3 in memory, quick", arrayFactory(3, 5), { sync: false }).run();

const loopReason = noLoopDevice();
if (loopReason === undefined) {
  blockDeviceSuite("loop block device", loopFactory, { sync: true }).run();
} else {
  const skipped = blockDeviceSuite("loop block device, skipped", memoryFactory, { sync: true });
  skipWhen(loopReason, skipped)("a loop block device keeps the contract", () => undefined);
  skipped.run();
}
