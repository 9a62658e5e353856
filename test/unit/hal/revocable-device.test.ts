/** A device whose reads take seconds: left alone for a while, then asked by one read. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { RevocableDevice } from "../../../src/hal/layers/revocable-device.ts";
import { MemoryDevice } from "../../../src/hal/sim/memory-device.ts";

const test = suite("hal/revocable-device");

/** A device whose reads are answered when the test says so. */
class WaitingDevice extends MemoryDevice {
  readonly waiting: (() => void)[] = [];

  override async read(target: Uint8Array, offset: number): Promise<void> {
    await new Promise<void>((resolve) => this.waiting.push(resolve));
    await super.read(target, offset);
  }
}

const slowDevice = () => {
  const clock = { now: 1_000_000 };
  const inner = new WaitingDevice("m", new Uint8Array(4096));
  const device = new RevocableDevice(inner, () => clock.now);
  const begin = (): Promise<void> => device.read(new Uint8Array(512), 0);
  /** So many reads side by side, answered after so long. */
  const read = async (ms: number, count = 1): Promise<void> => {
    const reads = Array.from({ length: count }, begin);
    clock.now += ms;
    for (const answer of inner.waiting.splice(0)) answer();
    await Promise.all(reads);
  };
  return { clock, device, inner, begin, read };
};

test("quick reads leave it trusted", async () => {
  const { device, read } = slowDevice();
  await read(999, 8);
  assert.is(device.isSilent, false);
});

test("after a read of a second it is left alone for 10 s, however many waited beside it", async () => {
  const { clock, device, read } = slowDevice();
  await read(2000, 16);
  assert.is(device.isSilent, true);
  assert.is(device.sync, null, "nor is it called synchronously");
  clock.now += 9_999;
  assert.is(device.isSilent, true);
  clock.now += 1;
  assert.is(device.isSilent, false);
});

test("then one read at a time asks it, and doubles the time if it takes long again", async () => {
  const { clock, device, begin, inner, read } = slowDevice();
  await read(2000);
  clock.now += 10_000;
  const asking = begin();
  assert.is(device.isSilent, true, "the others go elsewhere meanwhile");
  clock.now += 2000;
  for (const answer of inner.waiting.splice(0)) answer();
  await asking;
  clock.now += 19_999;
  assert.is(device.isSilent, true);
  clock.now += 1;
  for (const pause of [40_000, 60_000, 60_000]) {
    assert.is(device.isSilent, false);
    await read(1000);
    clock.now += pause - 1;
    assert.is(device.isSilent, true, `${pause} ms`);
    clock.now += 1;
  }
});

test("a quick answer after that time makes it trusted; one that was late already does not", async () => {
  const { clock, device, begin, inner, read } = slowDevice();
  await read(2000);
  await read(1);
  assert.is(device.isSilent, true, "as the only copy it may be read all the same");
  clock.now += 10_000;
  await read(1);
  const reads = [begin(), begin()];
  assert.is(device.isSilent, false, "side by side again");
  for (const answer of inner.waiting.splice(0)) answer();
  await Promise.all(reads);
});

test("a clock that is set back does not leave it alone for ever", async () => {
  const { clock, device, read } = slowDevice();
  await read(2000);
  clock.now -= 3_600_000;
  assert.is(device.isSilent, false);
});

test.run();
