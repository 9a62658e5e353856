/** Members in the middle of a change: the freshest describes the array, the others follow. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { assemble } from "../../../src/raid/assembly.ts";
import { candidates, started, words } from "../../helpers/assembly-words.ts";
import { candidate, roles, sampleBitmap, sampleSuperblock } from "../../helpers/md-samples.ts";

const test = suite("raid/change assembly");

test("a member one update behind takes size, name and number of raid devices", () => {
  const name = new Uint8Array(32).fill(0x61);
  const now = { events: 21, size: 100_000, raidDisks: 3, setName: name, resyncOffset: 50_000 };
  const verdict = started(assemble(candidates([0, { size: 50_000 }], [1, now])));
  const { freshest, arraySectors } = verdict.shape;
  assert.equal(words(verdict), ["in-sync 0", "in-sync 1"]);
  assert.equal([arraySectors, freshest.raidDisks, freshest.setName], [100_000, 3, name]);
  assert.equal(verdict.missingSlots, [2]);
  assert.ok(verdict.dirty);
});

test("a member that missed that raid slots moved is no split brain", () => {
  const before = { raidDisks: 3, devRoles: roles(0xffff, 1, 2) };
  const after = { events: 21, raidDisks: 2, devRoles: roles(0xffff, 0, 1) };
  for (const [first, second] of [
    [before, after],
    [after, before],
  ]) {
    const verdict = assemble(candidates([1, first ?? {}], [2, second ?? {}]));
    assert.equal(words(verdict), ["in-sync 0", "in-sync 1"]);
  }
});

test("a member that calls the freshest failed is still one", () => {
  const failed = { events: 20, devRoles: roles(0xfffe, 1) };
  const verdict = assemble(candidates([0, { events: 21 }], [1, failed]));
  assert.equal(words(verdict), ["in-sync 0", "split-brain"]);
});

test("the bitmap is gone or there as the freshest says", () => {
  const without = { events: 21, featureMap: 0, bitmapOffset: 0 };
  assert.is(started(assemble(candidates([0, {}], [1, without]))).bitmap.state, "none");
  const claimed = assemble(candidates([0, { featureMap: 0 }], [1, { events: 21 }]));
  assert.is(started(claimed).bitmap.state, "usable");
});

test("a bitmap that one member failed to write is taken from another", () => {
  const one = (devNumber: number, bitmapEvents: number) =>
    candidate(sampleSuperblock({ devNumber, events: 21 }), {
      bitmap: sampleBitmap({ events: bitmapEvents }),
    });
  const { bitmap } = started(assemble([one(0, 20), one(1, 21)]));
  assert.equal([bitmap.state, "source" in bitmap && bitmap.source], ["usable", 1]);
  assert.is(started(assemble([one(0, 20), one(1, 20)])).bitmap.state, "stale");
});

test.run();
