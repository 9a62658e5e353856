/** Files, block devices, layers and simulated devices keep the contract of the port. */
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Prng } from "../../src/common/prng.ts";
import { AdaptiveDevice } from "../../src/hal/layers/adaptive-device.ts";
import { FaultDevice, FaultSwitch } from "../../src/hal/layers/fault-device.ts";
import { GatedDevice } from "../../src/hal/layers/gated-device.ts";
import { DirectDevice } from "../../src/hal/linux/direct-device.ts";
import { FileBlockDevice, type OpenFileOptions } from "../../src/hal/linux/file-block-device.ts";
import { loadNativeIo } from "../../src/hal/linux/native-io.ts";
import { SimDevice, SimMedium } from "../../src/hal/sim/crash-device.ts";
import { MemoryDevice } from "../../src/hal/sim/memory-device.ts";
import { attachLoop, detachLoop, noLoopDevice } from "../helpers/loop-device.ts";
import { type FileSystem, mountScratch } from "../helpers/scratch-mount.ts";
import { skipWhen } from "../helpers/skip.ts";
import { Scheduler } from "../sim/scheduler.ts";
import { blockDeviceSuite } from "./block-device.ts";
import type { DeviceFactory, DeviceSupport, DeviceUnderTest } from "./block-device-subject.ts";

const SIZE = 1024 * 1024;

type Tested = DeviceUnderTest["device"];
type Layer = (device: FileBlockDevice) => Tested | Promise<Tested>;

const plain: Layer = (device) => device;
const adaptive: Layer = (device) => new AdaptiveDevice(device, () => performance.now());
const faulty: Layer = (device) =>
  new FaultDevice(device, new FaultSwitch(), () => Promise.resolve());

const gated: Layer = (device) =>
  new GatedDevice(device, { isOpen: true, opened: () => Promise.resolve() });

const direct: Layer = (device) =>
  DirectDevice.over(device, { range: { from: 0, to: device.sizeBytes } });

const withoutNative = { nativeCalls: async () => null, nativeIo: async () => null };

/** An empty folder, on a file system of its own when one is named. */
const makeScratch = (system: FileSystem | null) => {
  if (system !== null) return mountScratch(system);
  const folder = mkdtempSync(join(tmpdir(), "bd-"));
  return { folder, remove: () => rmSync(folder, { recursive: true, force: true }) };
};

interface FileOptions {
  readonly layer?: Layer;
  readonly system?: FileSystem;
  readonly open?: Partial<OpenFileOptions>;
}

const fileFactory =
  ({ layer = plain, system, open }: FileOptions = {}): DeviceFactory =>
  async () => {
    const scratch = makeScratch(system ?? null);
    const path = join(scratch.folder, "member.img");
    writeFileSync(path, new Uint8Array(SIZE));
    const device = await FileBlockDevice.open(path, { mode: "write", ...open });
    return {
      device: await layer(device),
      openReadOnly: async () => layer(await FileBlockDevice.open(path, { mode: "read", ...open })),
      truncate: async () => truncateSync(path, SIZE / 2),
      dispose: async () => {
        await device.close();
        scratch.remove();
      },
    };
  };

interface LoopOptions {
  readonly layer?: Layer;
  readonly sectorSize?: number;
  readonly system?: FileSystem;
  readonly open?: Partial<OpenFileOptions>;
}

const loopFactory =
  ({ layer = plain, sectorSize = 512, system, open }: LoopOptions = {}): DeviceFactory =>
  async () => {
    const scratch = makeScratch(system ?? null);
    const path = join(scratch.folder, "loop.img");
    writeFileSync(path, new Uint8Array(SIZE));
    const loop = attachLoop(path, ["--sector-size", String(sectorSize)]);
    if (loop === null) throw new Error("no loop device could be made");
    const device = await FileBlockDevice.open(loop, { mode: "write", claim: "alone", ...open });
    if (device.logicalBlockSize !== sectorSize) throw new Error("another logical block size");
    return {
      device: await layer(device),
      openReadOnly: async () => layer(await FileBlockDevice.open(loop, { mode: "read", ...open })),
      truncate: null,
      dispose: async () => {
        await device.close();
        detachLoop(loop);
        scratch.remove();
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

const quick: DeviceSupport = { sync: true, punches: true };
const plainQuick: DeviceSupport = { sync: true, punches: false };
const directly: DeviceSupport = { sync: false, punches: true };
const hasNative = (await loadNativeIo()) !== null;
blockDeviceSuite("file", fileFactory(), quick).run();
blockDeviceSuite("adaptive over file", fileFactory({ layer: adaptive }), quick).run();
blockDeviceSuite("disarmed faults over file", fileFactory({ layer: faulty }), quick).run();
blockDeviceSuite("an open gate over file", fileFactory({ layer: gated }), quick).run();
blockDeviceSuite("file, no native calls", fileFactory({ open: withoutNative }), plainQuick).run();
if (hasNative) {
  blockDeviceSuite("file, direct", fileFactory({ layer: direct }), directly).run();
}
blockDeviceSuite("memory", memoryFactory, quick).run();
blockDeviceSuite("simulated", simFactory(false), { sync: false, punches: true }).run();
blockDeviceSuite("simulated, quick", simFactory(true), quick).run();

/** Needs root: what no loop device can stand for is skipped as a whole. */
const loopReason = noLoopDevice();
const rooted = (name: string, factory: DeviceFactory, supports: DeviceSupport): void => {
  if (loopReason === undefined) return void blockDeviceSuite(name, factory, supports).run();
  const skipped = blockDeviceSuite(`${name}, skipped`, memoryFactory, quick);
  skipWhen(loopReason, skipped)(`${name} keeps the contract`, () => undefined);
  skipped.run();
};
// tmpfs punches but knows no zeroed ranges; ramfs knows neither, nor holes.
rooted("file on tmpfs", fileFactory({ system: "tmpfs" }), quick);
rooted("file on ramfs", fileFactory({ system: "ramfs" }), plainQuick);
rooted("loop block device", loopFactory(), quick);
rooted("loop block device of 4096-byte sectors", loopFactory({ sectorSize: 4096 }), quick);
rooted("loop block device, direct", loopFactory({ layer: direct }), directly);
rooted(
  "loop block device of 4096-byte sectors, direct",
  loopFactory({ layer: direct, sectorSize: 4096 }),
  directly,
);
rooted("loop block device on ramfs", loopFactory({ system: "ramfs" }), plainQuick);
rooted("loop block device, no native calls", loopFactory({ open: withoutNative }), plainQuick);
