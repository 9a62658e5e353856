/** Assembly row by row: who takes part, in which role, and why not the others. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { assemble } from "../../../src/raid/assembly.ts";
import type { AssemblyCandidate } from "../../../src/raid/assembly-types.ts";
import { encodeSuperblock } from "../../../src/raid/superblock.ts";
import {
  blank,
  candidates,
  FAULTY,
  OTHER_UUID,
  RECOVERING,
  SPARE,
  started,
  TEN,
  words,
} from "../../helpers/assembly-words.ts";
import { candidate, roles, SAMPLE_UUID, sampleSuperblock } from "../../helpers/md-samples.ts";

const test = suite("raid/assembly");

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
    name: "a replacement goes on being written beside the member it replaces",
    given: candidates(
      [0, { devRoles: roles(0, 1, 1) }],
      [1, { devRoles: roles(0, 1, 1) }],
      [2, { featureMap: 0x13, devRoles: roles(0, 1, 1) }],
    ),
    words: ["in-sync 0", "in-sync 1", "rebuilding 1"],
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
  assert.equal(placement, {
    type: "rebuilding",
    raidSlot: 1,
    recoveryOffset: 8,
    guided: true,
    isReplacement: false,
  });
});

test("every reason comes with a sentence", () => {
  for (const { given } of STARTS) {
    for (const { path, text } of assemble(given).members) assert.ok(text.length > 5, path);
  }
});

test.run();
