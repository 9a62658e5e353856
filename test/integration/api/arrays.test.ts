/** Arrays over the API: create, assemble, import, stop, sync; each success and each refusal. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { CodedError } from "../../../src/common/errors.ts";
import { openApiBench, openApiBoard } from "../../helpers/api-bench.ts";
import { fakeSync } from "../../helpers/fake-status.ts";
import { inFolder } from "../../helpers/temporary-folder.ts";

const ARRAYS = "/api/v1/arrays";
const create = (over: object = {}) => ({
  name: "md1",
  level: "raid1",
  device_ids: ["disk1", "disk2"],
  ...over,
});

const test = suite("api/arrays");

test(
  "creates an array: 202 with the job, or the array when asked to wait",
  inFolder(async (folder) => {
    await using api = await openApiBench({ folder, images: ["disk1", "disk2", "disk3", "disk4"] });
    const accepted = await api.ask("POST", ARRAYS, { body: create() });
    assert.is(accepted.status, 202);
    assert.is(accepted.headers["location"], `/api/v1/jobs/${accepted.body.id}`);
    assert.is(accepted.body.created_by, "token:admin");
    await api.control.jobs.settle();
    const job = await api.ask("GET", `/api/v1/jobs/${accepted.body.id}`);
    assert.is(job.body.state, "succeeded");
    assert.equal((await api.ask("GET", job.body.subject)).body.name, "md1");

    const waited = await api.do(
      "POST",
      ARRAYS,
      create({ name: "md2", device_ids: ["disk3", "disk4"] }),
    );
    assert.is(waited.status, 201);
    assert.is(waited.headers["location"], `${ARRAYS}/${waited.body.id}`);
    assert.is(waited.headers["preference-applied"], "wait=10");
    assert.equal(
      waited.body.status.members.map((member: { device_id: string }) => member.device_id),
      ["disk3", "disk4"],
    );
    const listed = await api.ask("GET", ARRAYS);
    assert.equal(listed.body.items.map(({ name }: { name: string }) => name).sort(), [
      "md1",
      "md2",
    ]);
  }),
);

test(
  "a dry run plans and writes nothing",
  inFolder(async (folder) => {
    await using api = await openApiBench({ folder, images: ["disk1", "disk2", "disk3"] });
    const body = create({ device_ids: ["disk1", "disk2", "disk3"], raid_devices: 2 });
    const plan = await api.ask("POST", `${ARRAYS}?dry_run=true`, { body });
    assert.is(plan.status, 200);
    assert.equal(
      plan.body.devices.map(({ role }: { role: string }) => role),
      ["raid slot 0", "raid slot 1", "spare"],
    );
    assert.equal((await api.ask("GET", ARRAYS)).body.items, []);
    assert.equal((await api.ask("GET", "/api/v1/jobs")).body.items, []);
  }),
);

const REFUSALS: readonly (readonly [string, object, number, string])[] = [
  ["a name that is taken", { name: "md0", device_ids: ["disk3"] }, 409, "CONTROL_NAME_TAKEN"],
  ["a device that is in use", { device_ids: ["disk1", "disk3"] }, 409, "CONTROL_DEVICE_IN_USE"],
  ["an unknown device", { device_ids: ["disk9", "disk3"] }, 404, "CONTROL_DEVICE_NOT_FOUND"],
  ["a device named twice", { device_ids: ["disk3", "disk3"] }, 409, "CONTROL_DEVICE_TWICE"],
  ["a device with content", { device_ids: ["ext4"] }, 409, "CONTROL_DEVICE_NOT_CLEAN"],
  ["a level not built yet", { level: "raid5" }, 422, "API_VALIDATION_FAILED"],
  ["an unknown field", { devices: [] }, 422, "API_VALIDATION_FAILED"],
  ["no device", { device_ids: [] }, 422, "API_VALIDATION_FAILED"],
  ["a name with a slash", { name: "a/b" }, 422, "API_VALIDATION_FAILED"],
  ["a name too long", { name: "a".repeat(32) }, 422, "API_VALIDATION_FAILED"],
  ["a number in quotes", { raid_devices: "2" }, 422, "API_VALIDATION_FAILED"],
  ["one raid device", { raid_devices: 1 }, 422, "API_VALIDATION_FAILED"],
  ["a size past the limit", { size: 2 ** 53 }, 422, "API_VALIDATION_FAILED"],
];

test(
  "refuses to create, with a problem that names the thing, and writes nothing",
  inFolder(async (folder) => {
    await using api = await openApiBoard(folder);
    await api.ask("POST", "/api/v1/devices", { body: { name: "ext4", size: 8 * 2 ** 20 } });
    api.engine.hold(api.image("ext4"), { signatures: ["ext4"] });
    for (const [name, over, status, code] of REFUSALS) {
      const answer = await api.ask("POST", ARRAYS, { body: create(over) });
      assert.equal([answer.status, answer.body.code], [status, code], name);
      assert.match(answer.headers["content-type"] as string, "application/problem+json");
    }
    assert.is(api.engine.arrays.size, 1);
    const forced = create({ device_ids: ["disk3", "ext4"], force: true });
    assert.is((await api.do("POST", ARRAYS, forced)).status, 201);
  }),
);

test(
  "a refusal of the engine is the reply of a waiting request and the problem of the job",
  inFolder(async (folder) => {
    await using api = await openApiBench({ folder, images: ["disk1", "disk2"] });
    const error = new CodedError("RAID_DEVICE_TOO_SMALL", "disk1 is too small", {
      remedy: "choose a larger one",
      details: { needed: 9, available: 5 },
    });
    api.engine.failNext = { call: "create", error };
    const answer = await api.do("POST", ARRAYS, create());
    assert.is(answer.status, 422);
    assert.equal(
      [answer.body.type, answer.body.detail, answer.body.correction, answer.body.details],
      [
        "urn:satsuma:problem:device-too-small",
        "disk1 is too small",
        "choose a larger one",
        { needed: 9, available: 5 },
      ],
    );
    const job = await api.ask("GET", answer.body.job);
    assert.is(job.body.state, "failed");
    assert.is(job.body.problem.code, "RAID_DEVICE_TOO_SMALL");
    // The devices are free again for the next try.
    assert.is((await api.do("POST", ARRAYS, create())).status, 201);
  }),
);

test(
  "of two orders for the same devices at once, one is refused and the other is carried out",
  inFolder(async (folder) => {
    await using api = await openApiBench({ folder, images: ["disk1", "disk2"] });
    const replies = await Promise.all(
      ["md1", "md2"].map((name) => api.do("POST", ARRAYS, create({ name }))),
    );
    assert.equal(replies.map(({ status }) => status).sort(), [201, 409]);
    assert.is(api.engine.arrays.size, 1);
  }),
);

test(
  "stops only when confirmed by name, refuses under clients, starts again by name",
  inFolder(async (folder) => {
    await using api = await openApiBoard(folder);
    const md0 = `${ARRAYS}/md0`;
    await api.ask("POST", "/api/v1/exports", { body: { name: "md0", array: "md0" } });
    for (const body of [undefined, {}, { confirm: "md1" }]) {
      const refused = await api.ask("DELETE", md0, body === undefined ? {} : { body });
      assert.equal([refused.status, refused.body.details.confirm], [428, "md0"]);
    }
    api.engine.attach("md0");
    const busy = await api.do("DELETE", md0, { confirm: "md0" });
    assert.equal([busy.status, busy.body.code], [409, "CONTROL_ARRAY_EXPORTED"]);
    assert.equal(busy.body.details.clients, [{ export: "md0", peer: "unix" }]);

    const stopped = await api.do("DELETE", md0, { confirm: "md0", force: true });
    assert.equal([stopped.status, stopped.body.state], [200, "succeeded"]);
    const array = (await api.ask("GET", md0)).body;
    assert.equal([array.status.array_state, array.status.health], ["inactive", "inactive"]);
    assert.equal(array.config.desired_state, "stopped");
    const offline = (await api.ask("GET", "/api/v1/exports/md0")).body.status;
    assert.equal([offline.state, offline.reason], ["offline", "array md0 is stopped"]);

    assert.is((await api.do("POST", ARRAYS, { assemble: "md0" })).status, 200);
    assert.is((await api.ask("GET", "/api/v1/exports/md0")).body.status.state, "online");
    const twice = await api.do("POST", ARRAYS, { assemble: "md0" });
    assert.equal([twice.status, twice.body.code], [409, "CONTROL_ARRAY_RUNNING"]);
  }),
);

test(
  "a forgotten array is a candidate and can be imported again",
  inFolder(async (folder) => {
    await using api = await openApiBoard(folder);
    const { id } = (await api.ask("GET", `${ARRAYS}/md0`)).body;
    await api.do("DELETE", `${ARRAYS}/md0`, { confirm: "md0", forget: true });
    assert.is((await api.ask("GET", `${ARRAYS}/md0`)).status, 404);
    await api.control.devices.readAll(api.control.devices.paths());
    const candidates = (await api.ask("GET", `${ARRAYS}/candidates`)).body.items;
    assert.equal(
      candidates.map((found: { id: string; registered: boolean }) => [found.id, found.registered]),
      [[id, false]],
    );
    const mixed = await api.do("POST", ARRAYS, { import: ["disk1", "disk3"] });
    assert.equal([mixed.status, mixed.body.code], [409, "CONTROL_NOT_ONE_ARRAY"]);
    const imported = await api.do("POST", ARRAYS, { import: ["disk1", "disk2"] });
    assert.equal([imported.status, imported.body.id], [200, id]);
  }),
);

test(
  "an assembly without members tells the reason per path",
  inFolder(async (folder) => {
    await using api = await openApiBoard(folder);
    await api.do("DELETE", `${ARRAYS}/md0`, { confirm: "md0" });
    api.engine.contents.clear();
    const answer = await api.do("POST", ARRAYS, { assemble: "md0" });
    assert.equal([answer.status, answer.body.code], [409, "CONTROL_NO_MEMBERS"]);
    assert.equal(answer.body.details.members, [
      { path: api.image("disk1"), reason: "it holds no superblock of this array" },
      { path: api.image("disk2"), reason: "it holds no superblock of this array" },
    ]);
    const unknown = await api.do("POST", ARRAYS, { assemble: "nowhere" });
    assert.equal([unknown.status, unknown.body.code], [404, "CONTROL_ARRAY_NOT_FOUND"]);
  }),
);

test(
  "runs and ends a check, sets speed limits, refuses contradictions",
  inFolder(async (folder) => {
    await using api = await openApiBoard(folder);
    const path = `${ARRAYS}/md0/sync-action`;
    assert.is((await api.ask("GET", path)).body.action, "idle");
    const check = await api.ask("PUT", path, { body: { action: "check" } });
    assert.equal([check.status, check.body.action], [200, "check"]);
    const job = (await api.ask("GET", `/api/v1/jobs/${check.body.sync.job_id}`)).body;
    assert.equal([job.kind, job.cancelable, job.created_by], ["array.check", true, "token:admin"]);
    const cancelled = await api.ask("POST", `/api/v1/jobs/${job.id}/actions/cancel`);
    assert.is(cancelled.status, 200);
    assert.is((await api.ask("GET", `/api/v1/jobs/${job.id}`)).body.state, "cancelled");
    const again = await api.ask("POST", `/api/v1/jobs/${job.id}/actions/cancel`);
    assert.equal([again.status, again.body.code], [409, "CONTROL_JOB_NOT_CANCELABLE"]);

    const speeds = { sync_speed_min: 2000, sync_speed_max: 5000 };
    const set = (await api.ask("PUT", path, { body: speeds })).body;
    assert.equal([set.sync_speed_min, set.sync_speed_max], [2000, 5000]);
    const wrong = await api.ask("PUT", path, { body: { sync_speed_min: 6000 } });
    assert.equal([wrong.status, wrong.body.code], [422, "CONTROL_SPEED_ORDER"]);
    const unknown = await api.ask("PUT", path, { body: { action: "reshape" } });
    assert.is(unknown.status, 422);
  }),
);

test(
  "shows a recovery with percent, speed and time left, and its health",
  inFolder(async (folder) => {
    await using api = await openApiBoard(folder);
    api.engine.array("md0").show({
      health: "recovering",
      inSyncCopies: 1,
      degraded: 1,
      sync: fakeSync({ action: "recover", reason: "device-added", completedBytes: 225 }),
    });
    const { status } = (await api.ask("GET", `${ARRAYS}/md0`)).body;
    assert.equal(
      [status.health, status.survives.devices, status.sync.percent, status.sync.eta],
      ["recovering", 0, 22.5, { low: 9, high: 11 }],
    );
    const board = (await api.ask("GET", "/api/v1/system")).body.health;
    assert.match(board.sentence, "md0 is recovering (22 %)");
  }),
);

test(
  "answers for an array by uuid, by name, and not for one that is unknown",
  inFolder(async (folder) => {
    await using api = await openApiBoard(folder);
    const { id } = (await api.ask("GET", `${ARRAYS}/md0`)).body;
    assert.is((await api.ask("GET", `${ARRAYS}/${id.toUpperCase()}`)).body.name, "md0");
    for (const path of ["md9", "md9/members", "md9/sync-action", "md9/bitmaps"]) {
      const answer = await api.ask("GET", `${ARRAYS}/${path}`);
      assert.equal([answer.status, answer.body.code], [404, "CONTROL_ARRAY_NOT_FOUND"]);
    }
    const bitmaps = (await api.ask("GET", `${ARRAYS}/md0/bitmaps`)).body.items;
    assert.equal(
      bitmaps.map(({ slot, dirty, total }: Record<string, number>) => [slot, dirty, total]),
      [[0, 0, 100]],
    );
  }),
);

test.run();
