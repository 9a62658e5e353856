/**
 * Creation on open devices: nothing before everything is checked, superblocks last, no half
 * array.
 */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { CodedError } from "../../../src/common/errors.ts";
import { FaultDevice, FaultSwitch } from "../../../src/hal/layers/fault-device.ts";
import { MemoryDevice } from "../../../src/hal/sim/memory-device.ts";
import { assembleDevices } from "../../../src/raid/assemble-driver.ts";
import { readContent } from "../../../src/raid/content-driver.ts";
import { type CreateDevice, createOnDevices } from "../../../src/raid/create-driver.ts";
import { SAMPLE_CREATE } from "../../helpers/md-samples.ts";

const MIB = 1024 * 1024;

/** Devices, and a log of what was done to them: `0 write 4096`, `1 flush`. */
const setUp = (count = 2) => {
  const log: string[] = [];
  const members = Array.from({ length: count }, (_, index) => {
    const memory = new MemoryDevice(`/d${index}`, new Uint8Array(16 * MIB));
    const faults = new FaultSwitch();
    const device = new FaultDevice(memory, faults, async () => undefined);
    const { write, flush } = { write: device.write.bind(device), flush: device.flush.bind(device) };
    device.write = (source, offset) => {
      log.push(`${index} write ${offset}`);
      return write(source, offset);
    };
    device.flush = () => {
      log.push(`${index} flush`);
      return flush();
    };
    return { path: `/d${index}`, device, memory, faults };
  });
  const devices: CreateDevice[] = members.map(({ path, device }, index) => ({
    path,
    device,
    deviceUuid: new Uint8Array(16).fill(index + 1),
  }));
  return { log, members, devices };
};

const codeOf = async (call: () => Promise<unknown>): Promise<string> => {
  try {
    await call();
  } catch (error) {
    if (error instanceof CodedError) return error.code;
    throw error;
  }
  return "no error";
};

const test = suite("raid/create-driver");

test("superblocks go last, after all the rest is durable on every device", async () => {
  const { log, devices } = setUp();
  await createOnDevices(SAMPLE_CREATE, devices, false);
  const superblocks = log.flatMap((line, at) => (line.endsWith(" write 4096") ? [at] : []));
  const first = superblocks[0] ?? 0;
  assert.is(superblocks.length, 2);
  assert.equal(log.slice(first - 2, first), ["0 flush", "1 flush"]);
  assert.equal(log.slice(-2), ["0 flush", "1 flush"]);
  assert.ok(
    log.slice(0, first).some((line) => line.endsWith(" write 8192")),
    "the bitmap is before",
  );
});

test("what was created can be started, with all bits set and a first resync due", async () => {
  const { members, devices } = setUp();
  await createOnDevices(SAMPLE_CREATE, devices, false);
  const { machine } = await assembleDevices(members, {
    readOnly: false,
    workers: 1,
    now: 1_800_000_000_000,
    syncSpeedMin: 1,
    syncSpeedMax: 1,
  });
  const { status } = machine;
  assert.equal([status.health, status.degraded], ["building", 0]);
  assert.is(status.bitmap.dirtyChunks, status.bitmap.totalChunks);
});

test("a missing device leaves its slot empty", async () => {
  const { members, devices } = setUp(1);
  await createOnDevices(SAMPLE_CREATE, [...devices, "missing"], false);
  const { machine } = await assembleDevices(members, {
    readOnly: false,
    workers: 1,
    now: 0,
    syncSpeedMin: 1,
    syncSpeedMax: 1,
  });
  assert.equal(
    machine.status.members.map(({ raidSlot, path }) => [raidSlot, path]),
    [
      [0, "/d0"],
      [1, null],
    ],
  );
});

test("devices that hold something are refused by name before anything is written", async () => {
  const { log, devices } = setUp();
  await createOnDevices(SAMPLE_CREATE, devices, false);
  log.length = 0;
  assert.is(
    await codeOf(() => createOnDevices(SAMPLE_CREATE, devices, false)),
    "RAID_DEVICE_NOT_CLEAN",
  );
  assert.equal(log, []);
  await createOnDevices({ ...SAMPLE_CREATE, setUuid: new Uint8Array(16).fill(6) }, devices, true);
});

test("a device that cannot be read, or is too small, stops it before anything is written", async () => {
  const { log, members, devices } = setUp();
  members[1]?.faults.arm({ kind: "read-error", after: 0, count: null, range: null, stallMs: 0 });
  assert.is(await codeOf(() => createOnDevices(SAMPLE_CREATE, devices, false)), "HAL_IO_ERROR");
  const tiny = new MemoryDevice("/tiny", new Uint8Array(MIB));
  const [first = "missing"] = devices;
  const small: CreateDevice = { path: "/tiny", device: tiny, deviceUuid: new Uint8Array(16) };
  assert.is(
    await codeOf(() => createOnDevices(SAMPLE_CREATE, [first, small], false)),
    "RAID_MEMBER_TOO_SMALL",
  );
  assert.equal(log, []);
});

for (const kind of ["write-error", "flush-error"] as const) {
  test(`after a ${kind} at any point no device claims to be a member`, async () => {
    for (let after = 0; ; after++) {
      const { members, devices } = setUp();
      members[1]?.faults.arm({ kind, after, count: 1, range: null, stallMs: 0 });
      const code = await codeOf(() => createOnDevices(SAMPLE_CREATE, devices, false));
      if (code === "no error") {
        assert.ok(after > 0);
        return;
      }
      for (const { memory } of members) {
        const { probe } = await readContent(memory);
        assert.is(probe.superblock, null, `after ${after} calls`);
      }
    }
  });
}

test.run();
