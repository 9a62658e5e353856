/** Which spare moves where, and when spares are missing. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import {
  decideMoves,
  type GroupArray,
  type SpareMove,
} from "../../../src/control/spare-group-decision.ts";
import {
  countOfStart,
  countSpares,
  type SpareCount,
} from "../../../src/control/spare-group-watch.ts";
import type { ArrayStatus } from "../../../src/raid/array-status.ts";
import { arrayStatus } from "../../helpers/array-values.ts";
import { fakeMember } from "../../helpers/fake-status.ts";

const spare = (path: string, sizeBytes = 1000, logicalBlockBytes = 512) => ({
  path,
  sizeBytes,
  logicalBlockBytes,
});

const array = (uuid: string, over: Partial<GroupArray> = {}): GroupArray => ({
  uuid,
  name: uuid,
  spareGroup: "a",
  isUsable: true,
  isDegraded: false,
  rebuilding: 0,
  spares: [],
  smallestMemberBytes: 1000,
  logicalBlockBytes: 512,
  ...over,
});

const needy = (uuid: string, over: Partial<GroupArray> = {}): GroupArray =>
  array(uuid, { isDegraded: true, ...over });

const moves = (
  arrays: readonly GroupArray[],
  isRefused: (move: SpareMove) => boolean = () => false,
): string[] => decideMoves(arrays, isRefused).map(({ path, from, to }) => `${path} ${from}>${to}`);

const donor = array("rich", { spares: [spare("/s")] });

const test = suite("control/spare-group-decision");

test("a degraded array without a spare gets one of its group", () => {
  assert.equal(moves([needy("poor"), donor]), ["/s rich>poor"]);
});

test("arrays of another group, or of none, share nothing", () => {
  assert.equal(moves([needy("poor", { spareGroup: "b" }), donor]), []);
  const alone = { spareGroup: null };
  assert.equal(
    moves([needy("poor", alone), array("rich", { ...alone, spares: [spare("/s")] })]),
    [],
  );
});

test("nothing moves to an array that is whole, has a spare, is being rebuilt or cannot be changed", () => {
  for (const over of [
    { isDegraded: false },
    { spares: [spare("/own")] },
    { rebuilding: 1 },
    { isUsable: false },
  ]) {
    assert.equal(moves([needy("poor", over), donor]), []);
  }
});

test("a degraded array gives nothing away, nor does one that cannot be changed", () => {
  for (const over of [{ isDegraded: true }, { isUsable: false }]) {
    assert.equal(moves([needy("poor"), { ...donor, ...over }]), []);
  }
});

test("a spare that is too small or has larger sectors does not fit", () => {
  const offer = (...spares: GroupArray["spares"]) => [needy("poor"), array("rich", { spares })];
  assert.equal(moves(offer(spare("/s", 999))), []);
  assert.equal(moves(offer(spare("/s", 1000, 4096))), []);
  assert.equal(moves(offer(spare("/s", 999), spare("/t"))), ["/t rich>poor"]);
  assert.equal(
    moves([needy("poor", { logicalBlockBytes: 4096 }), array("rich", { spares: [spare("/s")] })]),
    ["/s rich>poor"],
  );
});

test("the smallest spare that fits goes, of equal ones that of the array with most spares", () => {
  const arrays = [
    needy("poor"),
    array("one", { spares: [spare("/a", 3000)] }),
    array("two", { spares: [spare("/b", 2000)] }),
    array("three", { spares: [spare("/c", 2000), spare("/d", 4000)] }),
  ];
  assert.equal(moves(arrays), ["/c three>poor"]);
});

test("two arrays in need do not get the same spare", () => {
  assert.equal(moves([needy("p"), needy("q"), donor]), ["/s rich>p"]);
  const two = array("rich", { spares: [spare("/s"), spare("/t")] });
  assert.equal(moves([needy("p"), needy("q"), two]), ["/s rich>p", "/t rich>q"]);
});

test("a move that was refused gives way to the next spare", () => {
  const two = array("rich", { spares: [spare("/s"), spare("/t")] });
  assert.equal(
    moves([needy("p"), two], ({ path }) => path === "/s"),
    ["/t rich>p"],
  );
});

const whole = (spares: number): ArrayStatus =>
  arrayStatus({
    members: [
      fakeMember("/a", 0, ["in_sync"]),
      fakeMember("/b", 1, ["in_sync"]),
      ...Array.from({ length: spares }, (_, index) => fakeMember(`/s${index}`, 2, ["spare"])),
    ],
  });

/** Raid slot 1 is rebuilt on what was the last spare. */
const rebuilding = (spares: number, path = `/s${spares}`): ArrayStatus => ({
  ...whole(spares),
  degraded: 1,
  members: [
    fakeMember("/a", 0, ["in_sync"]),
    fakeMember("/b", 1, ["faulty"]),
    fakeMember(path, 2, ["spare", "rebuilding"]),
    ...whole(spares).members.slice(2),
  ],
});

/** The counts of `missingOf` over a story of statuses. */
const told = (start: SpareCount, ...story: readonly ArrayStatus[]): (number | null)[] => {
  let count = start;
  return story.map((status) => {
    const next = countSpares(count, status);
    count = next.count;
    return next.missingOf;
  });
};

test("a spare that took a failed member's place is not missing", () => {
  const story = [whole(1), rebuilding(0), rebuilding(0), whole(0), whole(0)];
  assert.equal(told(countOfStart(null), ...story), [null, null, null, null, null]);
  assert.equal(told(countOfStart(1), rebuilding(0), whole(0)), [null, null], "nor after a start");
});

test("another one that is gone meanwhile is missing, told once", () => {
  const gone = rebuilding(0, "/s1");
  const story = [whole(2), rebuilding(1), gone, gone, whole(0)];
  assert.equal(told(countOfStart(null), ...story), [null, null, 2, null, null]);
});

test("an array that starts with fewer spares than when it was last whole is told of", () => {
  assert.equal(told(countOfStart(2), whole(1), whole(1)), [2, null]);
  assert.equal(told(countOfStart(2), whole(2)), [null]);
});

test("a spare that is taken out of a whole array by hand is missed by nobody", () => {
  assert.equal(told(countOfStart(null), whole(2), whole(1), whole(0)), [null, null, null]);
});

test("a spare that failed is missing", () => {
  const failed = { ...whole(0), members: [...whole(0).members, fakeMember("/s", 2, ["faulty"])] };
  assert.equal(told(countOfStart(null), whole(1), failed), [null, 1]);
});

test.run();
