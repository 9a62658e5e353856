/** The array keeps the contract of the block-device port. */
import { startMemoryArray } from "../helpers/memory-array.ts";
import { blockDeviceSuite } from "./block-device.ts";
import type { DeviceFactory } from "./block-device-subject.ts";

interface Kind {
  readonly legs: number;
  readonly layout?: string;
  readonly quickness: number;
}

const arrayFactory =
  (kind: Kind): DeviceFactory =>
  async () => {
    const { device } = await startMemoryArray({ ...kind, seed: kind.legs });
    return {
      device,
      openReadOnly: null,
      truncate: null,
      dispose: () => device.close(),
    };
  };

const supports = { sync: false, punches: true };
for (const [name, kind] of [
  ["raid1 of 2 in memory", { legs: 2, quickness: 0 }],
  ["raid1 of 3 in memory, quick", { legs: 3, quickness: 5 }],
  ["raid10 of 3, near 2, in memory", { legs: 3, layout: "n2", quickness: 4 }],
  ["raid10 of 4, far 2, in memory", { legs: 4, layout: "f2", quickness: 4 }],
  ["raid10 of 3, offset 2, in memory", { legs: 3, layout: "o2", quickness: 4 }],
] as const)
  blockDeviceSuite(name, arrayFactory(kind), supports).run();
