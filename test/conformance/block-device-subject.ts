/** What the tests of the block-device contract look at, and how they look at it. */
import * as assert from "uvu/assert";
import { CodedError } from "../../src/common/errors.ts";
import type { BlockDevice } from "../../src/hal/block-device.ts";

export interface DeviceUnderTest {
  /** Writable, zeroed, at least 256 KiB. */
  readonly device: BlockDevice;
  /** Another handle of the same store, opened read-only; null when there is no such thing. */
  readonly openReadOnly: (() => Promise<BlockDevice>) | null;
  /** Takes away the second half of the store, behind the device's back; null when nobody can. */
  readonly truncate: (() => Promise<void>) | null;
  /** Frees what the factory made; the device may be closed already. */
  readonly dispose: () => Promise<void>;
}

export interface DeviceSupport {
  /** It has synchronous calls all the time. */
  readonly sync: boolean;
  /** It gives space back. */
  readonly punches: boolean;
}

export type DeviceFactory = () => Promise<DeviceUnderTest>;

/** The code a call fails with; fails the test when it does not fail. */
export const codeOf = async (call: () => void | Promise<void>): Promise<string> => {
  try {
    await call();
  } catch (error) {
    if (error instanceof CodedError) return error.code;
    throw error;
  }
  return "no error";
};

export const pattern = (length: number, seed: number): Uint8Array =>
  Uint8Array.from({ length }, (_, at) => (at * 31 + seed * 7 + (at >> 8)) & 0xff);

export const readBack = async (device: BlockDevice, offset: number, length: number) => {
  const target = new Uint8Array(length).fill(0xee);
  await device.read(target, offset);
  return target;
};

export const same = (a: Uint8Array, b: Uint8Array, what: string): void =>
  assert.is(Buffer.compare(a, b), 0, what);

/** One device's calls of both kinds, as promises. */
export interface Path {
  readonly name: string;
  readonly read: (target: Uint8Array, offset: number) => Promise<void>;
  readonly write: (source: readonly Uint8Array[], offset: number) => Promise<void>;
  readonly flush: () => Promise<void>;
}

export const pathsOf = (device: BlockDevice): Path[] => {
  const { sync } = device;
  const later: Path = {
    name: "asynchronous",
    read: (target, offset) => device.read(target, offset),
    write: (source, offset) => device.write(source, offset),
    flush: () => device.flush(),
  };
  const beside: Path = {
    ...later,
    name: "beside the thread, where it can",
    write: async (source, offset) => {
      await (device.writeBeside?.(source, offset) ?? device.write(source, offset));
    },
  };
  const durable: Path = {
    ...later,
    name: "each piece durable, where it can",
    write: async (source, offset) => {
      let at = offset;
      for (const piece of source) {
        await (device.writeDurable?.(piece, at) ?? device.write([piece], at));
        at += piece.length;
      }
    },
  };
  if (sync === null) return [later, beside, durable];
  const atOnce: Path = {
    name: "synchronous",
    read: async (target, offset) => {
      if (!sync.read(target, offset)) await device.read(target, offset);
    },
    write: async (source, offset) => sync.write(source, offset),
    flush: async () => sync.flush(),
  };
  return [later, beside, durable, atOnce];
};

/** Registers a test of one property; each gets a device of its own. */
export type On = (title: string, body: (subject: DeviceUnderTest) => Promise<void>) => void;
