/** What candidates are told to make of an array, and what the superblocks say, as plain values. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { assemble } from "../../../src/raid/assembly.ts";
import { assemblyReport } from "../../../src/raid/assembly-report.ts";
import { refusalToRun } from "../../../src/raid/assembly-runnable.ts";
import { blank, candidates } from "../../helpers/assembly-words.ts";
import { candidate, sampleBitmap, sampleSuperblock } from "../../helpers/md-samples.ts";

const CLUSTERED = sampleBitmap({
  nodes: 4,
  version: 5,
  clusterName: new Uint8Array(64).fill(0x61, 0, 5),
});

const test = suite("raid/assembly-report");

test("describes an array of another host with its members, in order of the paths", () => {
  const report = assemblyReport(candidates([1, {}], [0, {}]));
  assert.is(report.refusal, null);
  assert.ok(report.isComplete);
  const { array } = report;
  assert.equal(
    [array?.name, array?.homehost, array?.level, array?.metadata, array?.raidDevices],
    ["0", "lab", "raid1", "1.2", 2],
  );
  assert.equal([array?.sizeBytes, array?.bitmap.type], [129024 * 512, "internal"]);
  assert.equal(
    report.members.map(({ placement, raidSlot, superblock }) => [
      placement,
      raidSlot,
      superblock?.role,
      superblock?.dataOffset,
    ]),
    [
      ["in-sync", 1, "Active device 1", 2048 * 512],
      ["in-sync", 0, "Active device 0", 2048 * 512],
    ],
  );
});

test("tells that somebody may have forgotten a member, and that a resync is due", () => {
  const alone = assemblyReport(candidates([0, {}]));
  assert.equal([alone.isComplete, alone.degraded, alone.refusal], [false, 1, null]);
  const dirty = assemblyReport(candidates([0, { resyncOffset: 0 }], [1, { resyncOffset: 0 }]));
  assert.ok(dirty.needsResync);
});

test("a clustered array is described with its cluster and refused to be run alone", () => {
  const found = [0, 1].map((devNumber) =>
    candidate(sampleSuperblock({ devNumber, featureMap: 0x101 }), { bitmap: CLUSTERED }),
  );
  const report = assemblyReport(found);
  assert.equal(report.array?.bitmap, { type: "clustered", nodes: 4, clusterName: "aaaaa" });
  assert.is(report.refusal?.code, "RAID_CLUSTERED_ARRAY");
  const verdict = assemble(found);
  assert.ok(
    verdict.verdict === "start" &&
      refusalToRun(verdict, { readOnly: true, cluster: null }) === null,
  );
});

test("levels that are not ours and devices without metadata are named with the reason", () => {
  const raid5 = assemblyReport(candidates([0, { level: 5 }], [1, { level: 5 }]));
  assert.equal([raid5.array?.level, raid5.refusal?.code], ["raid5", "RAID_UNSUPPORTED_LEVEL"]);
  assert.match(raid5.refusal?.message ?? "", "raid5");
  const empty = assemblyReport([blank("/dev/empty", null)]);
  assert.equal([empty.array, empty.refusal?.code], [null, "RAID_NO_MEMBERS"]);
  assert.equal([empty.members[0]?.placement, empty.members[0]?.superblock], ["unusable", null]);
});

test("more raid devices than can be run are refused", () => {
  const many = assemblyReport(candidates([0, { raidDisks: 40 }]));
  assert.is(many.refusal?.code, "RAID_BAD_MEMBER_COUNT");
});

test.run();
