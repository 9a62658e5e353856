/** An order in words becomes what planCreate takes, or is refused with its reason. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type CreateWords, createOptionsOf } from "../../../src/raid/create-options.ts";
import { superblockName } from "../../../src/raid/superblock.ts";
import { SAMPLE_UUID, sampleSuperblock } from "../../helpers/md-samples.ts";

const IDENTITY = { homehost: "opi-a", setUuid: SAMPLE_UUID, createdAt: 1_800_000_000 };

const words = (over: Partial<CreateWords> = {}): CreateWords => ({
  name: "md0",
  level: "raid1",
  layout: null,
  chunkBytes: null,
  raidDevices: 2,
  bitmap: "internal",
  bitmapChunkBytes: null,
  nodes: 4,
  clusterName: "attic",
  metadata: "1.2",
  assumeClean: false,
  sizeBytes: null,
  ...over,
});

const test = suite("raid/create-options");

test("raid10 without more words is near=2 with chunks of 512 KiB", () => {
  const made = createOptionsOf(words({ level: "raid10", raidDevices: 4 }), 5, IDENTITY);
  assert.ok(made.ok);
  if (!made.ok) return;
  const { level, layout, chunkSectors, spareDevices, minor } = made.value;
  assert.equal([level, layout, chunkSectors, spareDevices, minor], [10, 0x102, 1024, 1, 2]);
});

test("the name carries the host, a cluster only its slots and name", () => {
  const made = createOptionsOf(words(), 2, IDENTITY);
  assert.ok(made.ok);
  if (!made.ok) return;
  const named = { ...sampleSuperblock(), setName: made.value.setName };
  assert.is(superblockName(named), "opi-a:md0");
  assert.equal([made.value.nodes, made.value.clusterName], [0, ""]);
  const clustered = createOptionsOf(words({ bitmap: "clustered" }), 2, IDENTITY);
  assert.ok(clustered.ok && clustered.value.nodes === 4 && clustered.value.clusterName === "attic");
});

const REFUSALS: readonly (readonly [string, Partial<CreateWords>, string, RegExp])[] = [
  ["a raid1 with a layout", { layout: "n2" }, "RAID_BAD_LAYOUT", /neither a layout nor a chunk/],
  ["a raid1 with a chunk", { chunkBytes: 65536 }, "RAID_BAD_LAYOUT", /neither a layout/],
  ["an unknown layout", { level: "raid10", layout: "x2" }, "RAID_BAD_LAYOUT", /x2 is not a layout/],
  ["half a sector", { level: "raid10", chunkBytes: 4100 }, "RAID_BAD_LAYOUT", /4100 bytes/],
  ["an odd bitmap chunk", { bitmapChunkBytes: 5000 }, "RAID_BAD_BITMAP_CHUNK", /no power of two/],
  ["a name too long", { name: "a".repeat(32) }, "RAID_BAD_NAME", /cannot be an array's name/],
];

for (const [name, over, code, message] of REFUSALS) {
  test(`refuses ${name}`, () => {
    const made = createOptionsOf(words(over), 2, IDENTITY);
    assert.not.ok(made.ok);
    if (made.ok) return;
    assert.is(made.refusal.code, code);
    assert.match(made.refusal.message, message);
    assert.ok(made.refusal.remedy.length > 0);
  });
}

test.run();
