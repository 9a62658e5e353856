/** What a user wants of an array becomes the changes that lead there, and no others. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { CodedError } from "../../../src/common/errors.ts";
import { type ArrayPatch, changesOf } from "../../../src/control/array-change-commands.ts";
import type { ArrayStatus } from "../../../src/raid/array-status.ts";
import { arrayStatus } from "../../helpers/array-values.ts";

const { bitmap } = arrayStatus();
const CLUSTERED = arrayStatus({
  bitmap: { ...bitmap, type: "clustered", nodes: 4, clusterName: "attic" },
});
const BARE = arrayStatus({ bitmap: { ...bitmap, type: "none", chunkBytes: 0 } });

const test = suite("control/array-change-commands");

interface Row {
  readonly name: string;
  readonly status?: ArrayStatus;
  readonly patch: ArrayPatch;
  readonly changes: readonly object[];
}

const ROWS: readonly Row[] = [
  { name: "nothing", patch: {}, changes: [] },
  {
    name: "what is like that already",
    patch: { name: "md0", sizeBytes: 1_000_000, raidDevices: 2, bitmap: { type: "internal" } },
    changes: [],
  },
  {
    name: "all at once, the raid devices last",
    patch: { raidDevices: 3, sizeBytes: "max", name: "media", bitmap: { type: "none" } },
    changes: [
      { type: "name", name: "media" },
      { type: "bitmap", bitmap: "none", chunkBytes: null, nodes: 0, clusterName: "" },
      { type: "size", sizeBytes: "max" },
      { type: "raid-devices", count: 3 },
    ],
  },
  {
    name: "another bitmap chunk",
    patch: { bitmap: { chunkBytes: 4096 } },
    changes: [{ type: "bitmap", bitmap: "internal", chunkBytes: 4096, nodes: 0, clusterName: "" }],
  },
  {
    name: "a clustered bitmap, with four nodes unless told",
    status: BARE,
    patch: { bitmap: { type: "clustered" }, clusterName: "attic" },
    changes: [
      { type: "bitmap", bitmap: "clustered", chunkBytes: null, nodes: 4, clusterName: "attic" },
    ],
  },
  {
    name: "more nodes and another cluster",
    status: CLUSTERED,
    patch: { bitmap: { nodes: 8 }, clusterName: "cellar" },
    changes: [
      { type: "home-cluster", clusterName: "cellar" },
      { type: "nodes", nodes: 8 },
    ],
  },
  {
    name: "a clustered bitmap of the board's cluster",
    status: BARE,
    patch: { bitmap: { type: "clustered" } },
    changes: [
      { type: "bitmap", bitmap: "clustered", chunkBytes: null, nodes: 4, clusterName: "barn" },
    ],
  },
  {
    name: "another chunk of a clustered bitmap keeps its cluster",
    status: CLUSTERED,
    patch: { bitmap: { chunkBytes: 131_072 } },
    changes: [
      { type: "bitmap", bitmap: "clustered", chunkBytes: 131_072, nodes: 4, clusterName: "attic" },
    ],
  },
];

for (const { name, status = arrayStatus(), patch, changes } of ROWS) {
  test(`wants ${name}`, () => assert.equal(changesOf(status, patch, "barn"), changes));
}

const REFUSALS: readonly (readonly [string, ArrayStatus, ArrayPatch, string])[] = [
  ["nodes of an internal bitmap", arrayStatus(), { bitmap: { nodes: 4 } }, "RAID_BAD_CLUSTER"],
  ["a cluster without a clustered bitmap", BARE, { clusterName: "attic" }, "RAID_BAD_CLUSTER"],
  ["a chunk of no bitmap", BARE, { bitmap: { chunkBytes: 4096 } }, "RAID_BAD_BITMAP_CHUNK"],
];

for (const [name, status, patch, code] of REFUSALS) {
  test(`refuses ${name}`, () => {
    assert.throws(
      () => changesOf(status, patch, null),
      (error: unknown) => error instanceof CodedError && error.code === code && error.remedy !== "",
    );
  });
}

test.run();
