/** Taking over arrays made elsewhere, and the commands that read ours elsewhere. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type ApiBench, openApiBench, openApiBoard } from "../../helpers/api-bench.ts";
import { runCommand } from "../../helpers/command.ts";
import { inFolder } from "../../helpers/temporary-folder.ts";

const ARRAYS = "/api/v1/arrays";

/** md0 on disk1 and disk2, stopped and forgotten: as if a PC had made it. */
const openForeign = async (folder: string): Promise<ApiBench> => {
  const api = await openApiBoard(folder);
  await api.do("DELETE", `${ARRAYS}/md0`, { confirm: "md0", forget: true });
  await api.control.devices.readAll(api.control.devices.paths());
  return api;
};

const holdOther = (api: ApiBench, device: string, over: object): void => {
  const md = api.engine.contents.get(api.image("disk1"))?.md;
  if (md === undefined) throw new Error("disk1 holds a superblock");
  api.engine.hold(api.image(device), { md: { ...md, ...over } });
};

const test = suite("api/import-rescue");

test(
  "lists what is found with what starting it would come to, per device",
  inFolder(async (folder) => {
    await using api = await openForeign(folder);
    holdOther(api, "disk3", { arrayUuid: "raid5-array", level: "raid5" });
    await api.control.devices.readAll([api.image("disk3")]);
    const { items } = (await api.ask("GET", `${ARRAYS}/candidates`)).body;
    const [found, raid5] = items;
    assert.equal(
      [found.name, found.homehost, found.level, found.registered, found.startable, found.complete],
      ["md0", "pc", "raid1", false, true, true],
    );
    assert.equal(
      found.members.map((member: Record<string, unknown>) => [
        member["device_id"],
        member["placement"],
        member["slot"],
        member["message"],
      ]),
      [
        ["disk1", "in-sync", 0, "is in sync in raid slot 0"],
        ["disk2", "in-sync", 1, "is in sync in raid slot 1"],
      ],
    );
    assert.equal(
      [raid5.startable, raid5.refusal.code, raid5.refusal.correction],
      [false, "RAID_UNSUPPORTED_LEVEL", "assemble it with Linux md"],
    );
  }),
);

test(
  "takes an array over in place and exports it",
  inFolder(async (folder) => {
    await using api = await openForeign(folder);
    const body = { import: ["disk1", api.image("disk2")], export: "media" };
    const answer = await api.do("POST", ARRAYS, body);
    assert.equal([answer.status, answer.body.name], [200, "md0"]);
    assert.equal(answer.body.status.exports, ["media"]);
    assert.is((await api.ask("GET", "/api/v1/exports/media")).body.status.state, "online");
    assert.equal((await api.ask("GET", `${ARRAYS}/candidates`)).body.items, []);
    const twice = await api.do("POST", ARRAYS, { import: ["disk1", "disk2"] });
    assert.equal([twice.status, twice.body.code], [409, "CONTROL_ARRAY_RUNNING"]);
  }),
);

test(
  "refuses an array that lacks a working member, unless told to run it",
  inFolder(async (folder) => {
    await using api = await openForeign(folder);
    const refused = await api.do("POST", ARRAYS, { import: ["disk2"] });
    assert.equal([refused.status, refused.body.code], [409, "CONTROL_ARRAY_INCOMPLETE"]);
    assert.is(refused.body.type, "urn:satsuma:problem:array-incomplete");
    assert.is(refused.body.details.degraded, 1);
    const run = await api.do("POST", ARRAYS, { import: ["disk2"], run: true });
    assert.equal([run.status, run.body.status.health], [200, "degraded"]);
  }),
);

test(
  "refuses what is not ours to run with its reason, mixes and names that are taken",
  inFolder(async (folder) => {
    await using api = await openForeign(folder);
    const rows = [
      [{ arrayUuid: "old", metadata: "0.90" }, "disk3", 422, "RAID_UNSUPPORTED_METADATA"],
      [{ arrayUuid: "r5", level: "raid5" }, "disk3", 422, "RAID_UNSUPPORTED_LEVEL"],
    ] as const;
    for (const [over, device, status, code] of rows) {
      holdOther(api, device, over);
      const answer = await api.do("POST", ARRAYS, { import: [device] });
      assert.equal([answer.status, answer.body.code], [status, code]);
      assert.is(answer.body.details.members[0].path, api.image(device));
      assert.ok(answer.body.correction.includes("Linux md"));
    }
    const mixed = await api.do("POST", ARRAYS, { import: ["disk1", "disk3"] });
    assert.equal([mixed.status, mixed.body.code], [409, "CONTROL_NOT_ONE_ARRAY"]);
    await api.do("POST", ARRAYS, { import: ["disk1", "disk2"], export: "media" });
    await api.do("DELETE", `${ARRAYS}/md0`, { confirm: "md0" });
    const taken = await api.do("POST", ARRAYS, { import: ["disk1", "disk2"], export: "media" });
    assert.equal([taken.status, taken.body.code], [409, "CONTROL_NAME_TAKEN"]);
  }),
);

test(
  "tells the commands for a plain PC, as JSON and as a text that a shell understands",
  inFolder(async (folder) => {
    await using api = await openApiBoard(folder);
    const url = `${ARRAYS}/md0/rescue`;
    const { body } = await api.ask("GET", url);
    assert.equal([body.name, body.md_device], ["md0", "/dev/md/md0"]);
    assert.match(body.uuid, /^([0-9a-f]{8}:){3}[0-9a-f]{8}$/);
    assert.equal(
      body.members.map((member: { slot: number; path: string; data_offset: number }) => [
        member.slot,
        member.path,
        member.data_offset,
      ]),
      [
        [0, api.image("disk1"), 2 ** 20],
        [1, api.image("disk2"), 2 ** 20],
      ],
    );
    const text = await api.ask("GET", url, { headers: { accept: "text/plain" } });
    assert.is(text.body, body.text);
    const script = join(folder, "rescue.sh");
    writeFileSync(script, text.body);
    await runCommand("sh", ["-n", script]);
    assert.is((await api.ask("GET", `${ARRAYS}/nowhere/rescue`)).status, 404);
  }),
);

test(
  "a stopped array tells its commands too, a faulty member is left out",
  inFolder(async (folder) => {
    await using api = await openApiBoard(folder);
    await api.ask("POST", `${ARRAYS}/md0/members/disk2/actions/fail`);
    const degraded = (await api.ask("GET", `${ARRAYS}/md0/rescue`)).body;
    assert.is(degraded.members.length, 1);
    assert.match(degraded.text, "--readonly --run");
    assert.match(degraded.text, `${api.image("disk2")} is faulty: leave it out`);
    await api.do("DELETE", `${ARRAYS}/md0`, { confirm: "md0" });
    const stopped = (await api.ask("GET", `${ARRAYS}/md0/rescue`)).body;
    assert.equal(stopped.steps[0].commands, []);
    assert.match(stopped.text, "mdadm --assemble --readonly");
  }),
);

test(
  "a device without a superblock is nobody's member",
  inFolder(async (folder) => {
    await using api = await openApiBench({ folder, images: ["disk1"] });
    assert.equal((await api.ask("GET", `${ARRAYS}/candidates`)).body.items, []);
    const answer = await api.do("POST", ARRAYS, { import: ["disk1"] });
    assert.equal([answer.status, answer.body.code], [409, "CONTROL_NOT_ONE_ARRAY"]);
  }),
);

test.run();
