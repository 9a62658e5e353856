/** A slow member leaves the synchronous path for a while, and comes back. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type SyncCalls, syncCallsOf } from "../../../src/hal/block-device.ts";
import { AdaptiveDevice } from "../../../src/hal/layers/adaptive-device.ts";
import { MemoryDevice } from "../../../src/hal/sim/memory-device.ts";

/** A device whose synchronous calls take as long as the test says. */
const setUp = () => {
  const clock = { now: 1000, callMs: 0 };
  const memory = new MemoryDevice("m", new Uint8Array(8192));
  const calls = syncCallsOf(memory);
  const takesTime =
    <A extends readonly unknown[], R>(call: (...args: A) => R) =>
    (...args: A): R => {
      clock.now += clock.callMs;
      return call(...args);
    };
  const sync: SyncCalls = {
    read: takesTime(calls.read),
    write: takesTime(calls.write),
    flush: takesTime(calls.flush),
  };
  const inner = Object.defineProperty(memory, "sync", { value: sync });
  return { clock, device: new AdaptiveDevice(inner, () => clock.now) };
};

const test = suite("hal/adaptive-device");

for (const [name, call] of [
  ["read", (sync: SyncCalls) => sync.read(new Uint8Array(8), 0)],
  ["write", (sync: SyncCalls) => sync.write([new Uint8Array(8)], 0)],
] as const) {
  test(`a ${name} that took long takes it off the synchronous path for 100 ms`, () => {
    const { clock, device } = setUp();
    clock.callMs = 4;
    call(syncCallsOf(device));
    assert.ok(device.sync !== null, "4 ms are not slow");
    clock.callMs = 5;
    call(syncCallsOf(device));
    assert.is(device.sync, null);
    clock.now += 99;
    assert.is(device.sync, null);
    clock.now += 1;
    assert.ok(device.sync !== null);
  });
}

test("a long flush says nothing about the cache", () => {
  const { clock, device } = setUp();
  clock.callMs = 500;
  syncCallsOf(device).flush();
  assert.ok(device.sync !== null);
});

test("asynchronous calls go on while it is slow", async () => {
  const { clock, device } = setUp();
  clock.callMs = 50;
  syncCallsOf(device).write([new Uint8Array(4).fill(7)], 0);
  assert.is(device.sync, null);
  const target = new Uint8Array(4);
  await device.read(target, 0);
  assert.equal([...target], [7, 7, 7, 7]);
});

test("a device without synchronous calls stays without them", () => {
  const slow = new MemoryDevice("m", new Uint8Array(8), { isSlow: true });
  assert.is(new AdaptiveDevice(slow, () => 0).sync, null);
});

test.run();
