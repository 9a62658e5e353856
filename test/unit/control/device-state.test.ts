/** The word for a device and its reason, row by row, and when an open member counts as lost. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Membership } from "../../../src/control/array-service.ts";
import { type DeviceFacts, deviceState, lossReason } from "../../../src/control/device-state.ts";
import type { DeviceProbe, RunningArray } from "../../../src/control/engine.ts";
import type { DeviceFile } from "../../../src/hal/device-files.ts";
import type { MemberStateWord } from "../../../src/raid/array-status.ts";
import { fakeMember } from "../../helpers/fake-status.ts";

const file: DeviceFile = { kind: "file", identity: "file 1 2", sizeBytes: 100, changedAt: 5 };

const probe = (over: Partial<DeviceProbe> = {}): DeviceProbe => ({
  path: "/d",
  sizeBytes: 100,
  logicalBlockSize: 512,
  readOnly: false,
  md: null,
  signatures: [],
  problem: null,
  ...over,
});

const md = {
  arrayUuid: "u",
  deviceUuid: "d",
  name: "md0",
  level: "raid1",
  raidDevices: 2,
  events: 3,
  metadata: "1.2",
  role: "slot 0",
};

const member = (...states: MemberStateWord[]): Membership => ({
  uuid: "u",
  name: "md0",
  running: {} as RunningArray,
  member: fakeMember("/d", 0, states),
});
const stopped: Membership = { uuid: "u", name: "md0", running: null, member: null };
const problem = { code: "HAL_READ_ONLY", message: "read-only" };

const ROWS: readonly (readonly [Partial<DeviceFacts>, string])[] = [
  [{}, "free"],
  [{ file: null, probe: null }, "missing path-gone"],
  [{ probe: null }, "unusable not-read"],
  [{ probe: probe({ problem }) }, "unusable HAL_READ_ONLY"],
  [{ probe: probe({ md }) }, "foreign md-superblock"],
  [{ probe: probe({ md }), isStale: true }, "foreign stale-member"],
  [{ probe: probe({ signatures: ["ext4", "gpt"] }) }, "foreign signature signature"],
  [{ membership: member("in_sync") }, "in-use member"],
  [{ membership: member("spare", "rebuilding") }, "in-use member"],
  [{ membership: member("spare") }, "spare spare"],
  [{ membership: member("faulty") }, "failed member-failed"],
  [{ membership: member("faulty"), file: null }, "failed member-failed"],
  [{ membership: member("in_sync"), file: null }, "missing path-gone"],
  [{ membership: stopped, probe: probe({ md }) }, "in-use member"],
  [{ membership: stopped, probe: probe() }, "free"],
  [{ membership: stopped, file: null, probe: null }, "missing path-gone"],
  [{ membership: stopped, probe: probe({ md, problem }) }, "unusable HAL_READ_ONLY"],
  [{ membership: stopped, probe: probe({ md }), lostContent: "cut" }, "in-use member content-lost"],
  [{ membership: member("faulty"), lostContent: "cut" }, "failed member-failed"],
];

const FREE: DeviceFacts = {
  path: "/d",
  file,
  probe: probe(),
  membership: null,
  isStale: false,
  lostContent: null,
};

const test = suite("control/device-state");

for (const [facts, expected] of ROWS) {
  test(`${JSON.stringify(facts)} is ${expected}`, () => {
    const { state, reasons } = deviceState({ ...FREE, ...facts });
    assert.is([state, ...reasons.map(({ code }) => code)].join(" "), expected);
  });
}

test("an open member is lost when its path is gone, leads elsewhere or was cut", () => {
  assert.is(lossReason(file, file), null);
  assert.is(lossReason(null, file), null);
  assert.is(lossReason(file, { ...file, sizeBytes: 200, changedAt: 9 }), null);
  assert.is(lossReason(file, null), "the path is gone");
  assert.is(
    lossReason(file, { ...file, identity: "file 1 3" }),
    "another file or device is at the path",
  );
  assert.is(lossReason(file, { ...file, sizeBytes: 99 }), "it was cut from 100 to 99 bytes");
});

test.run();
