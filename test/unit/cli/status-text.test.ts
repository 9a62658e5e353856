/** What `status` and `detail` print. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { ArrayResource, SyncResource } from "../../../src/api/schemas/array.ts";
import type { MemberResource } from "../../../src/api/schemas/member.ts";
import { barText, detailLines, durationText, statusLines } from "../../../src/cli/status-text.ts";
import { sizeText } from "../../../src/common/size-text.ts";

const member = (over: Partial<MemberResource>): MemberResource => ({
  slot: 0,
  device_id: "disk1",
  path: "/d/disk1.img",
  device_uuid: "u",
  device_number: 0,
  node: "opi-a",
  states: ["in_sync"],
  recovery_offset: null,
  errors_corrected: 0,
  read_errors: 0,
  bad_blocks: 0,
  stalled_since: null,
  fault_reason: null,
  links: {},
  ...over,
});

const sync: SyncResource = {
  action: "recover",
  sub_state: "running",
  reason: "device-added",
  scope: "full",
  node: "opi-a",
  started_at: "2026-11-22T14:00:00.000Z",
  completed: 471_040 * 1024,
  total: 2_095_104 * 1024,
  percent: 22.4,
  copied: 0,
  skipped_by_bitmap: 0,
  speed: 29_465_600,
  eta: { low: 50, high: 80 },
  job_id: "j_1",
};

const array = (status: Partial<ArrayResource["status"]>): ArrayResource => ({
  id: "1d70f103-4974-0ef1-af2a-fce5fcf6a489",
  name: "md0",
  config: {
    level: "raid1",
    raid_devices: 2,
    layout: null,
    chunk_size: null,
    size: 2_095_104 * 1024,
    member_size: 2_095_104 * 1024,
    logical_block_size: 512,
    metadata: "1.2",
    bitmap: { type: "internal", chunk_size: 64 * 2 ** 20, delay: 5, nodes: 0 },
    home_cluster: null,
    desired_state: "started",
    sync_speed_min: 1,
    sync_speed_max: 2,
  },
  status: {
    array_state: "active",
    health: "recovering",
    health_reasons: [],
    degraded: 1,
    in_sync_copies: 1,
    survives: { devices: 0 },
    events: 7,
    mismatch_count: 0,
    mismatch_ranges: 0,
    consistency_policy: "bitmap",
    members: [
      member({}),
      member({ slot: 1, device_id: "disk2", device_number: 1, states: ["spare", "rebuilding"] }),
      member({ slot: null, device_id: "disk3", device_number: 2, states: ["faulty"] }),
      member({ slot: null, device_id: "disk4", device_number: 3, states: ["spare"] }),
    ],
    sync,
    bitmap: { dirty: 3, total: 32 },
    cluster: null,
    exports: ["md0"],
    ...status,
  },
  links: {},
  created_at: "2026-11-22T14:00:00.000Z",
  updated_at: "2026-11-22T14:00:00.000Z",
});

const test = suite("cli/status-text");

test("shows a recovery as mdstat does, with its bar, and members with their flags", () => {
  assert.equal(statusLines(array({})), [
    "md0 : active raid1 disk1[0] disk2[1] disk3[2](F) disk4[3](S)",
    "      2095104 blocks super 1.2 [2/1] [U_]",
    "      health: recovering",
    "      [====>................]  recovery = 22.4% (471040/2095104) finish=50 s - 1.3 min speed=28.1 MiB/s",
    "      bitmap: 3/32 chunks dirty, 64 MiB chunk",
  ]);
});

test("shows an array that does not run with the reasons", () => {
  const reason = {
    code: "not-started" as const,
    message: "no member is there",
    slot: null,
    device_id: null,
    since: null,
  };
  const lines = statusLines(
    array({ array_state: "inactive", health: "inactive", health_reasons: [reason], sync: null }),
  );
  assert.equal(lines.slice(1), ["      health: inactive", "      no member is there"]);
});

test("lists members and counts in detail, empty raid slots too", () => {
  const empty = member({ slot: 1, path: null, device_id: null, states: ["missing"] });
  const lines = detailLines(array({ sync: null, members: [member({}), empty] }));
  assert.ok(lines.includes("          Raid Level : raid1"));
  assert.ok(lines.includes("      Failed Devices : 0"));
  assert.equal(lines.slice(-2), [
    "       0            0   in_sync                  /d/disk1.img",
    "       0            1   missing",
  ]);
});

test("writes sizes, durations and bars for people", () => {
  assert.equal([0, 1023, 1024, 1536, 2 ** 40, 2 ** 30 * 931.5].map(sizeText), [
    "0 B",
    "1023 B",
    "1 KiB",
    "1.5 KiB",
    "1 TiB",
    "931.5 GiB",
  ]);
  assert.equal([0, 0.2, 59, 60, 3599, 3600, 9100].map(durationText), [
    "0 s",
    "1 s",
    "59 s",
    "1.0 min",
    "60.0 min",
    "1 h 0 min",
    "2 h 31 min",
  ]);
  assert.equal([0, 50, 100].map(barText), [
    "[>....................]",
    "[==========>..........]",
    "[====================>]",
  ]);
});

test("arrays of the same name are told apart by their uuid", () => {
  const [first, second] = statusLines(array({}), true);
  assert.match(first ?? "", /^md0 : /);
  assert.is(second, "      UUID 1d70f103-4974-0ef1-af2a-fce5fcf6a489");
  assert.not.match(statusLines(array({})).join(" "), "UUID");
});

test("a sync action that copies nothing says what holds it", () => {
  const line = (sub_state: SyncResource["sub_state"]): string | undefined =>
    statusLines(array({ sync: { ...sync, sub_state } })).find((one) => one.includes("speed="));
  assert.match(line("running") ?? "", /speed=28\.1 MiB\/s$/);
  assert.match(line("yielding") ?? "", /speed=28\.1 MiB\/s \(yields to clients\)$/);
  assert.match(line("limited") ?? "", /speed=28\.1 MiB\/s \(speed limit\)$/);
  assert.match(line("awaiting-nodes") ?? "", /MiB\/s \(waits for other nodes\)$/);
  assert.match(line("paused") ?? "", /speed=28\.1 MiB\/s \(paused\)$/);
});

test.run();
