/** Requests of peers at a disk: permission, counting, durability, errors. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { CodedError } from "../../../src/common/errors.ts";
import { DeviceLayer } from "../../../src/hal/layers/device-layer.ts";
import { MemoryDevice } from "../../../src/hal/sim/memory-device.ts";
import {
  NBD_EIO,
  NBD_ENOSPC,
  NBD_ENOTSUP,
  NBD_ESHUTDOWN,
} from "../../../src/nbd/export-backend.ts";
import { BlockBackend, type RequestPermit } from "../../../src/peers/block-backend-driver.ts";
import type { Permission } from "../../../src/peers/fence-ledger.ts";
import { settle } from "../../sim/scheduler.ts";

const test = suite("disk of a peer");
const MIB = 1024 * 1024;

/** Tells what reaches the device; answers when told to. */
class ToldDevice extends DeviceLayer {
  readonly log: string[] = [];
  held: PromiseWithResolvers<void> | null = null;
  error: CodedError | null = null;
  durable = false;

  override async write(source: readonly Uint8Array[], offset: number): Promise<void> {
    await this.#tell("write");
    return this.inner.write(source, offset);
  }
  override writeDurable(source: Uint8Array, _offset: number): Promise<void> | null {
    return this.durable ? this.#tell(`durable ${source.length}`).then(() => undefined) : null;
  }
  override async zero(offset: number, length: number, mayUnmap: boolean): Promise<void> {
    await this.#tell(`zero ${offset / MIB}+${length / MIB}`);
    return this.inner.zero(offset, length, mayUnmap);
  }
  override flush(): Promise<void> {
    return this.#tell("flush");
  }
  async #tell(what: string): Promise<void> {
    this.log.push(what);
    await this.held?.promise;
    if (this.error !== null) throw this.error;
  }
}

class Permit implements RequestPermit {
  answer: Permission = "go";
  atDevice = 0;
  readonly parked: (() => void)[] = [];
  begin(): Permission {
    if (this.answer === "go") this.atDevice += 1;
    return this.answer;
  }
  end(): void {
    this.atDevice -= 1;
  }
  park(again: () => void): void {
    this.parked.push(again);
  }
}

const bench = (options: { readonly punches?: boolean; readonly zeroesFast?: boolean } = {}) => {
  const device = new ToldDevice(new MemoryDevice("disk1", new Uint8Array(80 * MIB), options));
  const permit = new Permit();
  const backend = new BlockBackend(device, permit, { readOnly: false });
  const ends: number[] = [];
  return { device, permit, backend, ends, complete: (errno: number) => void ends.push(errno) };
};

const DATA = [new Uint8Array(512).fill(1), new Uint8Array(512).fill(2)];

test("a request is counted until the device has answered", async () => {
  const { device, permit, backend, ends, complete } = bench();
  device.held = Promise.withResolvers();
  backend.write(DATA, 0, false, complete);
  await settle();
  assert.equal([permit.atDevice, ends], [1, []]);
  device.held.resolve();
  await settle();
  assert.equal([permit.atDevice, ends], [0, [0]]);
});

test("what waits for its permission begins when it has it; what has none never does", async () => {
  const { device, permit, backend, ends, complete } = bench();
  permit.answer = "wait";
  backend.write(DATA, 0, false, complete);
  backend.write(DATA, 4096, false, complete);
  await settle();
  assert.equal([device.log, ends], [[], []]);
  permit.answer = "go";
  permit.parked[0]?.();
  permit.answer = "never";
  permit.parked[1]?.();
  await settle();
  assert.equal([device.log, ends], [["write"], [NBD_ESHUTDOWN, 0]]);
});

test("FUA is one durable write where there is such a thing, else a write and a flush", async () => {
  const { device, backend, ends, complete } = bench();
  backend.write(DATA, 0, true, complete);
  await settle();
  assert.equal(device.log.splice(0), ["write", "flush"]);
  device.durable = true;
  backend.write(DATA, 0, true, complete);
  await settle();
  assert.equal(device.log.splice(0), ["durable 1024"]);
  backend.write([new Uint8Array(128 * 1024)], 0, true, complete);
  await settle();
  assert.equal(device.log.splice(0), ["write", "flush"]);
  assert.equal(ends, [0, 0, 0]);
});

test("a long range is zeroed in pieces that each need their permission", async () => {
  const { device, permit, backend, ends, complete } = bench();
  backend.writeZeroes(MIB, 70 * MIB, { fua: true, mayPunch: true, fast: false }, complete);
  await settle();
  assert.equal(device.log.splice(0), ["zero 1+31", "zero 32+32", "zero 64+7", "flush"]);
  device.held = Promise.withResolvers();
  backend.writeZeroes(0, 70 * MIB, { fua: false, mayPunch: true, fast: false }, complete);
  permit.answer = "never";
  device.held.resolve();
  await settle();
  assert.equal(device.log, ["zero 0+32"]);
  assert.equal(ends, [0, NBD_ESHUTDOWN]);
});

test("a trim does nothing where no space comes back; fast zeroes are refused where slow", async () => {
  const { device, backend, ends, complete } = bench({ punches: false, zeroesFast: false });
  backend.trim(0, MIB, false, complete);
  backend.trim(0, MIB, true, complete);
  backend.writeZeroes(0, MIB, { fua: false, mayPunch: true, fast: true }, complete);
  await settle();
  assert.equal(device.log, ["flush"]);
  assert.equal(ends, [0, NBD_ENOTSUP, 0]);
});

test("a device's errors are told as NBD's", async () => {
  const { device, permit, backend, ends, complete } = bench();
  device.error = new CodedError("HAL_IO_ERROR", "disk1: it broke");
  backend.write(DATA, 0, false, complete);
  await settle();
  device.error = new CodedError("HAL_NO_SPACE", "disk1: it is full");
  backend.flush(complete);
  await settle();
  backend.read(new Uint8Array(512), 80 * MIB, complete);
  await settle();
  assert.equal(ends, [NBD_EIO, NBD_ENOSPC, NBD_EIO]);
  assert.is(permit.atDevice, 0);
});

test.run();
