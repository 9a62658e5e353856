/** A member is replaced while it goes on working: what is written where, at each step. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { LEG_IN_SYNC, LEG_NONE, LEG_REBUILDING } from "../../../src/raid/shared-state.ts";
import {
  type BenchOptions,
  inSync,
  MachineBench,
  MIB,
  rebuilding,
  replacing,
} from "../../helpers/machine-bench.ts";

const SPARE = { type: "spare" } as const;
const replace = (path: string, withPath: string | null = null) =>
  ({ type: "replace", path, withPath }) as const;
const fail = (path: string) => ({ type: "fail", path, reason: "test" }) as const;

const statesOf = (bench: MachineBench, path: string): string =>
  bench.memberStatus(path)?.states.join() ?? "absent";
const legsOf = (bench: MachineBench): number[] =>
  Array.from({ length: bench.shared.legs }, (_, leg) => bench.shared.leg(leg));

/** A two-way mirror with a spare, member 2, whose second member is to be replaced. */
const beingReplaced = (options: BenchOptions = {}) => {
  const bench = new MachineBench({ placements: [inSync(0), inSync(1), SPARE], ...options });
  assert.is(bench.outcome(bench.command(replace("/m1"))), "ok");
  return bench;
};

/** … and whose leg is open: the spare takes writes, the superblocks say so. */
const underWay = (options: BenchOptions = {}) => {
  const bench = beingReplaced(options);
  while (bench.openings.length === 0) bench.tick(20);
  bench.finishOpening();
  while (bench.io.length > 0) bench.finishIo();
  return bench;
};

/** Copies everything; the update that makes the spare a member is under way. */
const copied = (bench: MachineBench): void => {
  for (let steps = 0; bench.happenings().at(-1) !== "sync.finished"; steps++) {
    assert.ok(steps < 1000);
    if (bench.io.length > 0) bench.finishIo();
    else if (bench.copies.length > 0) bench.finishCopy();
    else bench.tick(20);
  }
};

const test = suite("raid/replacement");

// --- the command ---------------------------------------------------------------------------------

test("without a spare a member only wants to be replaced, and works on", () => {
  const bench = new MachineBench();
  assert.is(bench.run(replace("/m1")), "ok");
  assert.is(statesOf(bench, "/m1"), "in_sync,want_replacement");
  assert.equal([bench.openings, bench.takeLog(), bench.status.degraded], [[], [], 0]);
});

test("a spare that comes later is taken", () => {
  const bench = new MachineBench();
  bench.run(replace("/m1"));
  assert.is(bench.run({ type: "add", newcomer: bench.newcomer("/n") }), "ok");
  bench.tick(20);
  bench.finishSync();
  assert.equal([statesOf(bench, "/n"), statesOf(bench, "/m1")], ["in_sync", "faulty"]);
});

for (const [what, command, placements, code] of [
  ["a path that is no member", replace("/x"), [inSync(0), inSync(1)], "RAID_NOT_A_MEMBER"],
  ["a spare", replace("/m2"), [inSync(0), inSync(1), SPARE], "RAID_MEMBER_NOT_IN_SYNC"],
  ["a member under rebuild", replace("/m1"), [inSync(0), rebuilding(1)], "RAID_MEMBER_NOT_IN_SYNC"],
  [
    "a member that is being replaced",
    replace("/m1"),
    [inSync(0), inSync(1), replacing(1)],
    "RAID_MEMBER_BUSY",
  ],
  ["with a member in use", replace("/m1", "/m0"), [inSync(0), inSync(1)], "RAID_NOT_A_SPARE"],
  ["with nobody", replace("/m1", "/x"), [inSync(0), inSync(1)], "RAID_NOT_A_SPARE"],
] as const) {
  test(`replace refuses ${what}`, () => {
    const bench = new MachineBench({ placements: [...placements] });
    assert.is(bench.outcome(bench.command(command)), code);
  });
}

// --- which spare ---------------------------------------------------------------------------------

test("the named spare is taken, and no other one before it", () => {
  const bench = new MachineBench({ placements: [inSync(0), inSync(1), SPARE, SPARE] });
  bench.run(replace("/m1", "/m3"));
  bench.finishSync();
  assert.equal([statesOf(bench, "/m2"), statesOf(bench, "/m3")], ["spare", "in_sync"]);
});

test("a spare that was named for one member is not taken for another", () => {
  const bench = new MachineBench({ placements: [inSync(0), inSync(1), SPARE] });
  bench.command({ type: "sync-action", action: "frozen" });
  bench.command(replace("/m1", "/m2"));
  bench.command(replace("/m0"));
  bench.command({ type: "sync-action", action: "idle" });
  while (bench.openings.length === 0) bench.tick(20);
  assert.equal(
    bench.openings.map(({ leg, member }) => [leg, member]),
    [[3, 2]],
  );
});

test("an empty raid slot comes first, even with the named spare; the other one waits on", () => {
  const bench = new MachineBench({ slots: 3, placements: [inSync(0), inSync(1), SPARE] });
  bench.command(replace("/m1", "/m2"));
  bench.tick(20);
  bench.finishSync();
  assert.is(bench.status.degraded, 0);
  assert.is(statesOf(bench, "/m1"), "in_sync,want_replacement");
  bench.run({ type: "add", newcomer: bench.newcomer("/n") });
  bench.tick(20);
  bench.finishSync();
  assert.equal([statesOf(bench, "/n"), statesOf(bench, "/m1")], ["in_sync", "faulty"]);
});

test("when the named spare is gone any other one will do", () => {
  const bench = new MachineBench({ placements: [inSync(0), inSync(1), SPARE, SPARE] });
  bench.command({ type: "sync-action", action: "frozen" });
  bench.run(replace("/m1", "/m3"));
  bench.run({ type: "remove", path: "/m3" });
  bench.command({ type: "sync-action", action: "idle" });
  bench.tick(20);
  bench.finishSync();
  assert.equal([statesOf(bench, "/m2"), statesOf(bench, "/m1")], ["in_sync", "faulty"]);
});

// --- step by step --------------------------------------------------------------------------------

test("the spare's leg is opened beside the member's; it takes writes before a superblock says so", () => {
  const bench = beingReplaced();
  while (bench.openings.length === 0) bench.tick(20);
  assert.equal(
    bench.openings.map(({ leg, member }) => ({ leg, member })),
    [{ leg: 3, member: 2 }],
  );
  assert.equal([legsOf(bench), bench.takeLog()], [[2, 2, 0, 0], []]);
  bench.finishOpening();
  assert.equal(legsOf(bench), [LEG_IN_SYNC, LEG_IN_SYNC, LEG_NONE, LEG_REBUILDING]);
  assert.equal(bench.copies, [], "the superblocks name it first");
});

test("the superblocks name both in one raid slot, and the one that is written as a replacement", () => {
  const bench = underWay();
  const roles = "roles 0=0,1=1,2=1";
  assert.equal(bench.takeLog("super"), [
    `0 super e21 clean ${roles}`,
    `1 super e21 clean ${roles}`,
    `2 super e21 clean rebuilt 0 replacement ${roles}`,
  ]);
  assert.is(statesOf(bench, "/m1"), "in_sync,want_replacement");
  assert.is(statesOf(bench, "/m2"), "spare,rebuilding,replacement");
  assert.equal(bench.detailsOf("member.replacing"), [
    { path: "/m1", replacement: "/m2", raid_slot: 1 },
  ]);
  assert.equal([bench.status.degraded, bench.status.inSyncCopies], [0, 2]);
});

test("the same when the spare has the lower number", () => {
  const bench = new MachineBench({ placements: [SPARE, inSync(0), inSync(1)] });
  bench.command(replace("/m2"));
  bench.tick(20);
  bench.finishSync();
  for (const type of ["member.replacing", "member.replaced"] as const)
    assert.equal(bench.detailsOf(type), [{ path: "/m2", replacement: "/m0", raid_slot: 1 }]);
});

test("its bitmap is whole before any superblock names it", () => {
  const placements = [inSync(0), inSync(1), SPARE];
  const size = { chunks: 40_000, dirty: [35_000], hasBadBlockLog: false };
  const bench = new MachineBench({ placements, ...size });
  bench.write(0);
  bench.command(replace("/m1"));
  while (bench.openings.length === 0) bench.tick(20);
  bench.takeLog();
  bench.finishOpening();
  assert.equal(bench.takeLog("2"), ["2 bitmap e22 c20 bits 0,35000", "2 flush"]);
});

test("it is copied whole, from every member in sync, the replaced one among them", () => {
  const bench = underWay();
  assert.equal([bench.status.sync?.action, bench.status.sync?.scope], ["recover", "full"]);
  assert.equal(bench.status.health, "optimal");
  assert.equal(bench.copies[0]?.plan, {
    mode: "copy",
    from: 0,
    end: MIB,
    extents: [
      {
        offset: 0,
        length: MIB,
        sources: [
          { member: 0, position: 0 },
          { member: 1, position: 0 },
        ],
        targets: [{ member: 2, position: 0 }],
      },
    ],
  });
});

test("at the end it takes the place: the old one is faulty in every superblock, and may go", () => {
  const bench = underWay();
  bench.finishSync();
  const roles = "roles 0=0,1=faulty,2=1";
  const last = bench.takeLog("super").slice(-2);
  assert.equal(
    last.map((line) => line.replace(/e\d+/, "e")),
    [`2 super e clean ${roles}`, `0 super e clean ${roles}`],
  );
  assert.equal(legsOf(bench), [LEG_IN_SYNC, LEG_NONE, LEG_NONE, LEG_IN_SYNC]);
  assert.equal(bench.toldOf("drop-leg"), [{ type: "drop-leg", leg: 1, reason: null }]);
  assert.equal([statesOf(bench, "/m2"), statesOf(bench, "/m1")], ["in_sync", "faulty"]);
  assert.is(bench.memberStatus("/m1")?.faultReason, "replaced by /m2");
  assert.ok(bench.happenings().includes("member.replaced"));
  assert.not.ok(bench.happenings().includes("member.failed"));
  assert.is(bench.run({ type: "remove", path: "/m1" }), "ok");
  assert.is(bench.status.degraded, 0);
});

test("its own superblock says it is whole before any other forgets the replaced one", () => {
  // When the other copy fails meanwhile, the two hold what nobody else has.
  const placements = [inSync(0), inSync(1), inSync(2), inSync(3), SPARE];
  const bench = new MachineBench({ slots: 4, layout: "n2", placements });
  bench.command(replace("/m0"));
  while (bench.openings.length === 0) bench.tick(20);
  bench.finishOpening();
  bench.command(fail("/m1"));
  while (bench.io.length > 0) bench.finishIo();
  copied(bench);
  bench.takeLog();
  const written: string[] = [];
  for (let left = bench.io.length; left > 0; left = bench.io.length) {
    while (left-- > 0) bench.finishIo();
    written.push(bench.takeLog("super").join("; "));
  }
  const roles = "roles 0=faulty,1=faulty,2=2,3=3,4=0";
  const supers = written.filter((line) => line !== "").map((line) => line.replace(/e\d+/g, "e"));
  assert.equal(supers.slice(-2), [
    `4 super e clean ${roles}`,
    `2 super e clean ${roles}; 3 super e clean ${roles}`,
  ]);
});

test("until that is durable both legs are written and the old one is read", () => {
  const bench = underWay();
  copied(bench);
  while (bench.io.length > 1) {
    assert.equal(legsOf(bench), [LEG_IN_SYNC, LEG_IN_SYNC, LEG_NONE, LEG_REBUILDING]);
    bench.finishIo();
  }
  bench.settle();
  assert.equal(legsOf(bench), [LEG_IN_SYNC, LEG_NONE, LEG_NONE, LEG_IN_SYNC]);
});

test("the data is flushed on every member that stays before anything says the new one is whole", () => {
  const bench = underWay({ chunks: 64 });
  copied(bench);
  assert.equal(
    bench.io.map(({ member, ops }) => [member, ops.map(({ type }) => type)]),
    [0, 2].map((member) => [member, ["flush"]]),
  );
});

test("the next replacement of the same raid slot uses the leg that is free by then", () => {
  const bench = underWay();
  bench.finishSync();
  bench.run({ type: "remove", path: "/m1" });
  bench.run({ type: "add", newcomer: bench.newcomer("/n") });
  bench.command(replace("/m2"));
  while (bench.openings.length === 0) bench.tick(20);
  assert.is(bench.openings[0]?.leg, 1);
  bench.finishSync();
  assert.equal(legsOf(bench), [LEG_IN_SYNC, LEG_IN_SYNC, LEG_NONE, LEG_NONE]);
  assert.equal([statesOf(bench, "/n"), statesOf(bench, "/m2")], ["in_sync", "faulty"]);
});

test("bits are cleared while a member is replaced: nobody is missing", () => {
  const bench = underWay({ dirty: [3], syncSpeed: 1 });
  for (let pass = 0; pass < 4; pass++) {
    bench.tick(6000);
    while (bench.io.length > 0) bench.finishIo();
  }
  assert.is(bench.status.bitmap.dirtyChunks, 0);
});

test("the only copy may be replaced, too", () => {
  const bench = new MachineBench({ slots: 1, placements: [inSync(0), SPARE] });
  bench.command(replace("/m0"));
  bench.finishSync();
  assert.equal([statesOf(bench, "/m1"), statesOf(bench, "/m0")], ["in_sync", "faulty"]);
  assert.is(bench.run(fail("/m1")), "RAID_LAST_IN_SYNC_MEMBER");
});

// --- what goes wrong meanwhile -------------------------------------------------------------------

test("the replaced member fails: what is written beside it goes on as the raid slot's own", () => {
  const bench = underWay();
  bench.startSync();
  bench.finishCopy();
  bench.finishCopy();
  bench.takeLog();
  bench.command(fail("/m1"));
  while (bench.io.length + bench.copies.length > 0 && bench.status.degraded === 0) {
    if (bench.io.length > 0) bench.finishIo();
    else bench.finishCopy();
  }
  assert.is(statesOf(bench, "/m2"), "spare,rebuilding");
  bench.finishSync();
  const named = bench.takeLog("super", "1=faulty");
  assert.ok(
    named.every((line) => !line.includes("replacement")),
    named.join("\n"),
  );
  assert.ok(named.some((line) => /^2 super e\d+ clean rebuilt \d+ roles/.test(line)));
  assert.equal([statesOf(bench, "/m2"), bench.status.degraded], ["in_sync", 0]);
  assert.not.ok(bench.happenings().includes("member.replaced"));
});

test("its rebuild goes on from where it was, from the members that are left", () => {
  const bench = underWay({ chunks: 64 });
  bench.startSync();
  for (let piece = 0; piece < 3; piece++) bench.finishCopy();
  bench.command(fail("/m1"));
  while (statesOf(bench, "/m1") !== "faulty") bench.finishIo();
  while (bench.copies.length > 0) bench.finishCopy();
  assert.is(bench.memberStatus("/m2")?.recoveryOffset, 3 * MIB, "what ended later is not claimed");
  while (bench.io.length > 0) bench.finishIo();
  bench.startSync();
  const [copy] = bench.copies;
  assert.is(copy?.plan.from, 3 * MIB);
  const sources = copy?.plan.extents[0]?.sources.map(({ member }) => member);
  assert.equal(sources, [0]);
});

test("the replacement fails: the member works on, and the next spare is taken", () => {
  const bench = underWay();
  bench.finishCopy();
  assert.is(bench.outcome(bench.command(fail("/m2"))), "waiting");
  while (bench.copies.length > 0) bench.finishCopy();
  bench.settle();
  assert.equal([statesOf(bench, "/m2"), bench.status.degraded], ["faulty", 0]);
  assert.is(statesOf(bench, "/m1"), "in_sync,want_replacement");
  assert.equal(legsOf(bench), [LEG_IN_SYNC, LEG_IN_SYNC, LEG_NONE, LEG_NONE]);
  bench.run({ type: "add", newcomer: bench.newcomer("/n") });
  bench.tick(20);
  bench.finishSync();
  assert.equal([statesOf(bench, "/n"), statesOf(bench, "/m1")], ["in_sync", "faulty"]);
});

test("a replacement that no worker can open is faulty, the member works on", () => {
  const bench = beingReplaced();
  while (bench.openings.length === 0) bench.tick(20);
  bench.finishOpening("EMFILE");
  bench.settle();
  assert.equal([statesOf(bench, "/m2"), bench.status.degraded], ["faulty", 0]);
  assert.is(statesOf(bench, "/m1"), "in_sync,want_replacement");
});

test("the member fails while its replacement is being opened: that becomes the raid slot's own", () => {
  const bench = beingReplaced();
  while (bench.openings.length === 0) bench.tick(20);
  bench.command(fail("/m1"));
  while (bench.io.length > 0) bench.finishIo();
  bench.finishOpening();
  while (bench.io.length > 0) bench.finishIo();
  assert.is(statesOf(bench, "/m2"), "spare,rebuilding");
  bench.finishSync();
  assert.equal([statesOf(bench, "/m2"), bench.status.degraded], ["in_sync", 0]);
});

test("a replacement that fails in the very update that makes it a member: the array is whole without", () => {
  const bench = underWay({ slots: 3, placements: [inSync(0), inSync(1), SPARE, inSync(2)] });
  copied(bench);
  bench.finishIo("EIO", 2);
  bench.settle();
  assert.is(statesOf(bench, "/m2"), "faulty");
  const left = bench.status.members.filter(({ states }) => states.includes("in_sync"));
  assert.ok(left.length >= 2);
  assert.is.not(bench.status.arrayState, "broken");
});

// --- after a restart -----------------------------------------------------------------------------

test("after a clean stop it is written on from its checkpoint, on its own leg", () => {
  const bench = new MachineBench({ placements: [inSync(0), inSync(1), replacing(1, 5 * MIB)] });
  assert.equal(legsOf(bench), [LEG_IN_SYNC, LEG_IN_SYNC, LEG_NONE, LEG_REBUILDING]);
  bench.startSync();
  assert.is(bench.copies[0]?.plan.from, 5 * MIB);
  bench.finishSync();
  assert.equal([statesOf(bench, "/m2"), statesOf(bench, "/m1")], ["in_sync", "faulty"]);
});

test("after a power cut what had a bit below the checkpoint is copied again", () => {
  const placements = [inSync(0), inSync(1), replacing(1, 5 * MIB)];
  const bench = new MachineBench({ placements, dirty: [2], resyncOffset: 0 });
  bench.startSync();
  assert.is(bench.status.sync?.action, "resync");
  while (bench.status.sync?.action === "resync") bench.finishCopy();
  while (bench.io.length > 0) bench.finishIo();
  bench.startSync();
  assert.equal(
    bench.copies.map(({ plan }) => plan.from / MIB),
    [2, 5, 6, 7],
  );
});

test("when both its neighbours are gone it goes on from the member it replaces", () => {
  const bench = new MachineBench({ slots: 2, placements: [inSync(1), replacing(1)] });
  bench.startSync();
  const sources = bench.copies[0]?.plan.extents[0]?.sources;
  assert.equal(sources, [{ member: 0, position: 0 }]);
});

test.run();
