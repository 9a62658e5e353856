/** Tables measured with mdadm 4.2; test/golden/mdadm-create holds whole creations. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import {
  bitmapSpaceSectors,
  dataOffsetSectors,
  layOutMember,
  sizeBitmap,
  usableSectors,
} from "../../../src/raid/sizing.ts";

const test = suite("raid/sizing");

const MIB = 2048;
const GIB = 1024 * MIB;
const TIB = 1024 * GIB;
const CHUNK_512K = 1024;

/** Device, data offset for raid1, for raid10 with chunks of 512 KiB. */
const DATA_OFFSETS: readonly (readonly [number, number, number])[] = [
  [4 * MIB, 2048, 4096],
  [64 * MIB, 2048, 4096],
  [512 * MIB, 2048, 4096],
  [GIB, 4096, 4096],
  [4 * GIB, 10240, 10240],
  [8 * GIB, 18432, 18432],
  [16 * GIB, 34816, 34816],
  [64 * GIB, 133120, 133120],
  [128 * GIB, 264192, 264192],
  [2 * TIB, 264192, 264192],
  [10 * TIB, 264192, 264192],
];

test("the data offset leaves mdadm's headroom", () => {
  for (const [sectors, raid1, raid10] of DATA_OFFSETS) {
    assert.is(dataOffsetSectors(2, sectors, 0), raid1, `raid1 on ${sectors}`);
    assert.is(dataOffsetSectors(1, sectors, 0), raid1, `raid1 1.1 on ${sectors}`);
    assert.is(dataOffsetSectors(2, sectors, CHUNK_512K), raid10, `raid10 on ${sectors}`);
    assert.is(dataOffsetSectors(0, sectors, 0), 0);
  }
});

/** Around 8 GiB and 200 GiB. */
const BITMAP_SPACE: readonly (readonly [number, number])[] = [
  [0, 0],
  [127, 0],
  [128, 8],
  [8 * GIB + 8, 8],
  [8 * GIB + 9, 128],
  [200 * GIB + 127, 128],
  [200 * GIB + 128, 256],
];

test("the room for a bitmap steps with the size", () => {
  for (const [sectors, space] of BITMAP_SPACE) assert.is(bitmapSpaceSectors(sectors), space);
});

test("component sizes are multiples of 64 KiB, or of the chunk", () => {
  assert.is(usableSectors(2, 204807, 2048, 0), 202752);
  assert.is(usableSectors(2, 67584, 4096, CHUNK_512K), 63488);
  assert.is(usableSectors(0, 131072, 0, 0), 130944);
  assert.is(usableSectors(0, 204807, 0, CHUNK_512K), 203776);
});

test("a device too small for metadata has no room for data", () => {
  assert.is(usableSectors(2, 2048, 2048, 0), 0);
  assert.is(usableSectors(2, 2175, 2048, 0), 0);
  assert.is(usableSectors(2, 2176, 2048, 0), 128);
  assert.is(usableSectors(0, 20, 0, 0), 0);
  assert.is(usableSectors(0, 128, 0, 0), 0);
});

/** Component size, bytes per bit asked for, bytes per bit chosen or null for refused. */
const CHUNKS: readonly (readonly [number, number | null, number | null])[] = [
  [129024, null, 64 * 2 ** 20],
  [129024, 4096, 4096],
  [491512, 8192, 8192],
  [491520, 8192, null],
  [2093056, 4096, null],
  [2093056, 65536, 65536],
  [4294703104, 65536, null],
  [4294703104, 2 ** 21, null],
  [4294703104, 2 ** 22, 2 ** 22],
  [128, null, 64 * 2 ** 20],
  [127, null, null],
];

test("the bitmap chunk fits the room", () => {
  for (const [size, asked, chosen] of CHUNKS) {
    const sized = sizeBitmap({ size, syncSize: size, chunkBytes: asked });
    assert.is(sized.ok ? sized.chunkBytes : null, chosen, `${size} with ${asked}`);
  }
});

test("a very large array gets larger bitmap chunks than 64 MiB", () => {
  const size = 1000 * TIB;
  const sized = sizeBitmap({ size, syncSize: size, chunkBytes: null });
  assert.ok(sized.ok);
  if (sized.ok) {
    assert.is(sized.chunkBytes, 2 ** 30);
    assert.ok(sized.slotBytes <= 256 * 512, `${sized.slotBytes}`);
  }
});

const request = {
  minor: 2,
  deviceSectors: 131072,
  dataOffset: 2048,
  size: 129024,
  bitmapSlotSectors: 8,
  clusterSlots: 0,
} as const;

test("the bad-block log follows the bitmap, or the room for one", () => {
  assert.is(layOutMember(request)?.bblogOffset, 16);
  assert.is(layOutMember({ ...request, bitmapSlotSectors: null })?.bblogOffset, 16);
  const large = { ...request, deviceSectors: TIB, dataOffset: 264192, size: TIB - 264192 };
  assert.is(layOutMember({ ...large, bitmapSlotSectors: null })?.bblogOffset, 264);
  assert.is(layOutMember({ ...large, bitmapSlotSectors: 88 })?.bblogOffset, 96);
});

test("metadata 1.0 has everything before the superblock", () => {
  const laid = layOutMember({ ...request, minor: 0, dataOffset: 0 });
  assert.equal(laid, {
    superOffset: 131056,
    dataOffset: 0,
    dataSize: 131040,
    bitmapOffset: -16,
    bblogSize: 8,
    bblogOffset: -8,
  });
});

test("a clustered array has no bad-block log and as many slots as fit", () => {
  const laid = layOutMember({ ...request, clusterSlots: 254 });
  assert.equal([laid?.bblogSize, laid?.bblogOffset], [0, 0]);
  assert.is(layOutMember({ ...request, clusterSlots: 255 }), null);
});

test.run();
