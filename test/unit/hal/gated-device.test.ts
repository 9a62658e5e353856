/** Calls of a gated device: none begins behind a closed gate. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { GatedDevice } from "../../../src/hal/layers/gated-device.ts";
import { MemoryDevice } from "../../../src/hal/sim/memory-device.ts";

const test = suite("hal/gated-device");

class TestGate {
  isOpen = false;
  #waiting: PromiseWithResolvers<void>[] = [];

  opened(): Promise<void> {
    const waiting = Promise.withResolvers<void>();
    this.#waiting.push(waiting);
    return waiting.promise;
  }

  open(): void {
    this.isOpen = true;
    for (const { resolve } of this.#waiting.splice(0)) resolve();
  }

  expel(): void {
    for (const { reject } of this.#waiting.splice(0)) reject(new Error("expelled"));
  }
}

const setUp = () => {
  const gate = new TestGate();
  const memory = new MemoryDevice("m", new Uint8Array(4096).fill(9));
  return { gate, memory, device: new GatedDevice(memory, gate) };
};

const turn = (): Promise<void> => new Promise(setImmediate);

test("a call behind a closed gate waits, and is made when the gate opens", async () => {
  const { gate, memory, device } = setUp();
  const done: string[] = [];
  const target = new Uint8Array(1);
  void device.write([Uint8Array.of(5)], 0).then(() => done.push("write"));
  void device.zero(1, 1, true).then(() => done.push("zero"));
  void device.read(target, 2).then(() => done.push("read"));
  void device.flush().then(() => done.push("flush"));
  void device.allocation(0, 512).then(() => done.push("allocation"));
  await turn();
  assert.equal([done, memory.bytes[0], memory.bytes[1], target[0]], [[], 9, 9, 0]);
  gate.open();
  await turn();
  assert.equal(done.sort(), ["allocation", "flush", "read", "write", "zero"]);
  assert.equal([memory.bytes[0], memory.bytes[1], target[0]], [5, 0, 9]);
});

test("a gate that closes again before the call is made is waited for again", async () => {
  const { gate, memory, device } = setUp();
  const write = device.write([Uint8Array.of(5)], 0);
  await turn();
  gate.open();
  gate.isOpen = false;
  await turn();
  assert.is(memory.bytes[0], 9);
  gate.open();
  await write;
  assert.is(memory.bytes[0], 5);
});

test("calls of an expelled node fail and are never made", async () => {
  const { gate, memory, device } = setUp();
  const write = device.write([Uint8Array.of(5)], 0);
  await turn();
  gate.expel();
  await write.then(
    () => assert.unreachable(),
    (error: Error) => assert.match(error.message, "expelled"),
  );
  assert.is(memory.bytes[0], 9);
});

test("there are synchronous calls only while the gate is open", () => {
  const { gate, device } = setUp();
  assert.is(device.sync, null);
  gate.open();
  assert.ok(device.sync !== null);
});

test.run();
