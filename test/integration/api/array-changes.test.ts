/** Changes of running arrays and of their members over the API. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { CodedError } from "../../../src/common/errors.ts";
import { type ApiBench, openApiBench, openApiBoard } from "../../helpers/api-bench.ts";
import { MIB } from "../../helpers/control-bench.ts";
import { inFolder } from "../../helpers/temporary-folder.ts";

const MD0 = "/api/v1/arrays/md0";
const action = (device: string, verb: string): string => `${MD0}/members/${device}/actions/${verb}`;

const change = (api: ApiBench, body: object) =>
  api.ask("PATCH", MD0, { body, headers: { prefer: "wait=10" } });

const states = async (api: ApiBench): Promise<string[]> =>
  (await api.ask("GET", `${MD0}/members`)).body.items.map(
    ({ device_id, slot, states: words }: { device_id: string; slot: number; states: string[] }) =>
      `${device_id} ${slot} ${words.join("+")}`,
  );

const test = suite("api/array-changes");

test(
  "renames, grows by legs and changes the bitmap: a job, or the array when asked to wait",
  inFolder(async (folder) => {
    await using api = await openApiBoard(folder);
    const { id } = (await api.ask("GET", MD0)).body;
    const accepted = await api.ask("PATCH", MD0, { body: { raid_devices: 3 } });
    assert.equal([accepted.status, accepted.body.kind], [202, "array.grow"]);
    await api.control.jobs.settle();
    const grown = (await api.ask("GET", MD0)).body;
    assert.equal([grown.config.raid_devices, grown.status.health], [3, "degraded"]);
    const job = (await api.ask("GET", `/api/v1/jobs/${accepted.body.id}`)).body;
    assert.equal(job.result, { array_id: id, done: ["raid devices 3"] });

    const body = { name: "media", bitmap: { type: "clustered", nodes: 2 }, home_cluster: "attic" };
    const early = await change(api, { bitmap: { type: "clustered" } });
    assert.equal([early.status, early.body.code], [422, "RAID_BAD_CLUSTER"]);
    const changed = await change(api, { ...body, bad_block_list: false });
    assert.equal([changed.status, changed.body.name], [200, "media"]);
    const { bitmap, home_cluster } = changed.body.config;
    assert.equal([bitmap.type, bitmap.nodes, home_cluster], ["clustered", 2, "attic"]);
    assert.is((await api.ask("GET", MD0)).status, 404);
    assert.is((await api.ask("GET", "/api/v1/arrays/media")).body.id, id);
  }),
);

test(
  "speed limits alone need no job, and what is like that already neither",
  inFolder(async (folder) => {
    await using api = await openApiBoard(folder);
    const body = { sync_speed_min: 2048, sync_speed_max: 4096, name: "md0", raid_devices: 2 };
    const answer = await api.ask("PATCH", MD0, { body });
    assert.equal([answer.status, answer.body.config.sync_speed_max], [200, 4096]);
    assert.equal(
      api.engine.array("md0").calls.filter((call) => call.startsWith("change")),
      [],
    );
    const wrong = await api.ask("PATCH", MD0, { body: { sync_speed_min: 8192 } });
    assert.equal([wrong.status, wrong.body.code], [422, "CONTROL_SPEED_ORDER"]);
    assert.is((await api.ask("PATCH", MD0, { body: { level: "raid0" } })).status, 422);
  }),
);

test(
  "grows to what the smallest member has, refuses more than that and less than it is",
  inFolder(async (folder) => {
    await using api = await openApiBoard(folder);
    await api.do("DELETE", MD0, { confirm: "md0", forget: true });
    const small = { name: "md0", level: "raid1", device_ids: ["disk1", "disk2"], size: 4 * MIB };
    await api.do("POST", "/api/v1/arrays", { ...small, force: true });
    const rows: readonly (readonly [object, number, string | undefined])[] = [
      [{ size: 2 * MIB }, 409, "RAID_SHRINK_REFUSED"],
      [{ size: 2 ** 40 }, 422, "RAID_MEMBER_TOO_SMALL"],
      [{ raid_devices: 1 }, 409, "RAID_SLOTS_IN_USE"],
      [{ bitmap: { nodes: 4 } }, 422, "RAID_BAD_CLUSTER"],
      [{ size: "max" }, 200, undefined],
    ];
    for (const [body, status, code] of rows) {
      const answer = await change(api, body);
      assert.equal([answer.status, answer.body.code], [status, code], JSON.stringify(body));
      if (status !== 200) assert.ok(answer.body.correction.length > 0);
    }
    assert.is((await api.ask("GET", MD0)).body.config.size, 7 * MIB);
  }),
);

test(
  "a change that fails on the way tells what was done before it",
  inFolder(async (folder) => {
    await using api = await openApiBoard(folder);
    const array = api.engine.array("md0");
    const plain = array.change.bind(array);
    array.change = async (wanted) => {
      if (wanted.type === "raid-devices") {
        throw new CodedError("RAID_BAD_MEMBER_COUNT", "too many", { remedy: "take fewer" });
      }
      await plain(wanted);
    };
    const answer = await change(api, { bitmap: { type: "none" }, raid_devices: 30 });
    assert.equal([answer.status, answer.body.code], [422, "RAID_BAD_MEMBER_COUNT"]);
    assert.equal(answer.body.details.done, ["bitmap none"]);
    assert.is((await api.ask("GET", MD0)).body.config.bitmap.type, "none");
  }),
);

test(
  "a name that another array has is refused before anything changes",
  inFolder(async (folder) => {
    await using api = await openApiBench({ folder, images: ["disk1", "disk2", "disk3", "disk4"] });
    for (const [name, device_ids] of [
      ["md0", ["disk1", "disk2"]],
      ["md1", ["disk3", "disk4"]],
    ] as const) {
      await api.do("POST", "/api/v1/arrays", { name, level: "raid1", device_ids });
    }
    const answer = await change(api, { name: "md1", sync_speed_max: 4096 });
    assert.equal([answer.status, answer.body.code], [409, "CONTROL_NAME_TAKEN"]);
    assert.is.not((await api.ask("GET", MD0)).body.config.sync_speed_max, 4096);
  }),
);

test(
  "replaces a member by a spare while redundancy stays",
  inFolder(async (folder) => {
    await using api = await openApiBoard(folder);
    const early = await api.do("POST", action("disk2", "replace"), { with: "disk3" });
    assert.equal([early.status, early.body.code], [409, "RAID_NOT_A_SPARE"]);
    await api.do("POST", `${MD0}/members`, { device_id: "disk3" });
    const answer = await api.do("POST", action("disk2", "replace"), { with: "disk3" });
    assert.equal([answer.status, answer.body.status.degraded], [200, 0]);
    assert.equal(await states(api), [
      "disk1 0 in_sync",
      "disk2 1 in_sync+want_replacement",
      "disk3 1 replacement+rebuilding",
    ]);
    const jobs = (await api.ask("GET", "/api/v1/jobs?limit=1")).body.items;
    assert.is(jobs[0].kind, "member.replace");
    const again = await api.do("POST", action("disk2", "replace"), {});
    assert.equal([again.status, again.body.code], [409, "RAID_MEMBER_BUSY"]);
    const unknown = await api.do("POST", action("disk9", "replace"), {});
    assert.is(unknown.status, 404);
  }),
);

test(
  "sets and clears flags, adds with flags, refuses those that make no sense",
  inFolder(async (folder) => {
    await using api = await openApiBoard(folder);
    const disk2 = `${MD0}/members/disk2`;
    const set = await api.ask("PATCH", disk2, { body: { write_mostly: true, failfast: true } });
    assert.equal([set.status, set.body.states], [200, ["in_sync", "writemostly", "failfast"]]);
    const cleared = await api.ask("PATCH", disk2, { body: { write_mostly: false } });
    assert.equal(cleared.body.states, ["in_sync", "failfast"]);
    const added = { device_id: "disk3", write_mostly: true };
    await api.do("POST", `${MD0}/members`, added);
    assert.ok((await states(api)).includes("disk3 null spare+writemostly"));
    await change(api, { bitmap: { type: "clustered" }, bad_block_list: false });
    const refused = await api.ask("PATCH", disk2, { body: { write_mostly: true } });
    assert.equal([refused.status, refused.body.code], [422, "RAID_UNSUPPORTED_ON_CLUSTERED"]);
    const unknown = await api.ask("PATCH", disk2, { body: { blocked: true } });
    assert.is(unknown.status, 422);
  }),
);

test(
  "refuses devices that are too small or have larger sectors than the array",
  inFolder(async (folder) => {
    await using api = await openApiBoard(folder);
    await api.ask("POST", "/api/v1/devices", { body: { name: "small", size: 2 * MIB } });
    const small = await api.do("POST", `${MD0}/members`, { device_id: "small" });
    assert.equal([small.status, small.body.code], [422, "RAID_DEVICE_TOO_SMALL"]);
    api.engine.hold(api.image("disk3"), { logicalBlockSize: 4096 });
    const large = await api.ask("POST", `${MD0}/members`, { body: { device_id: "disk3" } });
    assert.equal([large.status, large.body.code], [422, "RAID_SECTOR_SIZE_MISMATCH"]);
    assert.equal(large.body.details, { device: "disk3", needed: 512, available: 4096 });
  }),
);

test(
  "tells where the copies differ, and counts members' errors",
  inFolder(async (folder) => {
    await using api = await openApiBoard(folder);
    const array = api.engine.array("md0");
    const [first, second] = array.status.members;
    if (first === undefined || second === undefined) throw new Error("md0 has two members");
    array.show({
      mismatchCount: 256,
      mismatches: { ranges: [{ offset: 65536, length: 131072 }], truncated: true },
      members: [first, { ...second, badBlocks: 3, readErrors: 2, readErrorsCorrected: 8 }],
    });
    const found = (await api.ask("GET", `${MD0}/mismatches`)).body;
    assert.equal(found, {
      mismatch_count: 256,
      truncated: true,
      items: [{ offset: 65536, length: 131072 }],
    });
    assert.is((await api.ask("GET", MD0)).body.status.mismatch_ranges, 1);
    const member = (await api.ask("GET", `${MD0}/members/disk2`)).body;
    assert.equal([member.bad_blocks, member.read_errors, member.errors_corrected], [3, 2, 8]);
    const { body: text } = await api.ask("GET", "/metrics");
    for (const line of [
      'satsuma_array_mismatch_ranges{array="md0"} 1',
      'satsuma_member_bad_blocks{array="md0",device="disk2"} 3',
      'satsuma_member_read_errors{array="md0",device="disk2"} 2',
      'satsuma_member_read_errors_corrected_total{array="md0",device="disk2"} 8',
    ]) {
      assert.ok(text.includes(`${line}\n`), line);
    }
  }),
);

test.run();
