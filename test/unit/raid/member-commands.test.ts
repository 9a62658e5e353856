/** mdadm's manage verbs: fail, remove, add, re-add, with every refusal. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Placement } from "../../../src/raid/array-start.ts";
import { LEG_IN_SYNC, LEG_NONE, LEG_REBUILDING } from "../../../src/raid/shared-state.ts";
import type { Superblock } from "../../../src/raid/superblock-fields.ts";
import {
  type BenchOptions,
  inSync,
  MachineBench,
  MIB,
  rebuilding,
} from "../../helpers/machine-bench.ts";

const fail = (path: string) => ({ type: "fail", path, reason: "test" }) as const;
const remove = (path: string) => ({ type: "remove", path }) as const;

const statesOf = (bench: MachineBench, path: string): readonly string[] =>
  bench.memberStatus(path)?.states ?? ["absent"];

/** A bench whose member 1 was failed and removed, and the superblock it kept. */
/** In a bitmap's superblock. Source: md-bitmap.h bitmap_super_s. */
const EVENTS_CLEARED_AT = 32;

const withoutOne = (options: BenchOptions = {}) => {
  const bench = new MachineBench(options);
  bench.write(options.hasBitmap === false ? 0 : 3);
  const superblock = bench.superblocks.get(1);
  assert.ok(superblock !== undefined);
  assert.is(bench.run(fail("/m1")), "ok");
  assert.is(bench.run(remove("/m1")), "ok");
  bench.takeLog();
  const newcomer = (over: Partial<Superblock> = {}) =>
    bench.newcomer("/m1", { superblock: { ...superblock, ...over } });
  const reAdd = (over: Partial<Superblock> = {}) =>
    bench.command({ type: "re-add", newcomer: newcomer(over) });
  return { bench, superblock, newcomer, reAdd };
};

const test = suite("raid/member-commands");

// --- fail ----------------------------------------------------------------------------------------

test("fail is answered once the superblocks of the others say faulty", () => {
  const bench = new MachineBench();
  const id = bench.command(fail("/m1"));
  while (bench.io.length > 0) {
    assert.is(bench.outcome(id), "waiting");
    bench.finishIo();
  }
  assert.is(bench.outcome(id), "ok");
  assert.equal(bench.takeLog("super").at(-1), "0 super e21 clean roles 0=0,1=faulty");
  assert.equal(statesOf(bench, "/m1"), ["faulty"]);
  assert.is(bench.shared.leg(1), LEG_NONE);
  assert.ok(bench.happenings().includes("member.failed"));
});

test("a member that is faulty, or is just becoming so, may be failed again", () => {
  const bench = new MachineBench();
  const first = bench.command(fail("/m1"));
  const second = bench.command(fail("/m1"));
  bench.settle();
  assert.equal([bench.outcome(first), bench.outcome(second)], ["ok", "ok"]);
  assert.is(bench.run(fail("/m1")), "ok");
});

test("the last member in sync is never failed, by nobody", () => {
  const bench = new MachineBench();
  bench.command(fail("/m0"));
  assert.is(bench.run(fail("/m1")), "RAID_LAST_IN_SYNC_MEMBER", "the other one is on its way out");
  assert.is(bench.run(fail("/m1")), "RAID_LAST_IN_SYNC_MEMBER");
  bench.send({ type: "member-vanished", path: "/m1", reason: "gone" });
  for (const kind of ["write", "flush"] as const) bench.report(1, kind);
  bench.report(1, "write", [[0, 4096]]);
  bench.settle();
  assert.is(bench.shared.leg(1), LEG_IN_SYNC);
  assert.equal(
    bench.resolved.map(([, isRecorded]) => isRecorded),
    [false, false, false],
  );
});

test("a leg that fails while another one is being recorded is kept as the last, never blocked", () => {
  const bench = new MachineBench();
  bench.report(0, "write");
  bench.report(1, "write");
  assert.is(bench.shared.leg(1), LEG_IN_SYNC, "reads go on");
  bench.settle();
  assert.equal(
    [0, 1].map((slot) => bench.shared.leg(slot)),
    [LEG_NONE, LEG_IN_SYNC],
  );
  assert.is(bench.status.arrayState === "broken", false);
});

test("a spare and a member under rebuild may be failed", () => {
  const placements: Placement[] = [inSync(0), rebuilding(1), { type: "spare" }];
  const bench = new MachineBench({ placements, syncSpeed: 1 });
  assert.is(bench.run(fail("/m2")), "ok");
  assert.is(bench.run(fail("/m1")), "ok");
  assert.equal([statesOf(bench, "/m1"), statesOf(bench, "/m2")], [["faulty"], ["faulty"]]);
});

// --- remove --------------------------------------------------------------------------------------

test("a faulty member is removed: its number is free again and its handle is closed", () => {
  const bench = new MachineBench();
  bench.run(fail("/m1"));
  bench.takeLog();
  assert.is(bench.run(remove("/m1")), "ok");
  assert.equal(bench.takeLog("super"), ["0 super e22 clean roles 0=0"]);
  assert.equal(bench.toldOf("close-member"), [{ type: "close-member", member: 1 }]);
  assert.equal(
    bench.status.members.map(({ path, states }) => [path, states.join()]),
    [
      ["/m0", "in_sync"],
      [null, "removed"],
    ],
  );
});

for (const [what, path, code] of [
  ["a member in use", "/m0", "RAID_MEMBER_NOT_FAULTY"],
  ["a path that is no member", "/other", "RAID_NOT_A_MEMBER"],
] as const) {
  test(`remove refuses ${what}`, () => {
    assert.is(new MachineBench().run(remove(path)), code);
  });
}

test("remove refuses a member whose first metadata is being written, or that is being opened", () => {
  const { bench } = withoutOne();
  const add = bench.command({ type: "add", newcomer: bench.newcomer("/n") });
  assert.is(bench.outcome(bench.command(remove("/n"))), "RAID_MEMBER_BUSY");
  while (bench.openings.length === 0) bench.finishIo();
  assert.is(bench.outcome(bench.command(remove("/n"))), "RAID_MEMBER_BUSY");
  bench.finishSync();
  assert.is(bench.outcome(add), "ok");
});

// --- add -----------------------------------------------------------------------------------------

test("a new member's own metadata is durable before any superblock names it, then it is rebuilt", () => {
  const { bench } = withoutOne();
  const newcomer = bench.newcomer("/n");
  const add = bench.command({ type: "add", newcomer });
  assert.equal(bench.takeLog(), [
    `${newcomer.member} bitmap e23 c20 bits 3`,
    `${newcomer.member} super e0 dirty roles 0=0`,
    `${newcomer.member} flush`,
  ]);
  assert.is(bench.outcome(add), "waiting");
  bench.finishSync();
  assert.is(bench.outcome(add), "ok");
  assert.is(bench.status.degraded, 0);
  const added = bench.status.members.find(({ path }) => path === "/n");
  assert.equal([added?.raidSlot, added?.deviceNumber], [1, 2]);
  assert.is(bench.superblocks.get(newcomer.member)?.devNumber, 2);
});

test("a whole array keeps a new member as a spare", () => {
  const bench = new MachineBench();
  assert.is(bench.run({ type: "add", newcomer: bench.newcomer("/n") }), "ok");
  assert.equal(statesOf(bench, "/n"), ["spare"]);
  assert.is(bench.openings.length, 0);
  assert.is(bench.run(remove("/n")), "ok");
});

test("a spare steps in when a member fails", () => {
  const bench = new MachineBench();
  bench.run({ type: "add", newcomer: bench.newcomer("/n") });
  bench.run(fail("/m0"));
  bench.finishSync();
  assert.equal(statesOf(bench, "/n"), ["in_sync"]);
  assert.is(bench.shared.leg(0), LEG_IN_SYNC);
});

test("add refuses a member, a device that is too small, and one whose metadata cannot be written", () => {
  const bench = new MachineBench();
  const add = (path: string, sizeBytes = 2 ** 40) =>
    bench.command({ type: "add", newcomer: bench.newcomer(path, { sizeBytes }) });
  assert.is(bench.outcome(add("/m0")), "RAID_ALREADY_A_MEMBER");
  assert.is(bench.outcome(add("/n", 9 * MIB - 512)), "RAID_DEVICE_TOO_SMALL");
  const failing = add("/n", 9 * MIB);
  bench.finishIo("EIO");
  assert.is(bench.outcome(failing), "RAID_MEMBER_IO_ERROR");
  assert.equal(statesOf(bench, "/n"), ["absent"]);
  assert.equal(bench.toldOf("close-member").length, 1);
});

test("a member that cannot be written at first never joined: nothing is told but its end", () => {
  const bench = new MachineBench();
  bench.run(fail("/m1"));
  bench.run(remove("/m1"));
  const superblock = bench.superblocks.get(1) ?? null;
  const told = bench.happenings().length;
  for (const type of ["add", "re-add"] as const) {
    const failing = bench.command({ type, newcomer: bench.newcomer("/m1", { superblock }) });
    const shown = bench.toldOf("status-changed").length;
    bench.finishIo("EIO");
    assert.is(bench.outcome(failing), "RAID_MEMBER_IO_ERROR");
    assert.is(bench.toldOf("status-changed").length, shown + 1);
    assert.equal(statesOf(bench, "/m1"), ["absent"]);
  }
  assert.is(bench.happenings().length, told);
});

test("a member fails after it was added, never while it is: its first metadata would be cut off", () => {
  const bench = new MachineBench();
  const adding = bench.command({ type: "add", newcomer: bench.newcomer("/n") });
  assert.is(bench.outcome(bench.command(fail("/n"))), "RAID_MEMBER_BUSY");
  bench.settle();
  assert.is(bench.outcome(adding), "ok");
  assert.is(bench.run(fail("/n")), "ok");
});

test("a working member is never added again, under whatever name", () => {
  const bench = new MachineBench();
  const superblock = bench.superblocks.get(1) ?? null;
  for (const type of ["add", "re-add"] as const) {
    const newcomer = bench.newcomer("/alias", { superblock });
    assert.is(bench.run({ type, newcomer }), "RAID_ALREADY_A_MEMBER");
  }
  assert.equal(bench.takeLog(), []);
});

test("every newcomer gets a number of its own, until the superblock has no more", () => {
  const bench = new MachineBench({
    superblock: { devRoles: Uint16Array.from([0, 1, 0xffff, 0xffff]) },
  });
  const numbers: (number | null | undefined)[] = [];
  for (const path of ["/a", "/b"]) {
    assert.is(bench.run({ type: "add", newcomer: bench.newcomer(path) }), "ok");
    numbers.push(bench.status.members.find((member) => member.path === path)?.deviceNumber);
  }
  assert.equal(numbers, [2, 3]);
  const refused = bench.run({ type: "add", newcomer: bench.newcomer("/c") });
  assert.is(refused, "RAID_TOO_MANY_DEVICES");
});

test("an add that meets its member failed is answered all the same, and once", () => {
  const bench = new MachineBench();
  const add = bench.command({ type: "add", newcomer: bench.newcomer("/n") });
  bench.send({ type: "member-vanished", path: "/n", reason: "gone" });
  const again = bench.command({ type: "add", newcomer: bench.newcomer("/n") });
  assert.is(bench.outcome(again), "RAID_MEMBER_BUSY");
  bench.settle();
  assert.is.not(bench.outcome(add), "waiting");
});

test("a leg that was opened for a member which failed meanwhile is let go", () => {
  const bench = new MachineBench({ placements: [inSync(0), { type: "spare" }] });
  bench.tick(1);
  while (bench.openings.length === 0) bench.finishIo();
  bench.send({ type: "member-vanished", path: "/m1", reason: "gone" });
  while (bench.io.length > 0) bench.finishIo();
  assert.equal(bench.toldOf("drop-leg"), []);
  bench.finishOpening();
  assert.equal(bench.toldOf("drop-leg"), [{ type: "drop-leg", leg: 1, reason: null }]);
});

// --- re-add --------------------------------------------------------------------------------------

test("a member that comes back is rebuilt by the bits that were set meanwhile", () => {
  const { bench, reAdd } = withoutOne();
  bench.write(6);
  const id = reAdd();
  while (bench.openings.length === 0) bench.finishIo();
  assert.is(bench.shared.leg(1), LEG_NONE);
  bench.finishOpening();
  while (bench.shared.leg(1) === LEG_NONE) bench.finishIo();
  assert.is(bench.shared.leg(1), LEG_REBUILDING);
  assert.equal(bench.copies, [], "new writes reach it BEFORE anything is copied");
  while (bench.io.length > 0) bench.finishIo();
  bench.startSync();
  assert.equal(
    bench.copies.map(({ plan }) => plan.from / MIB),
    [3, 6],
  );
  bench.finishSync();
  assert.is(bench.outcome(id), "ok");
  assert.is(bench.status.degraded, 0);
  assert.ok(bench.happenings().includes("member.readded"));
});

test("bits that only the returning member has are copied too", () => {
  const { bench, superblock } = withoutOne();
  const bitmapAreas = [bench.area(7)];
  const newcomer = bench.newcomer("/m1", { superblock, bitmapAreas });
  bench.command({ type: "re-add", newcomer });
  while (bench.openings.length === 0) bench.finishIo();
  bench.finishOpening();
  while (bench.io.length > 0) bench.finishIo();
  bench.startSync();
  assert.equal(
    bench.copies.map(({ plan }) => plan.from / MIB),
    [3, 7],
  );
});

test("the other legs hold those bits before the member is in use", () => {
  const { bench, superblock } = withoutOne();
  const bitmapAreas = [bench.area(7)];
  const newcomer = bench.newcomer("/m1", { superblock, bitmapAreas });
  bench.command({ type: "re-add", newcomer });
  assert.equal(bench.takeLog("bitmap"), [`${newcomer.member} bitmap e23 c20 bits 3,7`]);
  bench.finishIo();
  assert.match(bench.takeLog("0", "bitmap").join(), /bits 3,7/);
});

const foreign = new Uint8Array(16).fill(9);
for (const [what, over, reason] of [
  ["of another array", { setUuid: foreign }, "another array"],
  ["that was a spare", { devRoles: Uint16Array.from([0, 0xffff]) }, "active member"],
  ["that calls itself faulty", { devRoles: Uint16Array.from([0, 0xfffe]) }, "active member"],
  ["whose slot another holds", { devRoles: Uint16Array.from([0, 0]) }, "taken"],
  [
    "whose slot does not exist",
    { raidDisks: 6, devRoles: Uint16Array.from([0, 5]) },
    "no longer exists",
  ],
  ["whose number another has", { devNumber: 0, devRoles: Uint16Array.from([1]) }, "device number"],
  ["ahead of the array", { events: 1000 }, "ahead"],
  ["that left before bits were cleared", { events: 19 }, "bits were cleared"],
  ["whose data area shrank", { dataSize: 1000 }, "too small"],
  ["that was half rebuilt", { featureMap: 0x3 }, "being rebuilt"],
] as const) {
  test(`re-add refuses a member ${what}`, () => {
    const { bench, reAdd } = withoutOne();
    const id = reAdd(over);
    const outcome = bench.outcomes.get(id);
    assert.is(bench.outcome(id), "RAID_RE_ADD_REFUSED");
    assert.ok(outcome?.ok === false && outcome.message.includes(reason), JSON.stringify(outcome));
    assert.equal(bench.io, []);
  });
}

test("re-add refuses a member whose own bitmap is unreadable, too short or of another chunk size", () => {
  const { bench, superblock } = withoutOne();
  const otherChunk = bench.area();
  new DataView(otherChunk.buffer).setUint32(52, 2 * MIB, true);
  for (const bitmapArea of [null, bench.area().subarray(0, 1024), otherChunk]) {
    const newcomer = bench.newcomer("/m1", { superblock, bitmapAreas: [bitmapArea] });
    assert.is(bench.run({ type: "re-add", newcomer }), "RAID_RE_ADD_REFUSED");
  }
});

test("re-add refuses what went on apart when either side has cleared bits since", () => {
  for (const [apartSince, ownCleared, outcome] of [
    [null, 20, "waiting"],
    [20, 20, "waiting"],
    [19, 20, "RAID_RE_ADD_REFUSED"],
    [20, 21, "RAID_RE_ADD_REFUSED"],
    [null, 21, "RAID_RE_ADD_REFUSED"],
  ] as const) {
    const { bench, superblock } = withoutOne();
    const area = bench.area(7);
    new DataView(area.buffer).setUint32(EVENTS_CLEARED_AT, ownCleared, true);
    const newcomer = bench.newcomer("/m1", { superblock, bitmapAreas: [area], apartSince });
    const id = bench.command({ type: "re-add", newcomer });
    assert.is(bench.outcome(id), outcome, `apart since ${apartSince}, cleared at ${ownCleared}`);
  }
});

test("re-add refuses a device without a superblock", () => {
  const { bench } = withoutOne();
  assert.is(bench.run({ type: "re-add", newcomer: bench.newcomer("/n") }), "RAID_RE_ADD_REFUSED");
});

test("a member whose rebuild went by bitmap may be re-added by bitmap", () => {
  const { bench, reAdd } = withoutOne();
  const id = reAdd({ featureMap: 0x83 });
  bench.finishSync();
  assert.is(bench.outcome(id), "ok");
});

test("without a bitmap only a member that missed nothing is re-added, and copied whole", () => {
  const { bench, superblock, reAdd } = withoutOne({ hasBitmap: false });
  assert.is(bench.outcome(reAdd()), "RAID_RE_ADD_REFUSED");
  const id = reAdd({ ...superblock, events: bench.status.events });
  while (bench.openings.length === 0) bench.finishIo();
  bench.finishOpening();
  while (bench.io.length > 0) bench.finishIo();
  bench.startSync();
  assert.is(bench.copies[0]?.plan.from, 0);
  bench.finishSync();
  assert.is(bench.outcome(id), "ok");
});

test("add brings a member back by bitmap where it can, and from scratch where it cannot", () => {
  for (const [events, number] of [
    [21, 1],
    [19, 2],
  ] as const) {
    const { bench, newcomer } = withoutOne();
    assert.is(bench.run({ type: "add", newcomer: newcomer({ events }) }), "ok");
    bench.finishSync();
    const back = bench.status.members.find(({ path }) => path === "/m1");
    assert.is(back?.deviceNumber, number);
  }
});

test("a faulty member that is still there is replaced by its return", () => {
  const bench = new MachineBench();
  const superblock = bench.superblocks.get(1) ?? null;
  bench.run(fail("/m1"));
  assert.is(bench.run({ type: "re-add", newcomer: bench.newcomer("/m1", { superblock }) }), "ok");
  bench.finishSync();
  assert.equal(
    bench.status.members.map(({ path }) => path),
    ["/m0", "/m1"],
  );
  assert.is(bench.status.degraded, 0);
});

test("nobody joins while a failure is being recorded: its raid slot is not free yet", () => {
  const bench = new MachineBench();
  const superblock = bench.superblocks.get(1) ?? null;
  bench.command(fail("/m1"));
  const early = bench.command({ type: "re-add", newcomer: bench.newcomer("/m1", { superblock }) });
  assert.is(bench.outcome(early), "RAID_MEMBER_BUSY");
  bench.settle();
  assert.is(bench.run({ type: "re-add", newcomer: bench.newcomer("/m1", { superblock }) }), "ok");
});

test("two members are never on their way into one raid slot", () => {
  const { bench, newcomer } = withoutOne();
  const first = bench.command({ type: "re-add", newcomer: newcomer() });
  const deviceUuid = new Uint8Array(16).fill(0x77);
  const devRoles = Uint16Array.from([0, 0xffff, 0xffff, 1]);
  const rival = newcomer({ devNumber: 3, devRoles, deviceUuid });
  const second = bench.command({ type: "re-add", newcomer: { ...rival, path: "/rival" } });
  assert.is(bench.outcome(second), "RAID_RE_ADD_REFUSED");
  bench.finishSync();
  assert.is(bench.outcome(first), "ok");
});

test("a spare does not take the slot that a member is on its way back to", () => {
  const placements = [inSync(0), inSync(1), inSync(2)];
  const bench = new MachineBench({ slots: 3, placements });
  const superblock = bench.superblocks.get(2) ?? null;
  bench.run(fail("/m2"));
  bench.command({ type: "re-add", newcomer: bench.newcomer("/m2", { superblock }) });
  bench.command({ type: "add", newcomer: bench.newcomer("/n") });
  bench.tick(20);
  bench.finishSync();
  const slots = bench.status.members
    .map(({ raidSlot }) => raidSlot)
    .filter((slot) => slot !== null);
  assert.equal(slots, [0, 1, 2]);
});

for (const [what, command] of [
  ["fail", fail("/m0")],
  ["remove", remove("/m0")],
] as const) {
  test(`a read-only array refuses ${what}`, () => {
    assert.is(new MachineBench({ readOnly: true }).run(command), "RAID_READ_ONLY");
  });
}

test.run();
