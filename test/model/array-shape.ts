/** What arrays the model makes: drawn from a seed, created by the product's own plan. */

import { assert } from "../../src/common/assert.ts";
import type { Prng } from "../../src/common/prng.ts";
import { createOnDevices } from "../../src/raid/create-driver.ts";
import { createOptionsOf } from "../../src/raid/create-options.ts";
import { raid10Geometry } from "../../src/raid/raid10-layout.ts";
import type { MinorVersion } from "../../src/raid/superblock-fields.ts";
import { ModelDevice, ModelMedium, type Power } from "./medium.ts";
import { fillPattern } from "./pattern.ts";

const KIB = 1024;
/** Room before the data (1.1, 1.2) or behind it (1.0), as create lays it out on small devices. */
const ROOM_AT_START = 1024 * KIB;
const ROOM_AT_END = 32 * KIB;

/** Every layout the engine takes; words of mdadm, and near and far copies together. */
export const LAYOUTS: ReadonlyMap<string, number> = new Map([
  ["raid1", 0],
  ["n2", 0x102],
  ["n3", 0x103],
  ["n4", 0x104],
  ["f2", 0x201],
  ["f3", 0x301],
  ["f4", 0x401],
  ["o2", 0x1_0201],
  ["o3", 0x1_0301],
  ["o4", 0x1_0401],
  ["n2f2", 0x202],
  ["n2o2", 0x1_0202],
]);

export interface ArrayShape {
  readonly layout: string;
  readonly word: number;
  readonly raidDevices: number;
  readonly chunkBytes: number;
  readonly metadata: "1.0" | "1.1" | "1.2";
  readonly minor: MinorVersion;
  readonly bitmap: "internal" | "none";
  readonly bitmapChunkBytes: number | null;
  readonly hasBadBlockLists: boolean;
  /** `garbage`: each member holds something else; `clean`: nothing, and created as in sync. */
  readonly start: "garbage" | "blank" | "clean";
  /** Bytes of data that a member has room for, and what is used at first; null: all. */
  readonly dataBytes: number;
  readonly sizeBytes: number | null;
  readonly missingSlots: readonly number[];
  readonly spares: number;
}

const MINORS = { "1.0": 0, "1.1": 1, "1.2": 2 } as const;

/** `layout` fixes the layout; null draws one. */
export const drawShape = (prng: Prng, layout: string | null): ArrayShape => {
  const name = layout ?? prng.pick([...LAYOUTS.keys(), "raid1", "raid1", "raid1", "n2"]);
  const word = LAYOUTS.get(name);
  assert(word !== undefined, `the model knows the layout ${name}`);
  const copies = Math.max((word & 0xff) * ((word >> 8) & 0xff), 1);
  const isMirror = name === "raid1";
  const any = isMirror
    ? prng.pick([1, 2, 2, 2, 2, 3, 3, 4])
    : prng.pick([copies, copies + 1, copies + 1, prng.between(copies, 10)]);
  // Near and offset copies overlap each other on an odd number of members, in md too.
  const raidDevices = name === "n2o2" ? any - (any % 2) : any;
  const isLarge = prng.chance(1, 60) && raidDevices <= 4;
  const dataKib = isLarge ? prng.between(1100, 2600) : prng.pick([64, 64, 96, 128, 128, 192]);
  const metadata = prng.pick(["1.0", "1.1", "1.2", "1.2"] as const);
  const dataBytes = Math.floor(dataKib / 64) * 64 * KIB + prng.pick([0, 0, 8, 24]) * KIB;
  const isSmaller = prng.chance(1, 4);
  return {
    layout: name,
    word,
    raidDevices,
    chunkBytes: isMirror ? 0 : prng.pick([4, 4, 8, 8, 16]) * KIB,
    metadata,
    minor: MINORS[metadata],
    bitmap: prng.chance(7, 10) ? "internal" : "none",
    bitmapChunkBytes: prng.pick([4, 4, 8, 16, 32, 64, 64]) * KIB,
    hasBadBlockLists: prng.chance(6, 10),
    start: prng.pick(["garbage", "blank", "clean"]),
    dataBytes,
    sizeBytes: isSmaller ? Math.max(64 * KIB, Math.floor(dataKib / 2) * KIB) : null,
    missingSlots: prng.chance(1, 10) ? [prng.below(raidDevices)] : [],
    spares: prng.chance(1, 4) ? 1 : 0,
  };
};

/** Bytes of a medium with that much room for data. */
export const mediumBytes = ({ minor }: ArrayShape, dataBytes: number): number =>
  dataBytes + (minor === 0 ? ROOM_AT_END : ROOM_AT_START);

/** The layout can do without these raid slots. */
const canMiss = (shape: ArrayShape): boolean => {
  const { raidDevices, missingSlots } = shape;
  if (missingSlots.length === 0) return true;
  if (shape.layout === "raid1") return raidDevices > missingSlots.length;
  const geometry = raid10Geometry(shape.word, raidDevices, shape.chunkBytes / 512);
  return geometry !== null && geometry.nearCopies * geometry.farCopies > missingSlots.length;
};

/** The media of a new array: raid slots first (null: missing), then spares. */
export const createArray = async (
  shape: ArrayShape,
  prng: Prng,
  power: Power,
): Promise<readonly ModelMedium[]> => {
  const missing = canMiss(shape) ? shape.missingSlots : [];
  const count = shape.raidDevices + shape.spares;
  const slack = () => prng.pick([0, 0, 0, 4, 20]) * KIB;
  const media = Array.from({ length: count }, (_, number) => {
    if (missing.includes(number)) return null;
    const size = mediumBytes(shape, shape.dataBytes + slack());
    return new ModelMedium(`/m${number}`, size, 512, power);
  });
  if (shape.start === "garbage") {
    const from = shape.minor === 0 ? 0 : ROOM_AT_START;
    for (const [number, medium] of media.entries())
      medium?.preset(from, fillPattern(0x40_0000 + number, from, shape.dataBytes));
  }
  const { layout, raidDevices, metadata, bitmap, bitmapChunkBytes, sizeBytes, chunkBytes } = shape;
  const isMirror = layout === "raid1";
  const options = createOptionsOf(
    {
      name: "model",
      level: isMirror ? "raid1" : "raid10",
      layout: isMirror ? null : "n2",
      chunkBytes: isMirror ? null : chunkBytes,
      raidDevices,
      bitmap,
      bitmapChunkBytes: bitmap === "none" ? null : bitmapChunkBytes,
      nodes: 0,
      clusterName: "",
      metadata,
      assumeClean: shape.start === "clean",
      sizeBytes,
    },
    count,
    { homehost: "test", setUuid: prng.bytes(16), createdAt: 1_700_000_000 },
  );
  assert(options.ok, "the order of an array is possible");
  const devices = media.map((medium) =>
    medium === null
      ? ("missing" as const)
      : { path: medium.path, device: new ModelDevice(medium), deviceUuid: prng.bytes(16) },
  );
  await createOnDevices({ ...options.value, layout: shape.word }, devices, true);
  return media.filter((medium) => medium !== null);
};
