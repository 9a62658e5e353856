/**
 * Assembly of open devices: what starts, what is refused with which code, and nothing is written.
 */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { CodedError } from "../../../src/common/errors.ts";
import { FaultDevice, FaultSwitch } from "../../../src/hal/layers/fault-device.ts";
import { MemoryDevice } from "../../../src/hal/sim/memory-device.ts";
import { type AssembleOptions, assembleDevices } from "../../../src/raid/assemble-driver.ts";
import {
  type BitmapSuperblock,
  encodeBitmapSuperblock,
} from "../../../src/raid/bitmap-superblock.ts";
import { BIT_CLEAN, BIT_FOUND, LEG_IN_SYNC, LEG_NONE } from "../../../src/raid/shared-state.ts";
import { encodeSuperblock } from "../../../src/raid/superblock.ts";
import {
  MD_DISK_ROLE_FAULTY,
  MD_DISK_ROLE_SPARE,
  type Superblock,
} from "../../../src/raid/superblock-fields.ts";
import { roles, sampleBitmap, sampleSuperblock } from "../../helpers/md-samples.ts";

const MIB = 1024 * 1024;
const SIZE = (6 * MIB) / 512;
const OPTIONS = {
  readOnly: false,
  workers: 1,
  now: 1_800_000_000_000,
  syncSpeedMin: 1,
  syncSpeedMax: 1,
};

interface MemberSpec {
  readonly superblock?: Partial<Superblock>;
  readonly bitmap?: Partial<BitmapSuperblock> | null;
  readonly bits?: readonly number[];
}

/** A member of a two-way array with 1 MiB chunks, by default in sync and clean. */
const member = (devNumber: number, spec: MemberSpec = {}) => {
  const bytes = new Uint8Array(8 * MIB);
  const shape = { size: SIZE, dataSize: SIZE, dataOffset: 2048, devNumber };
  const superblock = sampleSuperblock({ ...shape, ...spec.superblock });
  bytes.set(encodeSuperblock(superblock), 4096);
  if (spec.bitmap !== null) {
    const bitmap = sampleBitmap({ syncSize: SIZE, chunkBytes: MIB, ...spec.bitmap });
    bytes.set(encodeBitmapSuperblock(bitmap), 8192);
    for (const chunk of spec.bits ?? [])
      bytes[8192 + 256] = (bytes[8192 + 256] ?? 0) | (1 << chunk);
  }
  const path = `/m${devNumber}`;
  return { path, bytes, device: new MemoryDevice(path, bytes) };
};

const refusal = async (
  members: readonly ReturnType<typeof member>[],
  over: Partial<typeof OPTIONS> = {},
): Promise<CodedError> => {
  const before = members.map(({ bytes }) => bytes.slice());
  try {
    await assembleDevices(members, { ...OPTIONS, ...over });
  } catch (error) {
    if (!(error instanceof CodedError)) throw error;
    for (const [index, { bytes }] of members.entries())
      assert.is(Buffer.compare(bytes, before[index] ?? bytes), 0, "nothing is written");
    return error;
  }
  throw new Error("the array starts");
};

const test = suite("raid/assemble-driver");

test("a clean array starts with its legs, its bits and nothing written", async () => {
  const members = [member(0, { bits: [1] }), member(1, { bits: [1] })];
  const before = members.map(({ bytes }) => bytes.slice());
  const array = await assembleDevices(members, OPTIONS);
  assert.equal(array.legs, [
    { leg: 0, path: "/m0", dataOffset: MIB },
    { leg: 1, path: "/m1", dataOffset: MIB },
  ]);
  assert.equal(
    [0, 1].map((slot) => array.shared.leg(slot)),
    [LEG_IN_SYNC, LEG_IN_SYNC],
  );
  assert.equal(
    [0, 1, 2].map((chunk) => array.shared.bit(chunk)),
    [BIT_CLEAN, BIT_FOUND, BIT_CLEAN],
  );
  assert.equal([array.hasBitmap, array.leftOut], [true, []]);
  assert.is(array.machine.status.health, "optimal");
  for (const [index, { bytes }] of members.entries())
    assert.is(Buffer.compare(bytes, before[index] ?? bytes), 0);
});

test("a member that is behind takes no part, and says why", async () => {
  const members = [member(0, { superblock: { events: 30 } }), member(1)];
  const array = await assembleDevices(members, OPTIONS);
  assert.equal(
    array.leftOut.map(({ path, reason }) => [path, reason]),
    [["/m1", "non-fresh"]],
  );
  assert.equal(
    [0, 1].map((slot) => array.shared.leg(slot)),
    [LEG_IN_SYNC, LEG_NONE],
  );
});

test("a bitmap of another chunk size counts for nothing; no bit is durable then", async () => {
  for (const odd of [0, 1]) {
    const members = [0, 1].map((number) =>
      member(number, {
        superblock: { resyncOffset: 0 },
        bits: [2],
        bitmap: { chunkBytes: number === odd ? 512 * 1024 : MIB },
      }),
    );
    const { shared, machine } = await assembleDevices(members, OPTIONS);
    assert.is(machine.status.bitmap.dirtyChunks, 1);
    assert.is(shared.bit(2), BIT_FOUND);
  }
});

test("a bitmap that missed updates makes every chunk due", async () => {
  const members = [0, 1].map((number) => member(number, { bitmap: { events: 19 } }));
  const { machine } = await assembleDevices(members, OPTIONS);
  assert.is(machine.status.bitmap.dirtyChunks, 6);
});

test("a member that cannot be read is named, the others start", async () => {
  const faults = new FaultSwitch();
  faults.arm({ kind: "read-error", after: 0, count: null, range: null, stallMs: 0 });
  const bad = member(1);
  const device = new FaultDevice(bad.device, faults, async () => undefined);
  const array = await assembleDevices([member(0), { path: bad.path, device }], OPTIONS);
  assert.equal(
    array.leftOut.map(({ path, reason }) => [path, reason]),
    [["/m1", "unreadable"]],
  );
  assert.is(array.machine.status.degraded, 1);
});

const all = (spec: MemberSpec) => [member(0, spec), member(1, spec)];
for (const [what, members, code] of [
  ["no devices", [], "RAID_NO_MEMBERS"],
  ["more slots than can be run", all({ superblock: { raidDisks: 33 } }), "RAID_BAD_MEMBER_COUNT"],
  ["a promised bitmap that is not there", all({ bitmap: null }), "RAID_BITMAP_UNUSABLE"],
  ["a clustered array", all({ bitmap: { version: 5, nodes: 4 } }), "RAID_CLUSTERED_ARRAY"],
  [
    "only a member under rebuild",
    [member(0, { superblock: { featureMap: 3 } })],
    "RAID_NOT_ENOUGH_MEMBERS",
  ],
  [
    "only a faulty member",
    [member(1, { superblock: { devRoles: roles(0, 0xfffe) } })],
    "RAID_NO_MEMBERS",
  ],
] as const) {
  test(`${what}: ${code}, with a remedy and a reason for each device`, async () => {
    const error = await refusal([...members]);
    assert.is(error.code, code);
    assert.ok(error.remedy.length > 0);
    const listed = error.details["members"];
    assert.ok(Array.isArray(listed) && listed.length === members.length);
  });
}

test("a raid10 starts with the size its layout gives", async () => {
  const spec: MemberSpec = {
    superblock: {
      level: 10,
      layout: 0x102,
      chunkSize: 128,
      raidDisks: 3,
      devRoles: roles(0, 1, 2),
    },
    bitmap: { syncSize: SIZE + SIZE / 2 },
  };
  const { machine, shared } = await assembleDevices(
    [0, 1, 2].map((number) => member(number, spec)),
    OPTIONS,
  );
  const { level, layout, chunkBytes, sizeBytes, degraded } = machine.status;
  assert.equal([level, layout, chunkBytes, degraded], ["raid10", "near=2", 64 * 1024, 0]);
  assert.equal([sizeBytes, shared.map.sizeBytes], [9 * MIB, 9 * MIB]);
});

test("as many slots as can be run do start", async () => {
  const members = [member(0, { superblock: { raidDisks: 32, devRoles: roles(0) } })];
  const { machine } = await assembleDevices(members, OPTIONS);
  assert.is(machine.status.degraded, 31);
});

test("a clustered array may be read", async () => {
  const members = all({ bitmap: { version: 5, nodes: 4 } });
  const { machine } = await assembleDevices(members, { ...OPTIONS, readOnly: true });
  assert.is(machine.status.bitmap.type, "clustered");
});

test("in a cluster a member that failed before this node joined is listed until it is removed", async () => {
  const clusterName = new Uint8Array(64);
  clusterName.set(new TextEncoder().encode("attic"));
  const nodes = { nodes: 4, version: 5, clusterName } as const;
  const clustered = { featureMap: 0x101, resyncOffset: 0 } as const;
  const devRoles = roles(0, MD_DISK_ROLE_FAULTY, MD_DISK_ROLE_FAULTY);
  const fresh = { superblock: { ...clustered, devRoles, events: 20 }, bitmap: nodes };
  const old = { superblock: { ...clustered, devRoles: roles(0, 1), events: 9 }, bitmap: nodes };
  const faulty = async (
    cluster: NonNullable<AssembleOptions["cluster"]>,
    devices = [fresh, old],
  ) => {
    const members = devices.map((spec, number) => member(number, spec));
    const { machine, legs } = await assembleDevices(members, { ...OPTIONS, cluster });
    assert.equal(
      legs.map(({ path }) => path),
      ["/m0"],
    );
    return machine.status.members.flatMap(({ path, states, deviceNumber }) =>
      states.includes("faulty") ? [`${path} ${deviceNumber}`] : [],
    );
  };
  const cluster = { name: "attic", slot: 0, isRunElsewhere: true };
  assert.equal(await faulty(cluster), ["/m1 1"], "device 2 is not here");
  assert.equal(await faulty({ ...cluster, isRunElsewhere: false }), ["/m1 1"]);
  // One that was removed is a stranger.
  const removed = { ...fresh.superblock, devRoles: roles(0, MD_DISK_ROLE_SPARE) };
  assert.equal(await faulty(cluster, [{ ...fresh, superblock: removed }, old]), []);
});

test.run();
