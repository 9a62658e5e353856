/** Refusals and order of writes; create-plan-golden.test.ts compares the bytes with mdadm's. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import {
  type CreateMember,
  type CreateOptions,
  type CreateRefusalCode,
  planCreate,
  setNameBytes,
  staleRanges,
} from "../../../src/raid/create-plan.ts";
import { type ByteRange, probeMember } from "../../../src/raid/probe.ts";
import { encodeSuperblock, superblockName } from "../../../src/raid/superblock.ts";
import { memberWith, SAMPLE_UUID, sampleSuperblock } from "../../helpers/md-samples.ts";

const test = suite("raid/create-plan");

const MIB = 2 ** 20;

function options(overrides: Partial<CreateOptions> = {}): CreateOptions {
  return {
    level: 1,
    raidDevices: 2,
    spareDevices: 0,
    layout: 0,
    chunkSectors: 0,
    minor: 2,
    bitmap: "internal",
    bitmapChunkBytes: null,
    bitmapDelaySeconds: 5,
    nodes: 4,
    clusterName: "lab",
    setName: setNameBytes("0", "lab") ?? new Uint8Array(32),
    setUuid: SAMPLE_UUID,
    createdAt: 1_795_362_485,
    assumeClean: false,
    size: null,
    ...overrides,
  };
}

function member(
  index: number,
  sizeBytes = 64 * MIB,
  stale: readonly ByteRange[] = [],
): CreateMember {
  const deviceUuid = new Uint8Array(16).fill(index);
  return { path: `/dev/d${index}`, sizeBytes, deviceUuid, stale };
}

const PRESENT = { path: "/dev/4kn", sizeBytes: 64 * MIB, deviceUuid: SAMPLE_UUID, stale: [] };
const TWO = [member(0), member(1)];
const RAID10 = { level: 10, raidDevices: 4, layout: 0x102, chunkSectors: 1024 } as const;
const FOUR = [member(0), member(1), member(2), member(3)];

interface Row {
  readonly name: string;
  readonly options: Partial<CreateOptions>;
  readonly members: readonly CreateMember[];
  readonly code: CreateRefusalCode;
}

const REFUSALS: readonly Row[] = [
  { name: "too few members", options: {}, members: [member(0)], code: "RAID_BAD_MEMBER_COUNT" },
  { name: "too many members", options: {}, members: FOUR, code: "RAID_BAD_MEMBER_COUNT" },
  {
    name: "no raid devices",
    options: { raidDevices: 0, spareDevices: 2 },
    members: TWO,
    code: "RAID_BAD_MEMBER_COUNT",
  },
  {
    name: "more members than dev_roles holds",
    options: { raidDevices: 1921 },
    members: Array.from({ length: 1921 }, (_, index) => member(index)),
    code: "RAID_BAD_MEMBER_COUNT",
  },
  {
    name: "a missing spare",
    options: { raidDevices: 1, spareDevices: 1 },
    members: [member(0), "missing"],
    code: "RAID_BAD_MEMBER_COUNT",
  },
  {
    name: "nothing but missing members",
    options: {},
    members: ["missing", "missing"],
    code: "RAID_NOT_ENOUGH_MEMBERS",
  },
  {
    name: "raid10 with both copies missing",
    options: RAID10,
    members: ["missing", "missing", member(2), member(3)],
    code: "RAID_NOT_ENOUGH_MEMBERS",
  },
  {
    name: "more copies than raid devices",
    options: { ...RAID10, raidDevices: 2, layout: 0x103 },
    members: TWO,
    code: "RAID_BAD_LAYOUT",
  },
  {
    name: "a chunk that is no power of two",
    options: { ...RAID10, chunkSectors: 1000 },
    members: FOUR,
    code: "RAID_BAD_LAYOUT",
  },
  {
    name: "a layout that raid10 does not have",
    options: { ...RAID10, layout: 0x101 },
    members: FOUR,
    code: "RAID_BAD_LAYOUT",
  },
  {
    name: "a mix of sectors of 512 and 4096 bytes",
    options: {},
    members: [member(0), { ...PRESENT, logicalBlockSize: 4096 }],
    code: "RAID_SECTOR_SIZE_MISMATCH",
  },
  {
    name: "a clustered far layout",
    options: { ...RAID10, layout: 0x201, bitmap: "clustered" },
    members: FOUR,
    code: "RAID_BAD_CLUSTER",
  },
  {
    name: "a clustered array with metadata 1.0",
    options: { bitmap: "clustered", minor: 0 },
    members: TWO,
    code: "RAID_BAD_CLUSTER",
  },
  {
    name: "a cluster of one",
    options: { bitmap: "clustered", nodes: 1 },
    members: TWO,
    code: "RAID_BAD_CLUSTER",
  },
  {
    name: "a cluster of 65",
    options: { bitmap: "clustered", nodes: 65 },
    members: TWO,
    code: "RAID_BAD_CLUSTER",
  },
  {
    name: "a cluster name of 64 bytes",
    options: { bitmap: "clustered", clusterName: "x".repeat(64) },
    members: TWO,
    code: "RAID_BAD_CLUSTER",
  },
  {
    name: "a cluster without a name",
    options: { bitmap: "clustered", clusterName: "" },
    members: TWO,
    code: "RAID_BAD_CLUSTER",
  },
  {
    name: "a member of 1 MiB",
    options: {},
    members: [member(0), member(1, MIB)],
    code: "RAID_MEMBER_TOO_SMALL",
  },
  {
    name: "an empty member",
    options: {},
    members: [member(0, 0), member(1)],
    code: "RAID_MEMBER_TOO_SMALL",
  },
  {
    name: "a size beyond a member",
    options: { size: 129026 },
    members: TWO,
    code: "RAID_MEMBER_TOO_SMALL",
  },
  {
    name: "a size of nothing",
    options: { size: 0 },
    members: TWO,
    code: "RAID_MEMBER_TOO_SMALL",
  },
  {
    name: "a bitmap chunk with too many bits",
    options: { bitmapChunkBytes: 4096 },
    members: [member(0, 1024 * MIB), member(1, 1024 * MIB)],
    code: "RAID_BAD_BITMAP_CHUNK",
  },
];

for (const row of REFUSALS) {
  test(`refuses ${row.name}`, () => {
    const planned = planCreate(options(row.options), row.members);
    assert.is(planned.ok, false);
    if (planned.ok) return;
    assert.is(planned.code, row.code);
    assert.ok(planned.message.length > 0 && planned.remedy.length > 0);
  });
}

test("members with equal sectors of 4096 bytes make an array, whatever other ones are missing", () => {
  const large = { ...PRESENT, logicalBlockSize: 4096 };
  assert.ok(planCreate(options({ raidDevices: 3 }), [large, "missing", large]).ok);
});

test("the superblock is the last write of each member", () => {
  const planned = planCreate(options(), TWO);
  assert.ok(planned.ok);
  if (!planned.ok) return;
  for (const plan of planned.value.members) {
    assert.equal(
      plan?.writes.map(({ kind, offset }) => [kind, offset]),
      [
        ["bitmap", 8192],
        ["superblock", 4096],
      ],
    );
  }
});

test("64 nodes fit on every size of member", () => {
  for (const size of [2 * MIB, 1024 * MIB, 16384 * MIB, 2 ** 40, 2 ** 44, 2 ** 50]) {
    const cluster = { bitmap: "clustered", nodes: 64 } as const;
    assert.ok(planCreate(options(cluster), [member(0, size), member(1, size)]).ok, `${size}`);
  }
});

test("old metadata is blanked before the new is written", () => {
  const stale = [{ offset: 131056 * 512, length: 4096 }];
  const planned = planCreate(options(), [member(0, 64 * MIB, stale), member(1)]);
  assert.ok(planned.ok);
  if (!planned.ok) return;
  const [first] = planned.value.members[0]?.writes ?? [];
  assert.equal(first, { kind: "erase", offset: 131056 * 512, bytes: new Uint8Array(4096) });
});

test("every old superblock is blanked, 0.90 too, never beyond the end", () => {
  const old090 = new Uint8Array(4096);
  new DataView(old090.buffer).setUint32(0, 0xa92b4efc, true);
  new DataView(old090.buffer).setUint32(8, 90, true);
  const at10 = sampleSuperblock({ superOffset: 131056, dataOffset: 0, bitmapOffset: -16 });
  const probed = memberWith(sampleSuperblock())
    .write(131056 * 512, encodeSuperblock(at10))
    .write(130944 * 512, old090);
  assert.equal(staleRanges(probeMember(probed.read, probed.sizeBytes)), [
    { offset: 131056 * 512, length: 4096 },
    { offset: 4096, length: 4096 },
    { offset: 130944 * 512, length: 4096 },
  ]);
});

test("names carry the host when that fits 31 bytes", () => {
  const nameOf = (name: string, host: string): string | null => {
    const setName = setNameBytes(name, host);
    return setName === null ? null : superblockName(sampleSuperblock({ setName }));
  };
  assert.is(nameOf("data", "nas1"), "nas1:data");
  assert.is(nameOf("data", ""), "data");
  assert.is(nameOf("a:b", "host"), "a:b");
  assert.is(nameOf("0123456789012345678901234", "hosts"), "hosts:0123456789012345678901234");
  assert.is(nameOf("01234567890123456789012345", "hosts"), "01234567890123456789012345");
  assert.is(nameOf("x".repeat(31), "h"), "x".repeat(31));
  assert.is(nameOf("x".repeat(32), "h"), null);
  assert.is(nameOf("ü".repeat(16), "h"), null);
  assert.is(nameOf("", "h"), null);
  assert.is(nameOf("a\0b", "h"), null);
});

test("a plan tells the array's size and bitmap", () => {
  const planned = planCreate(options(RAID10), FOUR);
  assert.ok(planned.ok);
  if (!planned.ok) return;
  const { size, arraySectors, dataOffset, bitmap } = planned.value;
  assert.equal([size, arraySectors, dataOffset], [126976, 253952, 4096]);
  assert.is(bitmap?.chunkBytes, 64 * MIB);
});

test.run();
