/** Members that fail in the middle of a change, members that are behind or absent. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { CodedError } from "../../../src/common/errors.ts";
import { FaultDevice, FaultSwitch } from "../../../src/hal/layers/fault-device.ts";
import type { SimMedium } from "../../../src/hal/sim/crash-device.ts";
import type { ArrayChange } from "../../../src/raid/array-change.ts";
import { changeArray } from "../../../src/raid/change-array-driver.ts";
import type { CandidateRules } from "../../../src/raid/change-candidates.ts";
import { words } from "../../helpers/assembly-words.ts";
import {
  assembleMedia,
  type BenchShape,
  makeMedia,
  NEW_UUID,
  NOW,
  openMedium,
  superblockOn,
} from "../../helpers/change-bench.ts";

const SMALL = { size: 2048 };
const STRICT: CandidateRules = { allowStale: false, allowMissing: false };
const CHANGES: readonly ArrayChange[] = [
  { type: "name", name: "attic" },
  { type: "size", sizeBytes: "max" },
  { type: "bitmap", bitmap: "none", chunkBytes: null, nodes: 4, clusterName: "" },
  { type: "bitmap", bitmap: "internal", chunkBytes: 4096, nodes: 4, clusterName: "" },
  { type: "uuid", setUuid: NEW_UUID },
];
const TEN: BenchShape = {
  options: { size: 2048, level: 10, layout: 0x102, chunkSectors: 128 },
  sizes: [4096, 4096, null, 4096],
};

const wait = (): Promise<void> => Promise.resolve();

/** The media open, one of them failing writes or flushes after so many. */
function openWithFault(
  media: readonly SimMedium[],
  failing: number,
  kind: "write-error" | "flush-error",
  after: number,
) {
  const faults = new FaultSwitch();
  faults.arm({ kind, after, count: null, range: null, stallMs: 0 });
  return media.map((medium, index) => {
    const { path, device } = openMedium(medium, index);
    return { path, device: index === failing ? new FaultDevice(device, faults, wait) : device };
  });
}

async function codeOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
    return "no error";
  } catch (error) {
    return error instanceof CodedError ? error.code : String(error);
  }
}

const plain = (media: readonly SimMedium[]) =>
  media.map((medium, index) => openMedium(medium, index));

const test = suite("raid/change driver");

test("a member that fails at any call is left behind, too old to come back by itself", async () => {
  for (const change of CHANGES) {
    for (const kind of ["write-error", "flush-error"] as const) {
      for (let after = 0; after < 3; after++) {
        const media = makeMedia({ options: SMALL, sizes: [3072, 3072, 3072] });
        const open = openWithFault(media, 1, kind, after);
        const { failed, isChanged } = await changeArray(open, change, NOW);
        assert.ok(isChanged);
        if (failed.length === 0) continue;
        assert.equal(
          failed.map(({ id, path }) => [id, path]),
          [[1, "/d1"]],
        );
        const kept = media.filter((_, index) => index !== 1);
        assert.equal(words(await assembleMedia(kept)), ["in-sync 0", "in-sync 2"]);
        if (change.type === "uuid") continue;
        const all = words(await assembleMedia(media));
        assert.equal(all, ["in-sync 0", "non-fresh", "in-sync 2"]);
      }
    }
  }
});

test("members that the array cannot do without stop the change; it can be asked for again", async () => {
  for (const change of CHANGES) {
    const media = makeMedia(TEN);
    for (let after = 0; after < 3; after++) {
      const open = openWithFault(media, 2, "write-error", after);
      const code = await codeOf(changeArray(open, change, NOW));
      assert.ok(code === "RAID_CHANGE_INCOMPLETE" || code === "no error", code);
      if (code !== "no error" && change.type !== "uuid") {
        const before = words(await assembleMedia(media));
        assert.equal(before, ["in-sync 0", "in-sync 1", "in-sync 3"]);
      }
    }
    await changeArray(plain(media), change, NOW);
    assert.equal(words(await assembleMedia(media)), ["in-sync 0", "in-sync 1", "in-sync 3"]);
  }
});

test("the last member in sync is never left behind", async () => {
  const media = makeMedia({ options: SMALL, sizes: [3072, null] });
  const open = openWithFault(media, 0, "write-error", 0);
  const change: ArrayChange = { type: "name", name: "attic" };
  assert.is(await codeOf(changeArray(open, change, NOW)), "RAID_CHANGE_INCOMPLETE");
});

test("a member that is not given is refused, or left behind by a change that goes on", async () => {
  const change: ArrayChange = { type: "name", name: "attic" };
  const media = makeMedia({ options: SMALL });
  const given = media.slice(0, 1);
  assert.is(await codeOf(changeArray(plain(given), change, NOW, STRICT)), "RAID_MEMBER_MISSING");
  assert.is(superblockOn(media[0] as SimMedium).events, 20);
  await changeArray(plain(given), change, NOW, { ...STRICT, allowMissing: true });
  assert.is(superblockOn(media[0] as SimMedium).events, 22);
  assert.equal(words(await assembleMedia(media)), ["in-sync 0", "non-fresh"]);
  assert.is(await codeOf(changeArray(plain(media), change, NOW, STRICT)), "RAID_STALE_MEMBER");
});

test("an absent member one update ahead of the others is a spare afterwards", async () => {
  const media = makeMedia({
    options: SMALL,
    sizes: [3072, 3072, 3072],
    alter: (_, index) => (index === 2 ? { events: 21 } : {}),
  });
  await changeArray(plain(media.slice(0, 2)), { type: "name", name: "attic" }, NOW);
  assert.equal(words(await assembleMedia(media)), ["in-sync 0", "in-sync 1", "spare"]);
});

test("members of two arrays are refused, unless a change of the UUID was cut short", async () => {
  const mixed = (second: Partial<{ ctime: { seconds: number; microseconds: number } }>) =>
    makeMedia({
      options: { ...SMALL, bitmap: "none" },
      alter: (_, index) => (index === 0 ? { setUuid: NEW_UUID, events: 21 } : second),
    });
  const change: ArrayChange = { type: "uuid", setUuid: NEW_UUID };
  const half = mixed({});
  const name: ArrayChange = { type: "name", name: "attic" };
  assert.is(await codeOf(changeArray(plain(half), name, NOW)), "RAID_MIXED_ARRAYS");
  await changeArray(plain(half), change, NOW, STRICT);
  assert.equal(words(await assembleMedia(half)), ["in-sync 0", "in-sync 1"]);
  const other = mixed({ ctime: { seconds: 5, microseconds: 0 } });
  assert.is(await codeOf(changeArray(plain(other), change, NOW, STRICT)), "RAID_STALE_MEMBER");
});

test.run();
