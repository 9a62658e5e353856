import { suite } from "uvu";
import * as assert from "uvu/assert";
import { BUSY_ROWS, SYNC_ROWS } from "../../../../bench/sync/sync-rows.ts";

const test = suite("bench/sync-rows");

test("what copies is held against a copy, what compares against a comparison", () => {
  const bars = new Map(SYNC_ROWS.map(({ name, peer, bar }) => [name, [peer, bar]]));
  for (const cache of ["hot", "evicted"]) {
    assert.equal(bars.get(`resync.${cache}`), ["copy", { copy: 0.8 }]);
    assert.equal(bars.get(`recover.${cache}`), ["copy", { copy: 0.8 }]);
    assert.equal(bars.get(`check.${cache}`), ["cmp", { cmp: 0.8 }]);
    assert.equal(bars.get(`resync-equal.${cache}`), ["cmp", {}]);
  }
  assert.is(bars.size, 8);
});

test("a client beside a sync action is held against the same client alone", () => {
  const names = BUSY_ROWS.map(({ name }) => name);
  for (const row of BUSY_ROWS) {
    assert.is(row.better, "lower");
    const isBeside = row.workload.condition === "repair";
    assert.equal(row.than, isBeside ? { row: row.name.replace(".sync", ""), bar: 1.2 } : undefined);
    if (row.than !== undefined) assert.ok(names.includes(row.than.row));
  }
});

test.run();
