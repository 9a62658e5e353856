import { suite } from "uvu";
import * as assert from "uvu/assert";
import {
  decodeSuperblock,
  encodeSuperblock,
  memberRole,
  parseSuperblock,
  type SuperblockReason,
  superblockChecksum,
  superblockName,
  superblockOffsetSectors,
} from "../../../src/raid/superblock.ts";
import type { MinorVersion, Superblock } from "../../../src/raid/superblock-fields.ts";
import { roles, SAMPLE_DEVICE_SECTORS, sampleSuperblock } from "../../helpers/md-samples.ts";
import { withSeeds } from "../../helpers/seed.ts";

const test = suite("raid/superblock");

/** The sample's bytes after an edit, with a right checksum. */
function edited(edit: (view: DataView, bytes: Uint8Array) => void): Uint8Array {
  const bytes = encodeSuperblock(sampleSuperblock());
  const view = new DataView(bytes.buffer);
  edit(view, bytes);
  const maxDev = Math.min(view.getUint32(220, true), 128);
  view.setUint32(216, superblockChecksum(bytes, maxDev), true);
  return bytes;
}

function reasonOf(bytes: Uint8Array, position = 8): SuperblockReason | "accepted" {
  const decoded = decodeSuperblock(bytes, position, SAMPLE_DEVICE_SECTORS);
  return decoded.ok ? "accepted" : decoded.reason;
}

const POSITIONS: readonly (readonly [MinorVersion, number, number | null])[] = [
  [0, 131072, 131056],
  [0, 131079, 131056],
  [0, 131080, 131064],
  [0, 24, 8],
  [0, 23, null],
  [1, 131072, 0],
  [1, 24, 0],
  [1, 23, null],
  [2, 131072, 8],
  [2, 23, null],
  [2, 0, null],
];

test("lies where the kernel looks for it", () => {
  for (const [minor, sectors, position] of POSITIONS) {
    assert.is(superblockOffsetSectors(minor, sectors), position, `1.${minor} on ${sectors}`);
  }
});

test("decodes what it encoded, field by field", () => {
  const sb = sampleSuperblock({
    featureMap: 0x8b,
    recoveryOffset: 4096,
    resyncOffset: 12345,
    cntCorrectedRead: 7,
    devFlags: 3,
    ctime: { seconds: 2 ** 40 - 1, microseconds: 999_999 },
    bitmapOffset: -16,
    bblogOffset: -8,
    level: -1,
    logicalBlockSize: 512,
    events: Number.MAX_SAFE_INTEGER,
    reshapeArea: new Uint8Array(24).fill(0x5a),
    devRoles: roles(0, 0xfffe, 1),
  });
  const decoded = decodeSuperblock(encodeSuperblock(sb), 8);
  assert.equal(decoded, { ok: true, value: sb });
});

test("the checksum folds carries and counts an odd number of roles", () => {
  const bytes = encodeSuperblock(sampleSuperblock({ devRoles: Uint16Array.from([0, 1, 2]) }));
  assert.is(bytes.length, 512);
  const decoded = decodeSuperblock(bytes, 8);
  assert.ok(decoded.ok);
  bytes[256 + 4] = 9;
  assert.is(reasonOf(bytes), "checksum");
});

interface Rejection {
  readonly reason: SuperblockReason;
  readonly name: string;
  readonly edit: (view: DataView, bytes: Uint8Array) => void;
}

const REJECTIONS: readonly Rejection[] = [
  { reason: "no-magic", name: "another magic", edit: (v) => v.setUint32(0, 1, true) },
  { reason: "major-version", name: "version 2", edit: (v) => v.setUint32(4, 2, true) },
  { reason: "max-dev", name: "1921 roles", edit: (v) => v.setUint32(220, 1921, true) },
  { reason: "truncated", name: "roles beyond the end", edit: (v) => v.setUint32(220, 129, true) },
  { reason: "super-offset", name: "a copy from elsewhere", edit: (v) => v.setUint8(144, 16) },
  { reason: "feature-map", name: "an unknown feature", edit: (v) => v.setUint32(8, 0x2001, true) },
  { reason: "padding", name: "pad0 in use", edit: (v) => v.setUint8(12, 1) },
  { reason: "padding", name: "pad3 in use", edit: (v) => v.setUint8(255, 1) },
  { reason: "data-size", name: "no room for data", edit: (v) => v.setBigUint64(136, 9n, true) },
  { reason: "data-offset", name: "data over it", edit: (v) => v.setBigUint64(128, 8n, true) },
  {
    reason: "raid0-layout",
    name: "the raid0 layout feature on raid1",
    edit: (v) => v.setUint32(8, 0x1001, true),
  },
  {
    reason: "device-too-small",
    name: "more data than the device has",
    edit: (v) => v.setBigUint64(136, 129025n, true),
  },
  {
    reason: "out-of-range",
    name: "events beyond 2^53",
    edit: (v) => v.setBigUint64(200, 2n ** 53n, true),
  },
  {
    reason: "out-of-range",
    name: "a size of all ones",
    edit: (v) => v.setBigUint64(80, 2n ** 64n - 1n, true),
  },
  {
    reason: "out-of-range",
    name: "a data offset beyond 2^53",
    edit: (v) => v.setBigUint64(128, 2n ** 63n, true),
  },
];

for (const { reason, name, edit } of REJECTIONS) {
  test(`rejects ${name}: ${reason}`, () => {
    assert.is(reasonOf(edited(edit)), reason);
  });
}

test("rejects a wrong checksum", () => {
  const bytes = encodeSuperblock(sampleSuperblock());
  bytes[40] = 0x41;
  assert.is(reasonOf(bytes), "checksum");
});

test("rejects a new data offset over the superblock during a reshape only", () => {
  const move = (view: DataView, feature: number): void => {
    view.setUint32(8, feature, true);
    view.setInt32(124, -2044, true);
  };
  assert.is(reasonOf(edited((view) => move(view, 0x45))), "data-offset");
  assert.is(reasonOf(edited((view) => move(view, 0x01))), "accepted");
});

test("rejects metadata 1.0 whose data runs into it", () => {
  const sb = sampleSuperblock({ superOffset: 131056, dataOffset: 0, dataSize: 131057 });
  const decoded = decodeSuperblock(encodeSuperblock(sb), 131056, SAMPLE_DEVICE_SECTORS);
  assert.equal(decoded, { ok: false, reason: "device-too-small" });
});

test("accepts and keeps the logical block size that new kernels store", () => {
  const bytes = edited((view) => view.setUint32(224, 4096, true));
  const decoded = decodeSuperblock(bytes, 8);
  assert.ok(decoded.ok);
  if (decoded.ok) assert.equal(encodeSuperblock(decoded.value), bytes);
});

test("keeps stale reshape fields", () => {
  const bytes = edited((_, all) => all.fill(0xff, 100, 124));
  const decoded = decodeSuperblock(bytes, 8);
  assert.ok(decoded.ok);
  if (decoded.ok) assert.equal(encodeSuperblock(decoded.value), bytes);
});

test("reads a name that fills its field without a terminator", () => {
  const setName = new TextEncoder().encode("0123456789abcdef0123456789abcdef");
  assert.is(superblockName(sampleSuperblock({ setName })), "0123456789abcdef0123456789abcdef");
});

test("tells the role of every device number", () => {
  const sb = sampleSuperblock({ devRoles: roles(1, 0xfffe, 0xffff, 0xfffd, 2, 0xff00) });
  const told = [0, 1, 2, 3, 4, 5, 128, 4_000_000_000].map((number) => memberRole(sb, number).type);
  assert.equal(told, ["slot", "faulty", "spare", "journal", "spare", "spare", "spare", "spare"]);
});

test("every shortened superblock is told as cut off or not at all", () => {
  const bytes = encodeSuperblock(sampleSuperblock());
  for (let length = 0; length < bytes.length; length += 1) {
    assert.is(reasonOf(bytes.slice(0, length)), "truncated", `${length} bytes`);
  }
});

test("random bytes never throw", async () => {
  await withSeeds({ fixed: [1], more: 1 }, (prng) => {
    for (let round = 0; round < 500; round += 1) {
      const bytes = prng.bytes(prng.below(4200));
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
      if (bytes.length >= 8 && prng.chance(9, 10)) {
        view.setUint32(0, 0xa92b4efc, true);
        view.setUint32(4, 1, true);
      }
      if (bytes.length >= 224 && prng.chance(1, 2)) view.setUint32(220, prng.below(2000), true);
      assert.type(decodeSuperblock(bytes, prng.below(20), prng.below(1000)).ok, "boolean");
    }
  });
});

test("a flipped bit is noticed, or lies where nothing is stored", async () => {
  await withSeeds({ fixed: [1], more: 2 }, (prng) => {
    for (let round = 0; round < 500; round += 1) {
      const bytes = encodeSuperblock(sampleSuperblock());
      const at = prng.below(bytes.length);
      const byte = bytes[at] ?? 0;
      bytes[at] = byte ^ (1 << prng.below(8));
      assert.is.not(reasonOf(bytes), "accepted", `byte ${at}`);
    }
  });
});

test("whatever decodes with a right checksum encodes to the same bytes", async () => {
  await withSeeds({ fixed: [1], more: 2 }, (prng) => {
    let decodedCount = 0;
    for (let round = 0; round < 500; round += 1) {
      const bytes = edited((_, all) => {
        const field = prng.pick([16, 32, 64, 72, 88, 96, 100, 124, 160, 168, 184, 192, 224, 256]);
        prng.fill(all.subarray(field, field + prng.below(8) + 1));
      });
      const parsed = parseSuperblock(bytes);
      if (!parsed.ok || !parsed.value.paddingIsZero) continue;
      decodedCount += 1;
      assert.equal(encodeSuperblock(parsed.value.value as Superblock), bytes);
    }
    assert.ok(decodedCount > 100, `${decodedCount} decoded`);
  });
});

test.run();
