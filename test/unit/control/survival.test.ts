/** What an array may still lose: counted against every possible loss, layout by layout. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import {
  copiesNow,
  layoutWord,
  survivableFailures,
  survivesNow,
} from "../../../src/control/survival.ts";
import {
  formatRaid10Layout,
  parseRaid10Layout,
  raid10Enough,
  raid10Geometry,
} from "../../../src/raid/raid10-layout.ts";
import { arrayStatus } from "../../helpers/array-values.ts";
import { emptySlot, fakeMember } from "../../helpers/fake-status.ts";

const WORDS = ["n2", "n3", "n4", "f2", "f3", "o2", "o3"];

/** Every set of `count` raid slots of `total`. */
function* choices(total: number, count: number, from = 0): Generator<readonly number[]> {
  if (count === 0) {
    yield [];
    return;
  }
  for (let slot = from; slot < total; slot += 1) {
    for (const rest of choices(total, count - 1, slot + 1)) yield [slot, ...rest];
  }
}

const test = suite("control/survival");

test("any so many members may fail, and one more may not: by brute force for every layout", () => {
  for (const word of WORDS) {
    const layout = parseRaid10Layout(word) ?? 0;
    const text = formatRaid10Layout(layout);
    for (let raidDevices = 2; raidDevices <= 7; raidDevices += 1) {
      const geometry = raid10Geometry(layout, raidDevices, 128);
      if (geometry === null) continue;
      const failures = survivableFailures({ raidDevices, layout: text }, () => true);
      const survivesAny = (count: number): boolean =>
        [...choices(raidDevices, count)].every((lost) =>
          raid10Enough(geometry, (slot) => !lost.includes(slot)),
        );
      assert.ok(survivesAny(failures), `${word} on ${raidDevices} loses ${failures}`);
      assert.not.ok(survivesAny(failures + 1), `${word} on ${raidDevices} loses ${failures + 1}`);
    }
  }
});

test("a raid1 survives all of its in-sync members but one", () => {
  const shape = { raidDevices: 3, layout: null };
  assert.is(
    survivableFailures(shape, () => true),
    2,
  );
  assert.is(
    survivableFailures(shape, (slot) => slot === 1),
    0,
  );
  assert.is(
    survivableFailures(shape, () => false),
    0,
  );
});

test("a degraded raid10 counts the data with the fewest copies", () => {
  const status = arrayStatus({
    level: "raid10",
    layout: "near=2",
    raidDevices: 4,
    inSyncCopies: 3,
    members: [
      fakeMember("/a", 0, ["in_sync"]),
      emptySlot(1),
      fakeMember("/c", 2, ["in_sync", "want_replacement"]),
      fakeMember("/d", 3, ["in_sync"]),
      { ...fakeMember("/e", 2, ["replacement", "rebuilding"]), raidSlot: 2 },
    ],
  });
  assert.equal([copiesNow(status), survivesNow(status)], [1, 0]);
  const whole = { ...status, members: [...status.members, fakeMember("/f", 1, ["in_sync"])] };
  assert.equal([copiesNow(whole), survivesNow(whole)], [2, 1]);
});

test("the word of a layout creates it again", () => {
  for (const word of WORDS) {
    assert.is(layoutWord(formatRaid10Layout(parseRaid10Layout(word) ?? 0)), word);
  }
  assert.is(layoutWord("near=2, far=2"), "near=2, far=2");
});

test.run();
