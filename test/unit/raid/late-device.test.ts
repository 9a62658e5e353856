/** A node that looks for a device which another one adds, for longer than that one waits. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { NodeBench } from "../../helpers/node-bench.ts";

const test = suite("raid/late-device");

interface Looking {
  readonly bench: NodeBench;
  /** The device is found: the member number under which it was opened. */
  readonly find: () => number;
}

const looking = (): Looking => {
  const bench = new NodeBench();
  bench.rest();
  const own = bench.superblocks.get(0);
  bench.notice({ type: "new-disk", uuid: "09".repeat(16), deviceNumber: 2 });
  const [ask] = bench.told.filter((effect) => effect.type === "find-device");
  if (ask?.type !== "find-device" || own === undefined) throw new Error("it is looked for");
  const superblock = { ...own, devNumber: 2, deviceUuid: new Uint8Array(16).fill(9) };
  const find = (): number => {
    const newcomer = bench.newcomer("/n", { superblock });
    bench.send({ type: "device-found", token: ask.token, newcomer });
    return newcomer.member;
  };
  return { bench, find };
};

const closed = (bench: NodeBench): readonly number[] =>
  bench.told.flatMap((effect) => (effect.type === "close-member" ? [effect.member] : []));

test("what it finds in time it keeps open, and says so", () => {
  const { bench, find } = looking();
  const member = find();
  assert.equal(bench.calls, ["new-disk-ack"]);
  assert.not.ok(closed(bench).includes(member));
});

test("when its own turn has come meanwhile nobody waits: it is closed, and nothing is said", () => {
  const { bench, find } = looking();
  bench.command({ type: "fail", path: "/m1", reason: "asked" });
  bench.settle();
  bench.answer("metadata-update-start");
  const member = find();
  assert.not.ok(bench.calls.includes("new-disk-ack"), bench.calls.join());
  assert.ok(closed(bench).includes(member), "it does not wait for an update that never comes");
});

test("when another device is to be found by now, what it finds first is not taken for that", () => {
  const { bench, find } = looking();
  bench.notice({ type: "new-disk", uuid: "0a".repeat(16), deviceNumber: 3 });
  const member = find();
  assert.not.ok(bench.calls.includes("new-disk-ack"), bench.calls.join());
  assert.ok(closed(bench).includes(member));
});

test("the same when the outcome was told meanwhile", () => {
  const { bench, find } = looking();
  const own = bench.superblocks.get(0);
  bench.notice({ type: "metadata-updated", deviceNumber: 0, events: 0 });
  const [ask] = bench.told.filter((effect) => effect.type === "read-superblocks");
  if (ask?.type !== "read-superblocks" || own === undefined) throw new Error("it reads them");
  const superblock = { ...own, events: own.events + 1 };
  const found = [{ member: 0, superblock }];
  bench.send({ type: "superblocks-read", token: ask.token, found });
  const member = find();
  assert.not.ok(bench.calls.includes("new-disk-ack"), bench.calls.join());
  assert.ok(closed(bench).includes(member));
});

test.run();
