import { suite } from "uvu";
import * as assert from "uvu/assert";
import { ArrayMap } from "../../../src/raid/array-map.ts";

const test = suite("array map");
const SECTOR = 512;

/** Every layout word of at most 4 copies that md accepts on this many raid slots. */
const layouts = (slots: number): { layout: number; name: string }[] => {
  const words: { layout: number; name: string }[] = [];
  for (let near = 1; near <= 4; near++) {
    for (let far = 1; far <= 4; far++) {
      const copies = near * far;
      if (copies < 2 || copies > Math.min(slots, 4)) continue;
      words.push({ layout: (far << 8) | near, name: `n${near}f${far}` });
      if (near === 1) words.push({ layout: 0x1_0000 | (far << 8) | near, name: `o${far}` });
    }
  }
  return words;
};

/** Far copies within sets (bit 18), as dm-raid makes them: one near copy only. */
const farSets = (slots: number): { layout: number; name: string }[] =>
  layouts(slots).flatMap(({ layout, name }) =>
    ((layout >> 8) & 0xff) === 1 || (layout & 0xff) !== 1
      ? []
      : [{ layout: layout | 0x4_0000, name: `${name} sets` }],
  );

test("what a member holds is the inverse of where the array's bytes lie, for every layout", () => {
  let geometries = 0;
  for (let slots = 2; slots <= 9; slots++) {
    for (const { layout, name } of [...layouts(slots), ...farSets(slots)]) {
      const chunkSectors = 8;
      for (const chunks of [12, 13, 17]) {
        const map = new ArrayMap({
          raidSlots: slots,
          componentSectors: chunks * chunkSectors + 5,
          raid10: { layout, chunkSectors },
        });
        geometries++;
        const holds = new Map<string, number>();
        for (let at = 0; at < map.sizeBytes; at += chunkSectors * SECTOR) {
          for (const extent of map.extents(at, chunkSectors * SECTOR)) {
            const copies = (layout & 0xff) * ((layout >> 8) & 0xff);
            assert.is(new Set(extent.places.map(({ slot }) => slot)).size, copies, name);
            for (const { slot, position } of extent.places) {
              const key = `${slot}:${position}`;
              assert.not(holds.has(key), `${name} on ${slots}: two contents at ${key}`);
              assert.ok(position + extent.length <= map.memberBytes, `${name} runs over`);
              holds.set(key, extent.offset);
            }
          }
        }
        for (let slot = 0; slot < slots; slot++) {
          for (const run of map.memberRuns(slot, 0, map.memberBytes)) {
            for (let at = 0; at < run.length; at += chunkSectors * SECTOR) {
              const key = `${slot}:${run.position + at}`;
              assert.is(holds.get(key), run.offset + at, `${name} on ${slots}: ${key}`);
              holds.delete(key);
            }
          }
        }
        assert.is(holds.size, 0, `${name} on ${slots}, ${chunks} chunks: members hold all`);
      }
    }
  }
  assert.ok(geometries > 150, `${geometries} geometries`);
});

/**
 * raid10 as its manual page tells it, filled in by hand: near copies lie side by side; far copies
 * are the whole array once more in the next section, turned by one device; offset copies are each
 * stripe once more right below itself, turned by one device.
 */
const byHand = (
  kind: "n" | "f" | "o",
  copies: number,
  slots: number,
  memberChunks: number,
): Map<number, { slot: number; row: number }[]> => {
  const places = new Map<number, { slot: number; row: number }[]>();
  const put = (chunk: number, slot: number, row: number): void => {
    places.set(chunk, [...(places.get(chunk) ?? []), { slot, row }]);
  };
  const rows = kind === "n" ? memberChunks : Math.floor(memberChunks / copies);
  for (let row = 0; row < rows; row++) {
    for (let slot = 0; slot < slots; slot++) {
      const at = row * slots + slot;
      if (kind === "n") {
        put(Math.floor(at / copies), slot, row);
        continue;
      }
      for (let copy = 0; copy < copies; copy++)
        put(at, (slot + copy) % slots, kind === "f" ? copy * rows + row : row * copies + copy);
    }
  }
  return places;
};

test("every layout of up to 9 members and 4 copies lies as the manual page tells", () => {
  let checked = 0;
  for (let slots = 2; slots <= 9; slots++) {
    for (let copies = 2; copies <= Math.min(4, slots); copies++) {
      for (const kind of ["n", "f", "o"] as const) {
        const layout =
          kind === "n" ? 0x100 | copies : (kind === "o" ? 0x1_0000 : 0) | (copies << 8) | 1;
        for (const memberChunks of [12, 24, 36]) {
          const componentSectors = memberChunks * 8;
          const map = new ArrayMap({
            raidSlots: slots,
            componentSectors,
            raid10: { layout, chunkSectors: 8 },
          });
          const expected = byHand(kind, copies, slots, memberChunks);
          for (let offset = 0; offset < map.sizeBytes; offset += 8 * SECTOR) {
            const [extent] = map.extents(offset, 8 * SECTOR);
            const found = extent?.places.map(({ slot, position }) => ({
              slot,
              row: position / (8 * SECTOR),
            }));
            const name = `${kind}${copies} on ${slots}, chunk ${offset / (8 * SECTOR)}`;
            assert.equal(found, expected.get(offset / (8 * SECTOR)), name);
            checked++;
          }
        }
      }
    }
  }
  assert.ok(checked > 5000, `${checked} chunks`);
});

test("copies left are what the places of every chunk say", () => {
  for (let slots = 2; slots <= 6; slots++) {
    for (const { layout, name } of layouts(slots)) {
      const shape = { raidSlots: slots, componentSectors: 12 * 8 };
      const map = new ArrayMap({ ...shape, raid10: { layout, chunkSectors: 8 } });
      for (let present = 0; present < 1 << slots; present++) {
        const has = (slot: number): boolean => (present & (1 << slot)) !== 0;
        let fewest = Infinity;
        for (const { places } of map.isMirror ? map.extents(0, 1) : map.extents(0, map.sizeBytes)) {
          fewest = Math.min(fewest, places.filter(({ slot }) => has(slot)).length);
        }
        assert.is(map.copiesLeft(has), fewest, `${name} on ${slots}, present ${present}`);
      }
    }
  }
});

test("a mirror is one extent at its own offset on every raid slot", () => {
  const map = new ArrayMap({ raidSlots: 3, componentSectors: 100, raid10: null });
  assert.equal(map.extents(1000, 5000), [
    {
      offset: 1000,
      length: 5000,
      places: [0, 1, 2].map((slot) => ({ slot, position: 1000 })),
    },
  ]);
  assert.equal(map.memberRuns(2, 51_000, 9000), [
    { position: 51_000, length: 200, offset: 51_000 },
  ]);
  assert.is(
    map.copiesLeft((slot) => slot !== 1),
    2,
  );
});

test("extents of a request end at chunk borders and keep sub-sector positions", () => {
  const map = new ArrayMap({
    raidSlots: 4,
    componentSectors: 64,
    raid10: { layout: 0x102, chunkSectors: 8 },
  });
  const [first, second] = map.extents(4000, 200);
  assert.equal([first?.offset, first?.length], [4000, 96]);
  assert.equal(second?.places, [
    { slot: 2, position: 0 },
    { slot: 3, position: 0 },
  ]);
  assert.is(map.extents(4000, 200).length, 2);
});

test.run();
