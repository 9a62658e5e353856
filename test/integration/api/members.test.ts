/** Members, devices, exports and lab faults over the API. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type ApiBench, openApiBoard } from "../../helpers/api-bench.ts";
import { inFolder } from "../../helpers/temporary-folder.ts";

const MEMBERS = "/api/v1/arrays/md0/members";
const action = (device: string, verb: string): string => `${MEMBERS}/${device}/actions/${verb}`;

const states = async (api: ApiBench): Promise<string[]> =>
  (await api.ask("GET", MEMBERS)).body.items.map(
    (member: { device_id: string; states: string[] }) =>
      `${member.device_id} ${member.states.join("+")}`,
  );

const test = suite("api/members");

test(
  "fails, removes and adds members; the replies are the array",
  inFolder(async (folder) => {
    await using api = await openApiBoard(folder);
    const failed = await api.ask("POST", action("disk2", "fail"));
    assert.equal([failed.status, failed.body.status.health], [200, "degraded"]);
    assert.is((await api.ask("GET", `${MEMBERS}/disk2`)).body.fault_reason, "failed by request");
    assert.is((await api.ask("DELETE", `${MEMBERS}/disk2`)).status, 200);
    assert.equal(await states(api), ["disk1 in_sync"]);
    const added = await api.do("POST", MEMBERS, { device_id: "disk3" });
    assert.equal([added.status, added.body.status.health], [201, "recovering"]);
    assert.equal(await states(api), ["disk1 in_sync", "disk3 spare+rebuilding"]);
    assert.is((await api.ask("GET", "/api/v1/devices/disk3")).body.status.state, "in-use");
    const again = await api.do("POST", action("disk2", "re-add"));
    assert.is(again.status, 200);
    const old = (await api.ask("GET", "/api/v1/devices/disk2")).body.status;
    assert.is(old.state, "in-use");
  }),
);

test(
  "an old member of the array is added without force, one of another array is not",
  inFolder(async (folder) => {
    await using api = await openApiBoard(folder);
    await api.ask("POST", action("disk2", "fail"));
    await api.ask("DELETE", `${MEMBERS}/disk2`);
    await api.control.devices.readAll([api.image("disk2")]);
    const { state, reasons } = (await api.ask("GET", "/api/v1/devices/disk2")).body.status;
    assert.equal([state, reasons[0].code], ["foreign", "stale-member"]);
    const md = api.engine.contents.get(api.image("disk2"))?.md;
    if (md === undefined) throw new Error("the removed member lost its superblock");
    api.engine.hold(api.image("disk3"), { md: { ...md, arrayUuid: "another" } });
    const other = await api.do("POST", MEMBERS, { device_id: "disk3" });
    assert.equal([other.status, other.body.code], [409, "CONTROL_DEVICE_NOT_CLEAN"]);
    assert.is((await api.do("POST", MEMBERS, { device_id: "disk2" })).status, 201);
  }),
);

test(
  "a device that two arrays want at once goes to one of them",
  inFolder(async (folder) => {
    await using api = await openApiBoard(folder);
    const order = { name: "md1", level: "raid1", device_ids: ["disk3", "missing"] };
    const replies = await Promise.all([
      api.do("POST", MEMBERS, { device_id: "disk3" }),
      api.do("POST", "/api/v1/arrays", order),
    ]);
    assert.equal(replies.map(({ status }) => status).sort(), [201, 409]);
    const refused = replies.find(({ status }) => status === 409);
    assert.is(refused?.body.code, "CONTROL_DEVICE_IN_USE");
  }),
);

const REFUSALS: readonly (readonly [
  "POST" | "DELETE" | "GET",
  string,
  object | undefined,
  number,
  string,
])[] = [
  ["DELETE", `${MEMBERS}/disk1`, undefined, 409, "RAID_MEMBER_NOT_FAULTY"],
  ["POST", action("disk3", "fail"), undefined, 404, "CONTROL_MEMBER_NOT_FOUND"],
  ["POST", action("disk9", "fail"), undefined, 404, "CONTROL_DEVICE_NOT_FOUND"],
  ["GET", `${MEMBERS}/disk3`, undefined, 404, "CONTROL_MEMBER_NOT_FOUND"],
  ["POST", action("disk3", "re-add"), undefined, 409, "RAID_RE_ADD_REFUSED"],
  ["POST", MEMBERS, { device_id: "disk1" }, 409, "CONTROL_DEVICE_IN_USE"],
  ["POST", MEMBERS, {}, 422, "API_VALIDATION_FAILED"],
  ["POST", "/api/v1/arrays/md9/members", { device_id: "disk3" }, 404, "CONTROL_ARRAY_NOT_FOUND"],
];

test(
  "refuses what md refuses, with md's reasons",
  inFolder(async (folder) => {
    await using api = await openApiBoard(folder);
    for (const [method, url, body, status, code] of REFUSALS) {
      const answer = await api.ask(method, url, {
        headers: { prefer: "wait=10" },
        ...(body === undefined ? {} : { body }),
      });
      assert.equal([answer.status, answer.body.code], [status, code], `${method} ${url}`);
    }
    await api.ask("POST", action("disk2", "fail"));
    const last = await api.ask("POST", action("disk1", "fail"));
    assert.equal([last.status, last.body.type], [409, "urn:satsuma:problem:last-in-sync-member"]);
    assert.equal(await states(api), ["disk1 in_sync", "disk2 faulty"]);
  }),
);

test(
  "verbs on an array that does not run are refused",
  inFolder(async (folder) => {
    await using api = await openApiBoard(folder);
    await api.do("DELETE", "/api/v1/arrays/md0", { confirm: "md0" });
    for (const [method, url] of [
      ["POST", action("disk1", "fail")],
      ["DELETE", `${MEMBERS}/disk1`],
      ["POST", action("disk1", "re-add")],
    ] as const) {
      const answer = await api.ask(method, url);
      assert.equal([answer.status, answer.body.code], [409, "CONTROL_ARRAY_NOT_RUNNING"], url);
    }
  }),
);

test(
  "makes, lists, labels and forgets devices",
  inFolder(async (folder) => {
    await using api = await openApiBoard(folder);
    const made = await api.ask("POST", "/api/v1/devices", { body: { size: 2 ** 20 } });
    assert.equal([made.status, made.body.id], [201, "disk4"]);
    assert.equal([made.body.status.state, made.body.status.size], ["free", 2 ** 20]);
    const taken = { name: "disk4", size: 2 ** 20 };
    const again = await api.ask("POST", "/api/v1/devices", { body: taken });
    assert.equal([again.status, again.body.code], [409, "CONTROL_NAME_TAKEN"]);
    for (const size of [1, 2 ** 20 - 1, 2 ** 51, 1.5]) {
      const wrong = await api.ask("POST", "/api/v1/devices", { body: { size } });
      assert.is(wrong.status, 422, String(size));
    }
    const label = { label: "left slot" };
    const labelled = await api.ask("PATCH", "/api/v1/devices/disk4", { body: label });
    assert.equal([labelled.body.name, labelled.body.config], ["left slot", label]);
    const there = await api.ask("DELETE", "/api/v1/devices/disk4");
    assert.equal([there.status, there.body.code], [409, "CONTROL_DEVICE_NOT_GONE"]);
    const page = await api.ask("GET", "/api/v1/devices?limit=3");
    const rest = await api.ask("GET", `/api/v1/devices?limit=3&cursor=${page.body.next_cursor}`);
    assert.equal([page.body.items.length, rest.body.items.length], [3, 1]);
    assert.is(rest.body.next_cursor, null);
  }),
);

test(
  "shows devices that cannot be used, with the reason",
  inFolder(async (folder) => {
    await using api = await openApiBoard(folder);
    mkdirSync(join(folder, "disks", "folder.img"));
    writeFileSync(join(folder, "disks", "other.img"), "");
    api.engine.hold(api.image("other"), { signatures: ["gpt"] });
    await api.control.monitor.tick();
    const shown = async (id: string) => (await api.ask("GET", `/api/v1/devices/${id}`)).body.status;
    assert.is((await shown("folder")).state, "unusable");
    assert.equal((await shown("other")).reasons, [{ code: "signature", message: "holds gpt" }]);
    assert.equal((await shown("disk1")).reasons[0].message, "member of md0");
    assert.is((await api.ask("GET", "/api/v1/devices/nothing")).status, 404);
  }),
);

test(
  "makes, changes and deletes exports; refuses under clients",
  inFolder(async (folder) => {
    await using api = await openApiBoard(folder);
    const exports = "/api/v1/exports";
    const body = { name: "vol", array: "md0", description: "d" };
    const made = await api.ask("POST", exports, { body });
    assert.equal([made.status, made.headers["location"]], [201, `${exports}/vol`]);
    assert.equal(made.body.status.uris, {
      unix: "nbd+unix:///vol?socket=/run/satsuma/nbd.sock",
      tcp: "nbd://127.0.0.1:10809/vol",
    });
    assert.is((await api.ask("POST", exports, { body })).body.code, "CONTROL_NAME_TAKEN");
    const nowhere = await api.ask("POST", exports, { body: { name: "x", array: "md9" } });
    assert.is(nowhere.status, 404);
    const changed = await api.ask("PATCH", `${exports}/vol`, { body: { read_only: true } });
    assert.equal([changed.body.status.state, changed.body.config.description], ["read-only", "d"]);
    assert.is(api.engine.openExports.get("vol")?.readOnly, true);
    api.engine.attach("vol");
    const clients = (await api.ask("GET", `${exports}/vol/clients`)).body.items;
    assert.equal(
      clients.map(({ peer, read_bytes }: { peer: string; read_bytes: number }) => [
        peer,
        read_bytes,
      ]),
      [["unix", 4096]],
    );
    for (const [method, asked] of [
      ["PATCH", { body: { read_only: false } }],
      ["DELETE", {}],
    ] as const) {
      const busy = await api.ask(method, `${exports}/vol`, asked);
      assert.equal([busy.status, busy.body.code], [409, "CONTROL_EXPORT_IN_USE"]);
    }
    assert.is((await api.ask("DELETE", `${exports}/vol?force=true`)).status, 204);
    assert.is(api.engine.openExports.size, 0);
    assert.is((await api.ask("GET", `${exports}/vol`)).status, 404);
    assert.equal((await api.ask("GET", exports)).body.items, []);
  }),
);

test(
  "an export that the engine refuses is not kept",
  inFolder(async (folder) => {
    await using api = await openApiBoard(folder);
    api.engine.failNext = { call: "openExport", error: new Error("boom") };
    const refused = await api.ask("POST", "/api/v1/exports", { body: { name: "v", array: "md0" } });
    assert.equal([refused.status, refused.body.code], [500, "API_INTERNAL"]);
    assert.not.match(JSON.stringify(refused.body), "boom");
    assert.equal((await api.ask("GET", "/api/v1/exports")).body.items, []);
  }),
);

test(
  "gives commands that attach an export, per target and transport",
  inFolder(async (folder) => {
    await using api = await openApiBoard(folder);
    await api.ask("POST", "/api/v1/exports", { body: { name: "vol", array: "md0" } });
    const attach = "/api/v1/exports/vol/attach";
    const all = (await api.ask("GET", attach)).body.items;
    assert.is(all.length, 10);
    const one = (await api.ask("GET", `${attach}?target=nbd-client&transport=unix`)).body.items;
    assert.equal(
      one.map(({ text }: { text: string }) => text),
      [
        "sudo modprobe nbd\nsudo nbd-client -unix /run/satsuma/nbd.sock -N vol /dev/nbd0 -connections 4 -persist -timeout 60",
      ],
    );
    const text = await api.ask("GET", `${attach}?target=nbdinfo&transport=tcp`, {
      headers: { accept: "text/plain" },
    });
    assert.is(text.body, "nbdinfo nbd://127.0.0.1:10809/vol\n");
    assert.is((await api.ask("GET", `${attach}?target=windows`)).status, 422);
  }),
);

test(
  "lays faults in lab mode and refuses them outside it",
  inFolder(async (folder) => {
    await using api = await openApiBoard(folder);
    const faults = "/api/v1/lab/faults";
    const body = { device_id: "disk1", kind: "read-error", after: 3, count: 1 };
    const laid = await api.ask("POST", faults, { body });
    assert.equal([laid.status, laid.body.path, laid.body.after], [201, api.image("disk1"), 3]);
    assert.is((await api.ask("GET", faults)).body.items.length, 1);
    assert.is((await api.ask("DELETE", `${faults}?device_id=disk1`)).status, 204);
    assert.equal((await api.ask("GET", faults)).body.items, []);
    const wrong = { device_id: "disk1", kind: "explode" };
    assert.is((await api.ask("POST", faults, { body: wrong })).status, 422);
    api.engine.isLabMode = false;
    const off = await api.ask("POST", faults, { body });
    assert.equal([off.status, off.body.code], [403, "HAL_LAB_MODE_OFF"]);
  }),
);

test.run();
