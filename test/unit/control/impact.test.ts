/** What is lost when a board stops or a device is pulled: every verdict, and its words. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { impactOf } from "../../../src/control/impact.ts";
import type { Impact, ImpactArray, ImpactFacts, Voter } from "../../../src/control/impact-types.ts";
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

const facts = (arrays: readonly ImpactArray[], over: Partial<ImpactFacts> = {}): ImpactFacts => ({
  here: "a",
  arrays,
  unjudged: [],
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
  const absent = stop("b", facts([array()], { unjudged: ["md1"] }));
  assert.is(absent.verdict, "unknown");
  assert.match(absent.reasons.join(), "md1 does not run");
  const worse = facts([array({ nodes: ["a"] })], { unjudged: ["md1"] });
  assert.is(stop("a", worse).verdict, "loses", "what is known to be lost is said first");
});

test("a device is safe to pull when it is in no use, and not when it is the last copy", () => {
  const spare = fakeMember("/spare", 3, ["spare"]);
  const members = [leg("a", 0), leg("b", 1, "rebuilding"), spare];
  const given = facts([array({}, { raidDevices: 2, members, inSyncCopies: 1 })]);
  assert.is(pull("/spare", given).verdict, "safe");
  assert.is(pull("/nowhere", given).verdict, "safe");
  assert.is(pull("/disk", given).verdict, "loses");
  assert.is(pull("/disk", facts([array()])).verdict, "degrades");
  const silent = { quorum: { voters: [], problem: "no answer" } };
  assert.is(pull("/disk", facts([array()], silent)).verdict, "degrades", "etcd does not matter");
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
