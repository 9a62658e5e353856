/** Faults hit the calls they are meant for, on every handle, and nothing beneath changes. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { syncCallsOf } from "../../../src/hal/block-device.ts";
import {
  type Fault,
  FaultDevice,
  type FaultKind,
  FaultSwitch,
} from "../../../src/hal/layers/fault-device.ts";
import { MemoryDevice } from "../../../src/hal/sim/memory-device.ts";
import { codeOf } from "../../conformance/block-device-subject.ts";

const SIZE = 64 * 1024;

const fault = (kind: FaultKind, over: Partial<Fault> = {}): Fault => ({
  kind,
  after: 0,
  count: null,
  range: null,
  stallMs: 0,
  ...over,
});

const setUp = () => {
  const bytes = new Uint8Array(SIZE);
  const faults = new FaultSwitch();
  const delays: number[] = [];
  const delay = async (ms: number) => void delays.push(ms);
  const open = () => new FaultDevice(new MemoryDevice("m", bytes), faults, delay);
  return { bytes, faults, delays, device: open(), open };
};

const test = suite("hal/fault-device");

test("a write error changes nothing and leaves reads and flushes alone", async () => {
  const { bytes, faults, device } = setUp();
  faults.arm(fault("write-error"));
  const data = new Uint8Array(512).fill(1);
  assert.is(await codeOf(() => device.write([data], 0)), "HAL_IO_ERROR");
  assert.is(await codeOf(() => syncCallsOf(device).write([data], 0)), "HAL_IO_ERROR");
  assert.ok(bytes.every((byte) => byte === 0));
  await device.read(data, 0);
  await device.flush();
});

test("zeroing is hit as a write, asking for the allocation as a read", async () => {
  const { bytes, faults, delays, device } = setUp();
  bytes.fill(1);
  const range = { offset: 4096, length: 4096 };
  faults.arm(fault("write-error", { range }));
  assert.is(await codeOf(() => device.zero(4000, 97, true)), "HAL_IO_ERROR");
  assert.ok(bytes.every((byte) => byte === 1));
  await device.zero(0, 4096, true);
  await device.allocation(0, SIZE);
  faults.disarmAll();
  faults.arm(fault("read-error", { range }));
  const asked = async () => void (await device.allocation(4096, 1));
  assert.is(await codeOf(asked), "HAL_IO_ERROR");
  await device.zero(4096, 4096, false);
  assert.is(bytes.indexOf(1), 8192);
  faults.arm(fault("stall", { stallMs: 7 }));
  await device.zero(0, 1, true);
  await device.allocation(0, 1);
  assert.equal(delays, [7, 7]);
});

for (const [kind, call] of [
  ["read-error", (device: FaultDevice) => device.read(new Uint8Array(8), 0)],
  ["write-error", (device: FaultDevice) => device.write([new Uint8Array(8)], 0)],
  ["flush-error", (device: FaultDevice) => device.flush()],
] as const) {
  test(`a ${kind} lets the first calls pass, then hits as often as it was told`, async () => {
    const { faults, device } = setUp();
    faults.arm(fault(kind, { after: 2, count: 3 }));
    const codes: string[] = [];
    for (let round = 0; round < 7; round++) codes.push(await codeOf(() => call(device)));
    const [ok, hit] = ["no error", "HAL_IO_ERROR"];
    assert.equal(codes, [ok, ok, hit, hit, hit, ok, ok]);
  });
}

test("a fault with a range hits only calls that touch it", async () => {
  const { faults, device } = setUp();
  faults.arm(fault("read-error", { range: { offset: 4096, length: 1024 } }));
  for (const [offset, length, code] of [
    [0, 4096, "no error"],
    [0, 4097, "HAL_IO_ERROR"],
    [4608, 16, "HAL_IO_ERROR"],
    [5119, 1, "HAL_IO_ERROR"],
    [5120, 100, "no error"],
  ] as const) {
    assert.is(await codeOf(() => device.read(new Uint8Array(length), offset)), code, `${offset}`);
  }
});

test("one switch reaches every handle, and counts over all of them", async () => {
  const { faults, device, open } = setUp();
  const other = open();
  faults.arm(fault("flush-error", { count: 2 }));
  assert.is(await codeOf(() => device.flush()), "HAL_IO_ERROR");
  assert.is(await codeOf(() => other.flush()), "HAL_IO_ERROR");
  assert.is(await codeOf(() => device.flush()), "no error");
});

test("a switch made over the same shared memory is the same switch", async () => {
  const { faults, device } = setUp();
  new FaultSwitch(faults.buffer).arm(fault("write-error"));
  assert.is(await codeOf(() => device.write([new Uint8Array(1)], 0)), "HAL_IO_ERROR");
});

test("a stall takes the device off the synchronous path, waits, then goes on", async () => {
  const { bytes, faults, delays, device } = setUp();
  assert.ok(device.sync !== null);
  faults.arm(fault("stall", { count: 1, stallMs: 5000 }));
  assert.is(device.sync, null);
  await device.write([new Uint8Array(4).fill(3)], 8);
  assert.equal(delays, [5000]);
  assert.is(bytes[8], 3);
  assert.ok(device.sync !== null, "the stall is used up");
  await device.read(new Uint8Array(4), 0);
  assert.is(delays.length, 1);
});

test("disarming ends every fault at once", async () => {
  const { faults, device } = setUp();
  for (const kind of ["read-error", "write-error", "flush-error", "stall"] as const)
    faults.arm(fault(kind));
  faults.disarmAll();
  assert.ok(device.sync !== null);
  await device.write([new Uint8Array(1)], 0);
  await device.read(new Uint8Array(1), 0);
  await device.flush();
});

test.run();
