import { suite } from "uvu";
import * as assert from "uvu/assert";
import {
  formatRaid10Layout,
  parseRaid10Layout,
  type Raid10Geometry,
  raid10ArraySectors,
  raid10Copies,
  raid10Enough,
  raid10Geometry,
  raid10UsedSectors,
} from "../../../src/raid/raid10-layout.ts";

const test = suite("raid/raid10-layout");

const CHUNK = 8;

function geometry(layout: string | number, raidDisks: number): Raid10Geometry {
  const word = typeof layout === "number" ? layout : (parseRaid10Layout(layout) ?? 0);
  const found = raid10Geometry(word, raidDisks, CHUNK);
  if (found === null) throw new Error(`${layout} does not suit ${raidDisks}`);
  return found;
}

/** Layouts and members whose mapping was compared with the kernel's, far sets included. */
const TESTED: readonly (readonly [string | number, number])[] = [
  ["n2", 2],
  ["n2", 3],
  ["n2", 4],
  ["n3", 5],
  ["f2", 3],
  ["f2", 4],
  ["f3", 5],
  ["o2", 3],
  ["o2", 4],
  ["o3", 5],
  [0x40201, 4],
  [0x40201, 5],
  [0x40201, 7],
  [0x50201, 5],
  [0x40301, 6],
  [0x20201, 4],
];

test("words are read and written as mdadm does", () => {
  const words = [
    ["n2", 0x102, "near=2"],
    ["n3", 0x103, "near=3"],
    ["f2", 0x201, "far=2"],
    ["o2", 0x10201, "offset=2"],
    ["o3", 0x10301, "offset=3"],
  ] as const;
  for (const [text, word, shown] of words) {
    assert.is(parseRaid10Layout(text), word);
    assert.is(formatRaid10Layout(word), shown);
  }
  assert.is(formatRaid10Layout(0x202), "near=2, far=2");
  assert.is(formatRaid10Layout(0x101), "NO REDUNDANCY");
});

test("text that is no layout is refused", () => {
  for (const text of ["", "n", "n0", "n256", "x2", "2", "n2 ", "n-1", "left-symmetric"]) {
    assert.is(parseRaid10Layout(text), null, text);
  }
});

test("impossible geometries are refused", () => {
  const impossible = [
    [0x101, 4, 1024],
    [0x103, 2, 1024],
    [0x200, 4, 1024],
    [0x002, 4, 1024],
    [0x80102, 4, 1024],
    [0x60201, 4, 1024],
    [0x102, 4, 0],
    [0x102, 4, 4],
    [0x102, 4, 1000],
  ] as const;
  for (const [layout, raidDisks, chunk] of impossible) {
    assert.is(raid10Geometry(layout, raidDisks, chunk), null, layout.toString(16));
  }
});

test("array sizes are whole chunks, less what an odd row cannot hold", () => {
  assert.is(raid10ArraySectors(geometry("n2", 2), 80), 80);
  assert.is(raid10ArraySectors(geometry("n2", 3), 72), 104);
  assert.is(raid10UsedSectors(geometry("n2", 3), 72), 72);
  assert.is(raid10ArraySectors(geometry("f2", 4), 88), 160);
  assert.is(raid10UsedSectors(geometry("f2", 4), 88), 80);
  assert.is(raid10ArraySectors(geometry("o3", 5), 240), 400);
});

for (const [layout, raidDisks] of TESTED) {
  const name = `${typeof layout === "number" ? layout.toString(16) : layout} on ${raidDisks}`;
  test(`${name}: no two copies share a place, and all stay within the component`, () => {
    const geo = geometry(layout, raidDisks);
    const size = 30 * CHUNK;
    const taken = new Set<string>();
    const used = raid10UsedSectors(geo, size);
    for (let sector = 0; sector < raid10ArraySectors(geo, size); sector += CHUNK) {
      const copies = raid10Copies(geo, size, sector + 3);
      assert.is(copies.length, geo.nearCopies * geo.farCopies);
      assert.is(new Set(copies.map(({ raidSlot }) => raidSlot)).size, copies.length);
      for (const { raidSlot, sector: place } of copies) {
        assert.ok(raidSlot >= 0 && raidSlot < raidDisks, `raid slot ${raidSlot}`);
        assert.ok(place % CHUNK === 3 && place < used, `sector ${place} of ${used}`);
        const key = `${raidSlot}:${place}`;
        assert.not(taken.has(key), key);
        taken.add(key);
      }
    }
  });
}

test("near copies are neighbours, far copies a stride below, offset copies a row below", () => {
  const places = (layout: string, sector: number): unknown =>
    raid10Copies(geometry(layout, 4), 80, sector).map((copy) => [copy.raidSlot, copy.sector]);
  assert.equal(places("n2", 8), [
    [2, 0],
    [3, 0],
  ]);
  assert.equal(places("f2", 8), [
    [1, 0],
    [2, 40],
  ]);
  assert.equal(places("o2", 8), [
    [1, 0],
    [2, 8],
  ]);
});

test("an array survives exactly when every chunk keeps a copy", () => {
  for (const [layout, raidDisks] of TESTED) {
    const geo = geometry(layout, raidDisks);
    if (geo.farSetSize !== raidDisks) continue;
    const size = 30 * CHUNK;
    for (let present = 0; present < 2 ** raidDisks; present += 1) {
      const isThere = (raidSlot: number): boolean => (present & (1 << raidSlot)) !== 0;
      let survives = true;
      for (let sector = 0; sector < raid10ArraySectors(geo, size); sector += CHUNK) {
        survives &&= raid10Copies(geo, size, sector).some(({ raidSlot }) => isThere(raidSlot));
      }
      assert.is(raid10Enough(geo, isThere), survives, `${layout} on ${raidDisks}: ${present}`);
    }
  }
});

test.run();
