import { suite } from "uvu";
import * as assert from "uvu/assert";
import { DEFAULT_LIMITS, serverLimits } from "../../../src/nbd/server-limits.ts";
import { NO_DEBT, type PeerDebt, StallWatch } from "../../../src/nbd/stall-watch.ts";

const test = suite("nbd/stall-watch");

const LIMITS = serverLimits({
  stallMs: 1000,
  slowestBytesPerSecond: 1000,
  closingMs: 500,
  contendedMs: 300,
});
const debt = (type: PeerDebt["type"], bytes = 0, progress = 0): PeerDebt => ({
  type,
  bytes,
  progress,
});

/** Looks once at 0 and once at `ms`; the verdict of the second look. */
function after(ms: number, owed: PeerDebt, isContended = false): string | null {
  const watch = new StallWatch(LIMITS);
  assert.is(watch.look(owed, 0, isContended), null);
  return watch.look(owed, ms, isContended);
}

test("a peer that owes nothing may rest for ever", () => {
  assert.is(after(1e12, NO_DEBT, true), null);
});

test("a message begun must come on, the longer it is the more time it has", () => {
  assert.is(after(1000, debt("message")), null);
  assert.ok(after(1001, debt("message")));
  assert.is(after(5000, debt("message", 4000)), null);
  assert.ok(after(5001, debt("message", 4000)));
});

test("a peer may leave its replies as long as nobody waits for the memory", () => {
  assert.is(after(1e9, debt("reading")), null);
  assert.is(after(300, debt("reading"), true), null);
  assert.ok(after(301, debt("reading"), true));
});

test("where single bytes cannot be seen, a reply has a second for each MiB", () => {
  assert.is(after(4300, debt("reading", 4 * 2 ** 20), true), null);
  assert.ok(after(4301, debt("reading", 4 * 2 ** 20), true));
});

test("a connection that closes is cut off", () => {
  assert.is(after(500, debt("closing")), null);
  assert.ok(after(501, debt("closing")));
});

test("progress, or another debt, starts the time anew", () => {
  const watch = new StallWatch(LIMITS);
  watch.look(debt("message", 0, 1), 0, false);
  assert.is(watch.look(debt("message", 0, 2), 1500, false), null);
  assert.is(watch.look(debt("message", 0, 2), 2500, false), null);
  assert.is(watch.look(debt("closing"), 9000, false), null);
  assert.ok(watch.look(debt("closing"), 9501, false));
});

test("the default limits hold together and can be replaced one by one", () => {
  assert.equal(serverLimits(), DEFAULT_LIMITS);
  assert.is(serverLimits({ requestsMax: 3 }).requestsMax, 3);
  assert.throws(() => serverLimits({ requestsMax: 0 }), /limit requestsMax is 0/);
  assert.throws(() => serverLimits({ unsentBytesMax: 1 }), /held back/);
});

test.run();
