/** A device that another node adds: found, unless this board may still write to it late. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { CodedError } from "../../../src/common/errors.ts";
import type { Newcomer } from "../../../src/raid/array-messages.ts";
import { DeviceFinder, type DeviceFinderHost } from "../../../src/workers/device-finder.ts";

const test = suite("workers/device-finder");

const TICKET = { path: "/dev/x", faults: null };
const NEWCOMER = { member: 5, path: "/dev/x" } as Newcomer;

const finder = (ticket: typeof TICKET | null, host: Partial<DeviceFinderHost> = {}) => {
  const told: string[] = [];
  const found: DeviceFinder = new DeviceFinder({
    ask: (id) => found.onFound(id, ticket),
    owed: async () => null,
    open: async () => NEWCOMER,
    passedOver: (path, reason) => void told.push(`${path}: ${reason}`),
    ...host,
  });
  return { found, told };
};

test("the device that control knows is opened and read", async () => {
  const { found, told } = finder(TICKET);
  assert.equal([await found.find("ab"), told], [NEWCOMER, []]);
});

test("one that control does not know is not here", async () => {
  const { found, told } = finder(null);
  assert.equal([await found.find("ab"), told], [null, []]);
});

test("one to which a thread of this board may still write is not taken, and the reason is told", async () => {
  let isOpen = false;
  const { found, told } = finder(TICKET, {
    owed: async (path) => `${path} has not answered calls from before`,
    open: async () => {
      isOpen = true;
      return NEWCOMER;
    },
  });
  assert.is(await found.find("ab"), null);
  assert.not.ok(isOpen);
  assert.equal(told, ["/dev/x: /dev/x has not answered calls from before"]);
});

test("one that cannot be opened is not here, and the reason is told", async () => {
  const { found, told } = finder(TICKET, {
    open: async () => {
      throw new CodedError("HAL_NO_ANSWER", "no answer for 30 s");
    },
  });
  assert.is(await found.find("ab"), null);
  assert.equal(told, ["/dev/x: no answer for 30 s"]);
});

test.run();
