/** An array thread at rest while a node changes the array: what waits, and what ends it. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { ArrayEvent } from "../../../src/raid/array-messages.ts";
import type { ClusterNotice } from "../../../src/raid/cluster-port.ts";
import { ArrayRest } from "../../../src/workers/array-rest.ts";

const test = suite("workers/array-rest");

/** A rest whose host notes what it was asked for. */
const resting = ({ mayRest = true, paused = Promise.resolve() } = {}) => {
  const log: string[] = [];
  let isStopped = false;
  const rest = new ArrayRest({
    pause: async () => {
      log.push("pause");
      await paused;
      isStopped = true;
    },
    startAnew: async (afterChange) => {
      log.push(`start ${afterChange ?? "plain"}`);
      isStopped = false;
    },
    mayRest: () => mayRest,
    isStopped: () => isStopped,
    dispatch: (event) => log.push(`told ${nameOf(event)}`),
    processed: (notice) => log.push(`processed ${notice}`),
  });
  return { rest, log };
};

const nameOf = (event: ArrayEvent): string =>
  event.type === "cluster-notice" ? event.notice.type : event.type;

const notice = (id: number, given: ClusterNotice): ArrayEvent => ({
  type: "cluster-notice",
  id,
  notice: given,
});

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test("a node rests, then starts anew with the update that ends the change", async () => {
  const { rest, log } = resting();
  await rest.rest(5, 2);
  rest.tell(notice(6, { type: "change-capacity" }));
  rest.tell(notice(7, { type: "metadata-updated", deviceNumber: 0, events: 0 }));
  await turn();
  assert.equal(log, ["pause", "processed 5", "processed 6", "start plain", "processed 7"]);
  assert.is(rest.isUnderWay, false);
});

test("what the cluster tells meanwhile waits for the new start, in order", async () => {
  const { rest, log } = resting();
  await rest.rest(5, 2);
  rest.tell({ type: "cluster-state", state: { type: "read-balancing", isSuspended: true } });
  rest.tell(notice(6, { type: "resyncing", slot: 1, lo: 0, hi: 0 }));
  rest.tell(notice(7, { type: "metadata-updated", deviceNumber: 0, events: 0 }));
  await turn();
  const told = ["told cluster-state", "told resyncing"];
  assert.equal(log, ["pause", "processed 5", "start plain", ...told, "processed 7"]);
});

test("a device that was to be found is not looked for after its adder has told the outcome", async () => {
  const { rest, log } = resting();
  await rest.rest(5, 2);
  rest.tell(notice(6, { type: "new-disk", uuid: "09".repeat(16), deviceNumber: 2 }));
  rest.tell(notice(7, { type: "metadata-updated", deviceNumber: 0, events: 0 }));
  await turn();
  assert.equal(log, ["pause", "processed 5", "start plain", "processed 7"]);
});

test("the changing node is gone: whoever recovers its slot starts, and tells the others", async () => {
  const { rest, log } = resting();
  await rest.rest(5, 2);
  rest.tell(notice(6, { type: "recover-slot", slot: 2 }));
  await turn();
  assert.equal(log, ["pause", "processed 5", "start interrupted", "told recover-slot"]);
});

test("so does who recovers the node that was to end the rest in its place", async () => {
  const { rest, log } = resting();
  await rest.rest(5, 2);
  rest.tell(notice(6, { type: "recover-slot", slot: 1 }));
  await turn();
  assert.equal(log, ["pause", "processed 5", "start interrupted", "told recover-slot"]);
});

test("a node that cannot rest after all starts anew by itself", async () => {
  const { rest, log } = resting({ mayRest: false });
  await rest.rest(5, 2);
  assert.equal(log, ["pause", "start plain"]);
});

test("one that has refused while its array came to rest, and changes it itself by then, starts once", async () => {
  const { promise: paused, resolve } = Promise.withResolvers<undefined>();
  const { rest, log } = resting({ mayRest: false, paused });
  const rested = rest.rest(5, 2);
  const changed = rest.change(
    async () => log.push("changed"),
    () => "held",
  );
  resolve(undefined);
  await Promise.all([rested, changed]);
  assert.equal(log, ["pause", "changed", "start held"]);
  assert.is(rest.isUnderWay, false);
});

test("the node that changes starts with the right to write superblocks, whatever came of it", async () => {
  const { rest, log } = resting();
  const change = async (): Promise<string> => {
    rest.tell(notice(6, { type: "recover-slot", slot: 1 }));
    return "changed";
  };
  assert.is(await rest.change(change, () => "held"), "changed");
  assert.equal(log, ["pause", "start held", "told recover-slot"]);
});

test("nothing is held back while the array runs", () => {
  const { rest, log } = resting();
  rest.tell(notice(7, { type: "metadata-updated", deviceNumber: 0, events: 0 }));
  assert.equal(log, ["told metadata-updated"]);
});

test("an array that leaves its cluster hears nothing more of it", async () => {
  const { rest, log } = resting();
  await rest.change(
    async () => {
      rest.tell(notice(6, { type: "recover-slot", slot: 1 }));
      rest.forget();
      rest.tell({ type: "cluster-state", state: { type: "read-balancing", isSuspended: true } });
    },
    () => null,
  );
  assert.equal(log, ["pause", "start plain"]);
});

test.run();
