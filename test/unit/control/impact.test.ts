/** What is lost when a board stops or a device is pulled: every verdict, and its words. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { impactOf } from "../../../src/control/impact.ts";
import type {
  IdleArray,
  Impact,
  ImpactArray,
  ImpactDevice,
  ImpactFacts,
  Voter,
} from "../../../src/control/impact-types.ts";
import type { ArrayStatus } from "../../../src/raid/array-status.ts";
import { arrayStatus } from "../../helpers/array-values.ts";
import { emptySlot, fakeMember } from "../../helpers/fake-status.ts";

const MIB = 1024 * 1024;
const BOARDS = ["a", "b", "c"];

/** Each board serves one disk; this one is board a. */
const pathOf = (board: string): string => (board === "a" ? "/disk" : `peer:${board}/disk`);
const boardOf = (path: string): string | null => /^peer:([^/]+)/.exec(path)?.[1] ?? "a";

const leg = (board: string, slot: number, ...states: ArrayStatus["members"][number]["states"]) =>
  fakeMember(pathOf(board), slot, states.length === 0 ? ["in_sync"] : [...states]);

const array = (over: Partial<ImpactArray> = {}, status: Partial<ArrayStatus> = {}): ImpactArray => {
  const members = BOARDS.map((board, slot) => leg(board, slot));
  return {
    uuid: "u0",
    name: "md0",
    status: arrayStatus({
      raidDevices: 3,
      members,
      inSyncCopies: 3,
      sizeBytes: 1000 * MIB,
      syncSpeedMin: MIB,
      syncSpeedMax: 10 * MIB,
      ...status,
    }),
    nodes: BOARDS,
    clients: 2,
    dirtyBytes: 0,
    ...over,
  };
};

const voters = (...ill: string[]): Voter[] =>
  BOARDS.map((name) => ({ name, board: name, isHealthy: !ill.includes(name) }));

const device = (path: string, holds: ImpactDevice["holds"], isThere = true): ImpactDevice => ({
  name: "disk",
  path,
  isThere,
  holds,
});

const idle = (name: string, over: Partial<IdleArray> = {}): IdleArray => ({
  uuid: `uuid-${name}`,
  name,
  isClustered: true,
  memberPaths: [],
  ...over,
});

const facts = (arrays: readonly ImpactArray[], over: Partial<ImpactFacts> = {}): ImpactFacts => ({
  here: "a",
  isAlone: false,
  away: [],
  arrays,
  idle: [],
  devices: [],
  served: [],
  abandoned: [],
  boardOf,
  quorum: { voters: voters(), problem: null },
  ...over,
});

const stop = (name: string, given: ImpactFacts): Impact => impactOf(given, { kind: "board", name });
const pull = (path: string, given: ImpactFacts): Impact =>
  impactOf(given, { kind: "device", name: "disk", path });

const test = suite("control/impact");

test("a board of three stops: one copy less, the others go on, clients move", () => {
  const { verdict, sentence, arrays, reasons, quorum } = stop("a", facts([array()]));
  assert.is(verdict, "degrades");
  assert.match(sentence, "md0 has less redundancy until it is back");
  const [md0] = arrays;
  assert.equal([md0?.copiesBefore, md0?.copiesAfter, md0?.loss], [3, 2, "redundancy"]);
  assert.equal([md0?.nodesAfter, md0?.members, md0?.clients], [["b", "c"], ["/disk"], 2]);
  assert.equal([quorum?.healthyAfter, quorum?.needed, quorum?.isKept], [2, 2, true]);
  assert.match(reasons.join(), "2 clients attach at b and c");
  const one = stop("a", facts([array({ clients: 1 })]));
  assert.match(one.reasons.join(), "1 client attaches at b and c");
});

test("clients of another board are not this one's to count", () => {
  assert.is(stop("b", facts([array()])).arrays[0]?.clients, 0);
});

test("the board with the last in-sync copy is not safe to stop, whatever its peers run", () => {
  const members = [leg("a", 0), leg("b", 1, "faulty"), emptySlot(2)];
  const given = facts([array({}, { members, inSyncCopies: 1 })]);
  const { verdict, sentence, reasons } = stop("a", given);
  assert.is(verdict, "loses");
  assert.match(sentence, "Not safe: md0");
  assert.match(reasons[0] ?? "", "loses its last in-sync copy");
  assert.is(stop("b", given).verdict, "safe", "a faulty member is no copy");
});

test("raid10 is judged by the data with the fewest copies", () => {
  const members = [leg("a", 0), leg("b", 1), leg("c", 2), fakeMember("peer:b/two", 3, ["in_sync"])];
  const shape = { level: "raid10", layout: "near=2", raidDevices: 4, members } as const;
  const given = facts([array({}, shape)]);
  assert.is(stop("a", given).verdict, "degrades");
  // Slots 1 and 3 are of two mirrors: each keeps its other half.
  assert.is(stop("b", given).verdict, "degrades");
  const pair = members.map((member, slot) =>
    slot === 1 ? { ...fakeMember("/disk2", 1, ["in_sync"]) } : member,
  );
  assert.is(stop("a", facts([array({}, { ...shape, members: pair })])).arrays[0]?.loss, "data");
});

test("an array that no other board runs stops with its board, and only there", () => {
  const given = facts([array({ nodes: ["a"] })]);
  const { verdict, arrays, reasons } = stop("a", given);
  assert.equal([verdict, arrays[0]?.loss], ["loses", "outage"]);
  assert.match(reasons[0] ?? "", "run by no other board");
  assert.is(stop("b", given).verdict, "degrades");
});

test("on disks that all boards open a board takes no copy along", () => {
  const given = facts([array({ dirtyBytes: 3 * MIB })], { boardOf: () => null });
  const { verdict, arrays } = stop("a", given);
  assert.equal([verdict, arrays[0]?.loss, arrays[0]?.copiesAfter], ["safe", "nothing", 3]);
});

test("etcd's quorum: one of three may go, the second may not, and a witness counts", () => {
  assert.is(stop("b", facts([])).verdict, "safe");
  const ill = { quorum: { voters: voters("c"), problem: null } };
  const { verdict, sentence, quorum, reasons } = stop("b", facts([array()], ill));
  assert.equal([verdict, quorum?.healthyAfter, quorum?.isKept], ["loses", 1, false]);
  assert.match(sentence, "etcd loses its quorum");
  assert.match(reasons[0] ?? "", "1 of 3 members of etcd are left, 2 are needed");
  assert.is(stop("c", facts([], ill)).verdict, "safe", "it votes no more already");
  const witness = [...voters().slice(0, 2), { name: "w", board: null, isHealthy: true }];
  assert.is(stop("a", facts([], { quorum: { voters: witness, problem: null } })).verdict, "safe");
  const two = { quorum: { voters: voters().slice(0, 2), problem: null } };
  assert.is(stop("a", facts([], two)).verdict, "loses", "two without a witness need both");
});

test("what is not known is said: etcd that is silent, arrays that do not run here", () => {
  const silent = stop("a", facts([array()], { quorum: { voters: [], problem: "no answer" } }));
  assert.equal([silent.verdict, silent.quorum], ["unknown", null]);
  assert.match(silent.sentence, "no answer");
  const absent = stop("b", facts([array()], { idle: [idle("md1")] }));
  assert.is(absent.verdict, "unknown");
  assert.match(absent.reasons.join(), "md1 does not run");
  const worse = facts([array({ nodes: ["a"] })], { idle: [idle("md1")] });
  assert.is(stop("a", worse).verdict, "loses", "what is known to be lost is said first");
});

test("a device is safe to pull when it is in no use, and not when it is the last copy", () => {
  const spare = fakeMember("/spare", 3, ["spare"]);
  const members = [leg("a", 0), leg("b", 1, "rebuilding"), spare];
  const md0 = array({}, { raidDevices: 2, members, inSyncCopies: 1 });
  const given = facts([md0], {
    devices: [device("/free", "no array"), device("/old", { uuid: "u0", name: "md0" })],
  });
  assert.is(pull("/spare", given).verdict, "safe");
  assert.is(pull("/free", given).verdict, "safe");
  assert.is(pull("/old", given).verdict, "safe", "its array runs without it");
  assert.is(pull("/disk", given).verdict, "loses");
  assert.is(pull("/disk", facts([array()])).verdict, "degrades");
  const silent = { quorum: { voters: [], problem: "no answer" } };
  assert.is(pull("/disk", facts([array()], silent)).verdict, "degrades", "etcd does not matter");
});

test("a disk that is not here now is never safe to pull: it may hold the only good copy", () => {
  const gone = device("peer:b/two", null, false);
  const here = facts([], { idle: [idle("md0")], devices: [gone] });
  const { verdict, sentence, unjudged } = pull(gone.path, here);
  assert.equal([verdict, unjudged], ["unknown", ["md0"]]);
  assert.match(sentence, "what disk holds is not known here; md0 does not run on the board");
  // As it was read before its board went: that is over.
  assert.is(pull(gone.path, facts([array()], { devices: [gone] })).verdict, "unknown");
  const own = facts([], { isAlone: true, devices: [device("/gone", null, false)] });
  assert.is(pull("/gone", own).verdict, "unknown");
  const broken = device("/broken", null);
  const alone = facts([array()], { isAlone: true, devices: [broken] });
  assert.is(pull("/broken", alone).verdict, "safe", "all arrays run here, and without it");
  assert.is(pull("/broken", { ...alone, isAlone: false }).verdict, "unknown");
  assert.is(pull("/broken", { ...alone, idle: [idle("md1")] }).verdict, "unknown");
});

test("a copy of an array that does not run here is never safe to pull", () => {
  const local = { isClustered: false, memberPaths: ["/listed"] };
  const given = facts([array()], {
    idle: [idle("md1", local)],
    devices: [
      device("/listed", "no array"),
      device("/named", { uuid: "uuid-md1", name: "old" }),
      device("/strange", { uuid: "elsewhere", name: "md7" }),
      device("/free", "no array"),
    ],
  });
  const told = (path: string) => [pull(path, given).verdict, ...pull(path, given).unjudged];
  assert.equal(told("/listed"), ["unknown", "md1"]);
  assert.equal(told("/named"), ["unknown", "md1"]);
  assert.equal(told("/strange"), ["unknown", "md7"], "no record tells of it");
  assert.equal(told("/free"), ["safe"]);
});

test("of an array that has failed nobody knows which disk brings it back", () => {
  const members = [leg("a", 0, "faulty"), leg("b", 1, "faulty"), emptySlot(2)];
  const old = device("peer:c/disk", { uuid: "u0", name: "md0" });
  const given = facts([array({}, { members, inSyncCopies: 0 })], { devices: [old] });
  for (const path of [pathOf("a"), pathOf("b"), old.path]) {
    assert.equal([pull(path, given).verdict, pull(path, given).unjudged], ["unknown", ["md0"]]);
  }
  assert.match(stop("c", given).sentence, "md0 has no in-sync copy");
});

test("a board's disks of which this one does not know all are told of", () => {
  const strange = { uuid: "U-1", name: "md7" };
  const devices = [device("/mine", strange), device("peer:b/two", strange)];
  const given = facts([array()], { devices });
  assert.equal([stop("b", given).verdict, stop("b", given).unjudged], ["unknown", ["md7"]]);
  assert.is(stop("c", given).verdict, "degrades");
  const left = { ...given, abandoned: ["U-1"] };
  assert.is(stop("b", left).verdict, "degrades", "no board runs it: it stops with none");
  assert.is(pull("peer:b/two", left).verdict, "unknown", "it may be wanted again");
  assert.is(stop("a", given).verdict, "degrades", "nobody runs what is on its own disk");
  assert.is(stop("a", { ...given, served: ["u1"] }).verdict, "unknown", "another board does");
  const unread = facts([array()], { devices: [device("peer:b/two", null)] });
  assert.match(stop("b", unread).sentence, "what disk holds is not known here");
});

test("a board that is away: what stops with it has stopped, what it takes along is told", () => {
  const members = [leg("a", 0), leg("b", 1, "faulty"), leg("c", 2)];
  const md0 = array({ nodes: ["a", "c"] }, { members, inSyncCopies: 2 });
  const away = { away: ["b"], devices: [device(pathOf("b"), null, false)] };
  const { verdict, sentence, reasons } = stop("b", facts([md0], away));
  assert.is(verdict, "degrades");
  assert.is(sentence, "Clients go on when b stays away; md0 has less redundancy until it is back.");
  assert.match(reasons[0] ?? "", "what stops with it has stopped already");
  assert.match(reasons.join(), "md0 has 2 in-sync copies without it");
  assert.is(stop("b", facts([], away)).verdict, "unknown", "its disk may hold anything");
  const bare = stop("b", facts([], { away: ["b"] }));
  assert.match(bare.sentence, "what any disk of b holds is not known here");
  assert.is(stop("b", facts([], { ...away, idle: [idle("md0")] })).verdict, "unknown");
});

test("what is dirty is told in chunks and bytes, with the time that copying it takes", () => {
  const { arrays, reasons } = stop("a", facts([array({ dirtyBytes: 20 * MIB })]));
  const [md0] = arrays;
  assert.equal([md0?.dirtyChunks, md0?.dirtyBytes], [320, 20 * MIB]);
  assert.equal(md0?.recovery, { low: 2, high: 20 }, "between the limits of its speed");
  assert.match(reasons.join(), "320 dirty chunks (20 MiB) are to be copied, in 2 to 20 s");
  assert.is(stop("a", facts([array()])).arrays[0]?.recovery, null);
});

test.run();
