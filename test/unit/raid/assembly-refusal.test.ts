/** Arrays that are not assembled, and which bitmap an assembled one goes on with. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { assemble } from "../../../src/raid/assembly.ts";
import type { AssemblyCandidate, AssemblyRefusalCode } from "../../../src/raid/assembly-types.ts";
import {
  blank,
  candidates,
  FAULTY,
  OTHER_UUID,
  RECOVERING,
  started,
  TEN,
  words,
} from "../../helpers/assembly-words.ts";
import { candidate, roles, sampleBitmap, sampleSuperblock } from "../../helpers/md-samples.ts";

const test = suite("raid/assembly refusals and bitmaps");

function old090(): Uint8Array {
  const bytes = new Uint8Array(4096);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, 0xa92b4efc, true);
  view.setUint32(8, 90, true);
  return bytes;
}

interface RefuseRow {
  readonly name: string;
  readonly given: readonly AssemblyCandidate[];
  readonly code: AssemblyRefusalCode;
  readonly words: readonly string[];
}

const REFUSALS: readonly RefuseRow[] = [
  { name: "nothing given", given: [], code: "RAID_NO_MEMBERS", words: [] },
  {
    name: "no superblock anywhere",
    given: [blank("/dev/a", null)],
    code: "RAID_NO_MEMBERS",
    words: ["no-superblock"],
  },
  {
    name: "spares alone",
    given: candidates([2, {}], [3, {}]),
    code: "RAID_NO_MEMBERS",
    words: ["spare", "spare"],
  },
  {
    name: "a member that calls itself faulty, alone",
    given: candidates([0, { devRoles: roles(FAULTY, 1) }]),
    code: "RAID_NO_MEMBERS",
    words: ["faulty"],
  },
  {
    name: "members of two arrays",
    given: candidates([0, {}], [1, { setUuid: OTHER_UUID }]),
    code: "RAID_MIXED_ARRAYS",
    words: ["other-array", "other-array"],
  },
  {
    name: "one member twice",
    given: candidates([0, {}], [0, {}]),
    code: "RAID_DUPLICATE_MEMBER",
    words: ["duplicate-device", "duplicate-device"],
  },
  {
    name: "one member twice beside another",
    given: candidates([0, {}], [1, {}], [1, {}]),
    code: "RAID_DUPLICATE_MEMBER",
    words: ["undecided", "duplicate-device", "duplicate-device"],
  },
  {
    name: "metadata 0.90",
    given: [blank("/dev/a", old090(), 130944 * 512)],
    code: "RAID_UNSUPPORTED_METADATA",
    words: ["metadata-0.90"],
  },
  {
    name: "raid0",
    given: candidates([0, { level: 0, chunkSize: 1024 }], [1, { level: 0, chunkSize: 1024 }]),
    code: "RAID_UNSUPPORTED_LEVEL",
    words: ["unsupported", "unsupported"],
  },
  {
    name: "raid4",
    given: candidates([0, { level: 4 }]),
    code: "RAID_UNSUPPORTED_LEVEL",
    words: ["unsupported"],
  },
  {
    name: "raid5",
    given: candidates([0, { level: 5 }]),
    code: "RAID_UNSUPPORTED_LEVEL",
    words: ["unsupported"],
  },
  {
    name: "raid6",
    given: candidates([0, { level: 6 }]),
    code: "RAID_UNSUPPORTED_LEVEL",
    words: ["unsupported"],
  },
  {
    name: "linear",
    given: candidates([0, { level: -1 }]),
    code: "RAID_UNSUPPORTED_LEVEL",
    words: ["unsupported"],
  },
  {
    name: "a reshape under way",
    given: candidates([0, { featureMap: 0x5 }]),
    code: "RAID_RESHAPE_ACTIVE",
    words: ["unsupported"],
  },
  {
    name: "a journal",
    given: candidates([0, { featureMap: 0x201 }]),
    code: "RAID_UNSUPPORTED_FEATURE",
    words: ["unsupported"],
  },
  {
    name: "no raid devices at all",
    given: candidates([0, { featureMap: 0, raidDisks: 4_000_000_000 }]),
    code: "RAID_BAD_GEOMETRY",
    words: ["unsupported"],
  },
  {
    name: "an array of no size",
    given: candidates([0, { size: 0 }]),
    code: "RAID_BAD_GEOMETRY",
    words: ["unsupported"],
  },
  {
    name: "raid10 with an impossible layout",
    given: candidates([0, { ...TEN, layout: 0x80102 }]),
    code: "RAID_BAD_GEOMETRY",
    words: ["unsupported"],
  },
  {
    name: "raid10 without a chunk",
    given: candidates([0, { ...TEN, chunkSize: 0 }]),
    code: "RAID_BAD_GEOMETRY",
    words: ["unsupported"],
  },
  {
    name: "raid10 with both copies gone",
    given: candidates([0, TEN], [1, TEN]),
    code: "RAID_NOT_ENOUGH_MEMBERS",
    words: ["in-sync 0", "in-sync 1"],
  },
  {
    name: "a member under recovery alone",
    given: candidates([1, { featureMap: RECOVERING }]),
    code: "RAID_NOT_ENOUGH_MEMBERS",
    words: ["rebuilding 1"],
  },
];

for (const row of REFUSALS) {
  test(`refuses ${row.name}`, () => {
    const verdict = assemble(row.given);
    assert.is(verdict.verdict, "refuse");
    if (verdict.verdict !== "refuse") return;
    assert.is(verdict.code, row.code);
    assert.equal(words(verdict), row.words);
    assert.ok(verdict.message !== "" && verdict.remedy !== "");
    for (const { path, text } of verdict.members) assert.ok(text.length > 5, path);
  });
}

test("too few in-sync members: those that are missing and half rebuilt are named", () => {
  const verdict = assemble(candidates([1, { featureMap: RECOVERING }]));
  assert.ok(verdict.verdict === "refuse");
  const [path] = verdict.members.map((member) => member.path);
  assert.match(verdict.message, "0 of 2 raid slots have an in-sync member, too few to start");
  assert.match(verdict.message, "; the member of raid slot 0 is not here");
  assert.match(verdict.message, `; not rebuilt to the end: ${path}`);
});

function bitmapState(...options: Parameters<typeof candidate>[1][]): string {
  const given = options.map((option, devNumber) =>
    candidate(sampleSuperblock({ devNumber }), option),
  );
  const { bitmap } = started(assemble(given));
  return bitmap.state === "absent" ? `absent: ${bitmap.reason}` : bitmap.state;
}

test("a bitmap as new as the array is usable, one ahead too", () => {
  assert.is(bitmapState({}, {}), "usable");
  assert.is(bitmapState({ bitmap: sampleBitmap({ events: 21 }) }), "usable");
});

test("a bitmap that missed an update is stale", () => {
  assert.is(bitmapState({ bitmap: sampleBitmap({ events: 19 }) }), "stale");
  assert.is(bitmapState({ bitmap: sampleBitmap({ state: 2 }) }), "stale");
});

test("slots of a clustered bitmap may lag", () => {
  const bitmap = sampleBitmap({ version: 5, nodes: 4, events: 1 });
  assert.is(bitmapState({ bitmap }), "usable");
});

test("the next member's bitmap serves when the first one's cannot be read", () => {
  assert.is(bitmapState({ bitmap: "unreadable" }, {}), "usable");
  assert.is(bitmapState({ bitmap: sampleBitmap({ uuid: OTHER_UUID }) }, {}), "usable");
  assert.is(bitmapState({ bitmap: "unreadable" }, { bitmap: "unreadable" }), "absent: unreadable");
  assert.is(bitmapState({ bitmap: sampleBitmap({ uuid: OTHER_UUID }) }), "absent: uuid");
});

test("a bitmap that would run into the data is not used", () => {
  assert.is(bitmapState({ bitmap: sampleBitmap({ chunkBytes: 512 }) }), "usable");
  const hungry = sampleBitmap({ version: 5, nodes: 64, chunkBytes: 512 });
  assert.is(bitmapState({ bitmap: hungry }), "absent: misplaced");
});

test("a bitmap over its own superblock is not used", () => {
  const sb = sampleSuperblock({ bitmapOffset: -8, superOffset: 8 });
  const { bitmap } = started(assemble([candidate(sb)]));
  assert.is(bitmap.state, "usable");
  const over = started(assemble([candidate(sampleSuperblock({ bitmapOffset: -4 }))])).bitmap;
  assert.equal(over, { state: "absent", reason: "misplaced" });
});

test("an array without the bitmap feature has none", () => {
  const given = candidates([0, { featureMap: 0 }], [1, { featureMap: 0 }]);
  assert.is(started(assemble(given)).bitmap.state, "none");
});

test.run();
