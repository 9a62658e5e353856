import { suite } from "uvu";
import * as assert from "uvu/assert";
import {
  type BitmapReason,
  bitmapChunks,
  bitmapClusterName,
  bitmapSlotBytes,
  decodeBitmapSuperblock,
  encodeBitmapSuperblock,
} from "../../../src/raid/bitmap-superblock.ts";
import { SAMPLE_UUID, sampleBitmap } from "../../helpers/md-samples.ts";
import { withSeeds } from "../../helpers/seed.ts";

const test = suite("raid/bitmap-superblock");

function reasonAfter(edit: (view: DataView) => void): BitmapReason | "accepted" {
  const bytes = encodeBitmapSuperblock(sampleBitmap());
  edit(new DataView(bytes.buffer));
  const decoded = decodeBitmapSuperblock(bytes, SAMPLE_UUID);
  return decoded.ok ? "accepted" : decoded.reason;
}

interface Verdict {
  readonly verdict: BitmapReason | "accepted";
  readonly name: string;
  readonly edit: (view: DataView) => void;
}

const VERDICTS: readonly Verdict[] = [
  { verdict: "accepted", name: "it as it is", edit: () => undefined },
  { verdict: "accepted", name: "version 3", edit: (v) => v.setUint32(4, 3, true) },
  { verdict: "no-magic", name: "another magic", edit: (v) => v.setUint32(0, 0, true) },
  { verdict: "version", name: "version 2", edit: (v) => v.setUint32(4, 2, true) },
  { verdict: "version", name: "lockless version 6", edit: (v) => v.setUint32(4, 6, true) },
  { verdict: "chunk-size", name: "chunks of 256 bytes", edit: (v) => v.setUint32(52, 256, true) },
  { verdict: "chunk-size", name: "chunks of 3 KiB", edit: (v) => v.setUint32(52, 3072, true) },
  { verdict: "chunk-size", name: "no chunks", edit: (v) => v.setUint32(52, 0, true) },
  { verdict: "accepted", name: "chunks of 512 bytes", edit: (v) => v.setUint32(52, 512, true) },
  { verdict: "accepted", name: "chunks of 2 GiB", edit: (v) => v.setUint32(52, 2 ** 31, true) },
  { verdict: "daemon-sleep", name: "no flush period", edit: (v) => v.setUint32(56, 0, true) },
  { verdict: "accepted", name: "16383 behind", edit: (v) => v.setUint32(60, 16383, true) },
  { verdict: "write-behind", name: "16384 behind", edit: (v) => v.setUint32(60, 16384, true) },
  { verdict: "uuid", name: "another array's UUID", edit: (v) => v.setUint8(8, 0xee) },
  {
    verdict: "nodes",
    name: "a clustered one without nodes",
    edit: (v) => v.setUint32(4, 5, true),
  },
  {
    verdict: "nodes",
    name: "a clustered one of 65 nodes",
    edit: (v) => {
      v.setUint32(4, 5, true);
      v.setUint32(68, 65, true);
    },
  },
  {
    verdict: "accepted",
    name: "one that is not clustered, whatever stands where nodes would",
    edit: (v) => v.setUint32(68, 2 ** 30, true),
  },
  {
    verdict: "out-of-range",
    name: "events beyond 2^53",
    edit: (v) => v.setBigUint64(24, 2n ** 53n, true),
  },
  {
    verdict: "out-of-range",
    name: "a sync size beyond 2^53",
    edit: (v) => v.setBigUint64(40, 2n ** 60n, true),
  },
];

for (const { verdict, name, edit } of VERDICTS) {
  test(`${verdict === "accepted" ? "accepts" : "rejects"} ${name}`, () => {
    assert.is(reasonAfter(edit), verdict);
  });
}

test("decodes what it encoded, unchecked bytes included", () => {
  const clusterName = new Uint8Array(64);
  clusterName.set(new TextEncoder().encode("hacluster"));
  const bitmap = sampleBitmap({
    version: 5,
    nodes: 4,
    clusterName,
    state: 0x8002,
    writeBehind: 256,
    sectorsReserved: 8,
    pad: new Uint8Array(120).fill(0x77),
  });
  const decoded = decodeBitmapSuperblock(encodeBitmapSuperblock(bitmap), SAMPLE_UUID);
  assert.equal(decoded, { ok: true, value: bitmap });
  assert.is(bitmapClusterName(bitmap), "hacluster");
});

test("one that is not clustered has no nodes, whatever stands there", () => {
  const bytes = encodeBitmapSuperblock(sampleBitmap());
  new DataView(bytes.buffer).setUint32(68, 2 ** 30, true);
  const decoded = decodeBitmapSuperblock(bytes, SAMPLE_UUID);
  assert.is(decoded.ok && decoded.value.nodes, 0);
});

test("anything shorter than its 256 bytes is cut off", () => {
  const bytes = encodeBitmapSuperblock(sampleBitmap());
  for (const length of [0, 1, 100, 255]) {
    assert.equal(decodeBitmapSuperblock(bytes.slice(0, length)), {
      ok: false,
      reason: "truncated",
    });
  }
});

/** Sectors, bytes per bit, bits, bytes from one slot to the next; measured with mdadm. */
const SPACING: readonly (readonly [number, number, number, number])[] = [
  [129024, 64 * 2 ** 20, 1, 4096],
  [129024, 65536, 1008, 4096],
  [129024, 4096, 16128, 4096],
  [612352, 64 * 2 ** 20, 5, 4096],
  [33519616, 65536, 261872, 36864],
  [33519616, 262144, 65468, 12288],
  [4294703104, 64 * 2 ** 20, 32766, 8192],
];

test("slots are spaced as mdadm spaces them", () => {
  for (const [syncSize, chunkBytes, chunks, slotBytes] of SPACING) {
    assert.is(bitmapChunks(syncSize, chunkBytes), chunks);
    assert.is(bitmapSlotBytes(chunks), slotBytes, `${chunks} bits`);
  }
});

test("random bytes never throw", async () => {
  await withSeeds({ fixed: [1], more: 1 }, (prng) => {
    for (let round = 0; round < 500; round += 1) {
      const bytes = prng.bytes(prng.below(600));
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
      if (bytes.length >= 8 && prng.chance(9, 10)) {
        view.setUint32(0, 0x6d746962, true);
        view.setUint32(4, prng.between(2, 7), true);
      }
      const decoded = decodeBitmapSuperblock(bytes);
      if (decoded.ok) assert.equal(encodeBitmapSuperblock(decoded.value), bytes.slice(0, 256));
    }
  });
});

test.run();
