/** The array keeps the contract of the block-device port. */
import { startMemoryArray } from "../helpers/memory-array.ts";
import { blockDeviceSuite } from "./block-device.ts";
import type { DeviceFactory } from "./block-device-subject.ts";

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

const supports = { sync: false, punches: false };
blockDeviceSuite("raid1 of 2 in memory", arrayFactory(2, 0), supports).run();
blockDeviceSuite("raid1 of 3 in memory, quick", arrayFactory(3, 5), supports).run();
