/** Assembly row by row: who takes part, in which role, and why not the others. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { assemble } from "../../../src/raid/assembly.ts";
import type {
  AssemblyCandidate,
  AssemblyRefusalCode,
  AssemblyStart,
  AssemblyVerdict,
} from "../../../src/raid/assembly-types.ts";
import { probeMember } from "../../../src/raid/probe.ts";
import { encodeSuperblock } from "../../../src/raid/superblock.ts";
import type { Superblock } from "../../../src/raid/superblock-fields.ts";
import {
  candidate,
  roles,
  SAMPLE_UUID,
  SparseMember,
  sampleBitmap,
  sampleSuperblock,
} from "../../helpers/md-samples.ts";

const test = suite("raid/assembly");

const FAULTY = 0xfffe;
const SPARE = 0xffff;
const RECOVERING = 0x3;
const OTHER_UUID = new Uint8Array(16).fill(0x42);

/** Device number and overrides: `[1, { events: 18 }]`. */
type Row = readonly [number, Partial<Superblock>];

function candidates(...rows: readonly Row[]): readonly AssemblyCandidate[] {
  return rows.map(([devNumber, rest], index) =>
    candidate(sampleSuperblock({ devNumber, ...rest }), { path: `/dev/d${index}` }),
  );
}

function started(verdict: AssemblyVerdict): AssemblyStart {
  if (verdict.verdict === "start") return verdict;
  throw new Error(`refused: ${verdict.code} ${verdict.message}`);
}

/** `in-sync 0`, `spare`, `non-fresh` …: one word per candidate. */
function words(verdict: AssemblyVerdict): readonly string[] {
  return verdict.members.map(({ placement, reason }) =>
    "raidSlot" in placement ? `${reason} ${placement.raidSlot}` : reason,
  );
}

interface StartRow {
  readonly name: string;
  readonly given: readonly AssemblyCandidate[];
  readonly words: readonly string[];
  readonly missing?: readonly number[];
  readonly degraded?: number;
  readonly dirty?: boolean;
  readonly complete?: boolean;
}

const STARTS: readonly StartRow[] = [
  {
    name: "two fresh members start whole",
    given: candidates([0, {}], [1, {}]),
    words: ["in-sync 0", "in-sync 1"],
  },
  {
    name: "members may be given in any order",
    given: candidates([1, {}], [0, {}]),
    words: ["in-sync 1", "in-sync 0"],
  },
  {
    name: "a missing member starts degraded and incomplete",
    given: candidates([0, {}]),
    words: ["in-sync 0"],
    missing: [1],
    degraded: 1,
    complete: false,
  },
  {
    name: "a member known to be gone starts degraded but complete",
    given: candidates([0, { devRoles: roles(0, FAULTY) }]),
    words: ["in-sync 0"],
    missing: [1],
    degraded: 1,
  },
  {
    name: "one update behind is still in sync",
    given: candidates([0, { events: 21 }], [1, { events: 20 }]),
    words: ["in-sync 0", "in-sync 1"],
  },
  {
    name: "two updates behind is kicked",
    given: candidates([0, { events: 22 }], [1, { events: 20 }]),
    words: ["in-sync 0", "non-fresh"],
    missing: [1],
    degraded: 1,
    complete: false,
  },
  {
    name: "one behind whom the freshest calls faulty stays faulty",
    given: candidates([0, { events: 21, devRoles: roles(0, FAULTY) }], [1, { events: 20 }]),
    words: ["in-sync 0", "faulty"],
    missing: [1],
    degraded: 1,
  },
  {
    name: "one behind whom the freshest has removed is a spare",
    given: candidates([0, { events: 21, devRoles: roles(0, SPARE) }], [1, { events: 20 }]),
    words: ["in-sync 0", "spare"],
    missing: [1],
    degraded: 1,
  },
  {
    name: "a member that calls the freshest failed is kicked, however new",
    given: candidates(
      [0, { events: 21, devRoles: roles(0, FAULTY) }],
      [1, { events: 21, devRoles: roles(FAULTY, 1) }],
    ),
    words: ["in-sync 0", "split-brain"],
    missing: [1],
    degraded: 1,
  },
  {
    name: "the half of a split with more events wins",
    given: candidates(
      [0, { events: 30, devRoles: roles(0, FAULTY) }],
      [1, { events: 31, devRoles: roles(FAULTY, 1) }],
    ),
    words: ["split-brain", "in-sync 1"],
    missing: [0],
    degraded: 1,
  },
  {
    name: "a spare is accepted with any events and is never the freshest",
    given: candidates([0, {}], [1, {}], [2, { events: 0 }]),
    words: ["in-sync 0", "in-sync 1", "spare"],
  },
  {
    name: "a spare with more events than the array changes nothing",
    given: candidates([0, {}], [1, {}], [2, { events: 99 }]),
    words: ["in-sync 0", "in-sync 1", "spare"],
  },
  {
    name: "a member under recovery has its slot and its offset",
    given: candidates([0, {}], [1, { featureMap: RECOVERING, recoveryOffset: 4096 }]),
    words: ["in-sync 0", "rebuilding 1"],
    degraded: 1,
  },
  {
    name: "the old holder of a slot under recovery is kicked as too old",
    given: candidates(
      [0, { events: 28, devRoles: roles(0, SPARE, 1) }],
      [1, { events: 18 }],
      [2, { events: 28, featureMap: RECOVERING, devRoles: roles(0, SPARE, 1) }],
    ),
    words: ["in-sync 0", "non-fresh", "rebuilding 1"],
    degraded: 1,
  },
  {
    name: "of two claims to a slot the one in sync stands",
    given: candidates(
      [0, { devRoles: roles(0, 1, 1) }],
      [1, { featureMap: RECOVERING, devRoles: roles(0, 1, 1) }],
      [2, { devRoles: roles(0, 1, 1) }],
    ),
    words: ["in-sync 0", "duplicate-slot", "in-sync 1"],
  },
  {
    name: "a replacement waits while the original is in use",
    given: candidates(
      [0, { devRoles: roles(0, 1, 1) }],
      [1, { devRoles: roles(0, 1, 1) }],
      [2, { featureMap: 0x13, devRoles: roles(0, 1, 1) }],
    ),
    words: ["in-sync 0", "in-sync 1", "replacement-idle"],
  },
  {
    name: "a finished replacement takes over from an absent original",
    given: candidates(
      [0, { devRoles: roles(0, 1, 1) }],
      [2, { featureMap: 0x11, devRoles: roles(0, 1, 1) }],
    ),
    words: ["in-sync 0", "in-sync 1"],
  },
  {
    name: "an older copy of a member is told as a copy",
    given: candidates([0, {}], [1, {}], [1, { events: 10 }]),
    words: ["in-sync 0", "in-sync 1", "duplicate-device"],
  },
  {
    name: "a spare with the number of another is kicked",
    given: candidates([0, {}], [1, {}], [2, {}], [2, { deviceUuid: OTHER_UUID }]),
    words: ["in-sync 0", "in-sync 1", "spare", "duplicate-number"],
  },
  {
    name: "a role beyond raid_disks is a spare",
    given: candidates([0, {}], [1, {}], [2, { devRoles: roles(0, 1, 2) }]),
    words: ["in-sync 0", "in-sync 1", "spare"],
  },
  {
    name: "a device number beyond dev_roles is a spare",
    given: candidates([0, {}], [1, {}], [4000, {}]),
    words: ["in-sync 0", "in-sync 1", "spare"],
  },
  {
    name: "a journal device is left out",
    given: candidates([0, {}], [1, {}], [2, { devRoles: roles(0, 1, 0xfffd) }]),
    words: ["in-sync 0", "in-sync 1", "journal"],
  },
  {
    name: "the same array with another level is left out",
    given: candidates([0, {}], [1, { level: 10, layout: 0x102, chunkSize: 1024 }]),
    words: ["in-sync 0", "other-shape"],
    missing: [1],
    degraded: 1,
    complete: false,
  },
  {
    name: "the same UUID created at another time is left out",
    given: candidates([0, {}], [1, { ctime: { seconds: 1, microseconds: 0 } }]),
    words: ["in-sync 0", "other-shape"],
    missing: [1],
    degraded: 1,
    complete: false,
  },
  {
    name: "a member with less room than the array uses is left out",
    given: candidates([0, { events: 21 }], [1, { dataSize: 129000, size: 129000 }]),
    words: ["in-sync 0", "too-small"],
    missing: [1],
    degraded: 1,
    complete: false,
  },
  {
    name: "an unclean stop makes the copies differ",
    given: candidates([0, { resyncOffset: 0 }], [1, { resyncOffset: 0 }]),
    words: ["in-sync 0", "in-sync 1"],
    dirty: true,
  },
  {
    name: "a single copy has nothing to differ from",
    given: candidates([0, { resyncOffset: 0, devRoles: roles(0, FAULTY) }]),
    words: ["in-sync 0"],
    missing: [1],
    degraded: 1,
  },
];

for (const row of STARTS) {
  test(row.name, () => {
    const verdict = started(assemble(row.given));
    assert.equal(words(verdict), row.words);
    assert.equal(verdict.missingSlots, row.missing ?? []);
    assert.is(verdict.degraded, row.degraded ?? 0, "degraded");
    assert.is(verdict.dirty, row.dirty ?? false, "dirty");
    assert.is(verdict.complete, row.complete ?? true, "complete");
  });
}

/** A raid10 member of four, n2, chunk 512 KiB. */
const TEN = {
  level: 10,
  layout: 0x102,
  chunkSize: 1024,
  raidDisks: 4,
  size: 126976,
  devRoles: roles(0, 1, 2, 3),
} as const;

function blank(path: string, bytes: Uint8Array | null, at = 4096): AssemblyCandidate {
  const member = new SparseMember(131072 * 512);
  if (bytes !== null) member.write(at, bytes);
  return { path, probe: probeMember(member.read, member.sizeBytes), bitmap: null };
}

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
  });
}

test("starts raid10 with one copy of everything", () => {
  const verdict = started(assemble(candidates([0, TEN], [3, TEN])));
  assert.equal(verdict.missingSlots, [1, 2]);
  assert.is(verdict.shape.arraySectors, 253952);
  assert.is(verdict.shape.raid10?.nearCopies, 2);
});

test("a wanted UUID leaves members of other arrays out instead of refusing", () => {
  const given = candidates([0, {}], [1, {}], [0, { setUuid: OTHER_UUID }]);
  const verdict = started(assemble(given, { setUuid: SAMPLE_UUID }));
  assert.equal(words(verdict), ["in-sync 0", "in-sync 1", "other-array"]);
});

test("a damaged or absent superblock does not keep the others from starting", () => {
  const damaged = encodeSuperblock(sampleSuperblock({ devNumber: 1 }));
  damaged[50] = 0xff;
  const given = [...candidates([0, {}]), blank("/dev/b", damaged), blank("/dev/c", null)];
  const verdict = started(assemble(given));
  assert.equal(words(verdict), ["in-sync 0", "damaged", "no-superblock"]);
  assert.match(verdict.members[1]?.text ?? "", /checksum/);
});

test("a member smaller than its superblock says is too small", () => {
  const short = candidate(sampleSuperblock({ devNumber: 1 }), { deviceSectors: 100_000 });
  const verdict = started(assemble([...candidates([0, {}]), short]));
  assert.equal(words(verdict), ["in-sync 0", "too-small"]);
});

test("metadata 1.0 whose data would run over its superblock is left out", () => {
  const at10 = { superOffset: 131056, dataOffset: 0, bitmapOffset: -16, featureMap: 0 };
  const whole = sampleSuperblock({ ...at10, dataSize: 131040, size: 130944 });
  const moved = { ...whole, devNumber: 1, dataOffset: 200, deviceUuid: OTHER_UUID };
  const verdict = started(assemble([candidate(whole), candidate(moved)]));
  assert.equal(words(verdict), ["in-sync 0", "data-overlap"]);
});

test("the freshest member decides size and template", () => {
  const given = candidates([0, { events: 20 }], [1, { events: 21, resyncOffset: 0 }]);
  const verdict = started(assemble(given));
  assert.is(verdict.shape.freshestIndex, 1);
  assert.is(verdict.shape.freshest.events, 21);
  assert.is(verdict.dirty, true);
});

test("of equals the first that needs no recovery is the freshest", () => {
  const given = candidates([1, { featureMap: RECOVERING }], [0, {}]);
  assert.is(started(assemble(given)).shape.freshestIndex, 1);
});

test("a re-added member is rebuilt by bitmap", () => {
  const given = candidates([0, {}], [1, { featureMap: 0x83, recoveryOffset: 8 }]);
  const placement = started(assemble(given)).members[1]?.placement;
  assert.equal(placement, { type: "rebuilding", raidSlot: 1, recoveryOffset: 8, guided: true });
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

test("every reason comes with a sentence", () => {
  for (const { given } of [...STARTS, ...REFUSALS]) {
    for (const { path, text } of assemble(given).members) assert.ok(text.length > 5, path);
  }
});

test.run();
