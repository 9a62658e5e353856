// wall-limit: 120 s
/**
 * What a real board refuses, row by row: the code, the problem type, a sentence that names the
 * thing, and the remedy. Nothing changes by it, and docs/errors.md tells of every code.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type Board, startBoard, waitForSync } from "../helpers/board.ts";
import { eventually, withTimeout } from "../helpers/timeout.ts";

const MIB = 2 ** 20;
const LIMIT_MS = 60_000;
const MD0 = "/arrays/md0";
const DOCUMENTED = readFileSync(join(import.meta.dirname, "../../docs/errors.md"), "utf8");

const shared = {} as { board: Board };
const test = suite("refusals");

interface Reply {
  readonly status: number;
  // biome-ignore lint/suspicious/noExplicitAny: problems and resources of every shape
  readonly body: any;
}

const ask = async (method: string, path: string, body?: unknown): Promise<Reply> => {
  const { url, token } = shared.board;
  const response = await fetch(`${url}/api/v1${path}`, {
    method,
    headers: {
      authorization: `Bearer ${token}`,
      prefer: "wait=30",
      ...(body === undefined ? {} : { "content-type": "application/json" }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return { status: response.status, body: await response.json() };
};

const disk = (name: string): string => join(shared.board.dataDir, `disks/${name}.img`);

test.before(
  withTimeout(LIMIT_MS, async () => {
    shared.board = await startBoard({ args: ["--size", "32M"] });
    for (const [name, size] of [
      ["free1", 32 * MIB],
      ["free2", 32 * MIB],
      ["free3", 32 * MIB],
      ["free4", 32 * MIB],
      ["small", 4 * MIB],
      ["old", 32 * MIB],
    ] as const) {
      await shared.board.request("POST", "/devices", { name, size });
    }
    const bytes = readFileSync(disk("old"));
    bytes.writeUInt16LE(0xef53, 1024 + 56); // Magic alone: taken for the oldest of the family.
    writeFileSync(disk("old"), bytes);
    await waitForSync(shared.board);
  }),
);

test.after(
  withTimeout(LIMIT_MS, async () => {
    await shared.board.stop();
  }),
);

const order = (over: object): object => ({
  name: "md1",
  level: "raid10",
  device_ids: ["free1", "free2", "free3", "free4"],
  ...over,
});

interface Row {
  readonly what: string;
  readonly request: readonly [method: string, path: string, body?: object];
  readonly status: number;
  readonly code: string;
  readonly slug: string;
  readonly detail: RegExp;
}

const ROWS: readonly Row[] = [
  {
    what: "a member smaller than the array needs",
    request: ["POST", `${MD0}/members`, { device_id: "small" }],
    status: 422,
    code: "RAID_DEVICE_TOO_SMALL",
    slug: "device-too-small",
    detail: /small\.img/,
  },
  {
    what: "a member of a new array with no room",
    request: ["POST", "/arrays", order({ device_ids: ["free1", "small"], size: 16 * MIB })],
    status: 422,
    code: "RAID_MEMBER_TOO_SMALL",
    slug: "device-too-small",
    detail: /small\.img of 8192 sectors/,
  },
  {
    what: "a device with a file system, to a running array",
    request: ["POST", `${MD0}/members`, { device_id: "old" }],
    status: 409,
    code: "CONTROL_DEVICE_NOT_CLEAN",
    slug: "device-not-clean",
    detail: /holds ext2/,
  },
  {
    what: "a device with a file system, for a new array",
    request: ["POST", "/arrays", order({ device_ids: ["free1", "old"] })],
    status: 409,
    code: "CONTROL_DEVICE_NOT_CLEAN",
    slug: "device-not-clean",
    detail: /holds ext2/,
  },
  {
    what: "a layout with more copies than raid devices",
    request: ["POST", "/arrays", order({ layout: "n5" })],
    status: 422,
    code: "RAID_BAD_LAYOUT",
    slug: "layout-unsupported",
    detail: /5 copies/,
  },
  {
    what: "a clustered far layout",
    request: ["POST", "/arrays", order({ layout: "f2", bitmap: "clustered" })],
    status: 422,
    code: "RAID_BAD_CLUSTER",
    slug: "unsupported-on-clustered",
    detail: /near copies only/,
  },
  {
    what: "a clustered array on a board in no cluster",
    request: ["POST", "/arrays", order({ bitmap: "clustered" })],
    status: 409,
    code: "CONTROL_NO_CLUSTER",
    slug: "no-cluster",
    detail: /could not run md1/,
  },
  {
    what: "a clustered bitmap on a board in no cluster",
    request: ["PATCH", MD0, { bitmap: { type: "clustered" }, bad_block_list: false }],
    status: 409,
    code: "CONTROL_NO_CLUSTER",
    slug: "no-cluster",
    detail: /could not run md0/,
  },
  {
    what: "a device of a running array",
    request: ["POST", "/arrays", order({ device_ids: ["disk1", "free1"], force: true })],
    status: 409,
    code: "CONTROL_DEVICE_IN_USE",
    slug: "device-in-use",
    detail: /member of md0/,
  },
  {
    what: "a member that is in use",
    request: ["DELETE", `${MD0}/members/disk1`],
    status: 409,
    code: "RAID_MEMBER_NOT_FAULTY",
    slug: "member-not-faulty",
    detail: /disk1\.img is in use/,
  },
  {
    what: "a device that was never here",
    request: ["POST", `${MD0}/members/free1/actions/re-add`],
    status: 409,
    code: "RAID_RE_ADD_REFUSED",
    slug: "re-add-refused",
    detail: /free1\.img/,
  },
  {
    what: "a smaller size",
    request: ["PATCH", MD0, { size: MIB }],
    status: 409,
    code: "RAID_SHRINK_REFUSED",
    slug: "shrink-refused",
    detail: /would be lost/,
  },
  {
    what: "a size that no member has",
    request: ["PATCH", MD0, { size: 2 ** 40 }],
    status: 422,
    code: "RAID_MEMBER_TOO_SMALL",
    slug: "device-too-small",
    detail: /disk1\.img/,
  },
  {
    what: "fewer raid devices than there are members",
    request: ["PATCH", MD0, { raid_devices: 1 }],
    status: 409,
    code: "RAID_SLOTS_IN_USE",
    slug: "slots-in-use",
    detail: /./,
  },
];

for (const { what, request, status, code, slug, detail } of ROWS) {
  test(
    `refuses ${what} with ${code}`,
    withTimeout(LIMIT_MS, async () => {
      const { body, ...reply } = await ask(...request);
      assert.equal([reply.status, body.code], [status, code], body.detail);
      assert.is(body.type, `urn:satsuma:problem:${slug}`);
      assert.match(body.detail, detail, body.detail);
      assert.ok(body.title.length > 0 && body.correction.length > 0, "it tells what to do");
      assert.ok(DOCUMENTED.includes(`| \`${code}\` |`), "docs/errors.md tells of it");
      const { config, status: now } = (await ask("GET", MD0)).body;
      assert.equal([config.raid_devices, now.degraded, now.health], [2, 0, "optimal"]);
      assert.equal((await ask("GET", "/arrays")).body.items.length, 1);
    }),
  );
}

test(
  "of two orders for one device, the later one is refused",
  withTimeout(LIMIT_MS, async () => {
    const body = order({ level: "raid1", device_ids: ["free1", "free2"] });
    const replies = await Promise.all([
      ask("POST", "/arrays", body),
      ask("POST", "/arrays", { ...body, name: "md2" }),
    ]);
    const refused = replies.filter(({ status }) => status !== 201);
    assert.equal(
      refused.map(({ status, body: problem }) => [status, problem.code]),
      [[409, "CONTROL_DEVICE_IN_USE"]],
    );
    assert.match(refused[0]?.body.detail, /free[12]/);
    const made = (await ask("GET", "/arrays")).body.items.find(
      ({ name }: { name: string }) => name !== "md0",
    );
    await ask("DELETE", `/arrays/${made.id}`, { confirm: made.name, forget: true });
  }),
);

test(
  "a member that is being replaced is busy; the last in-sync member is never failed",
  withTimeout(LIMIT_MS, async () => {
    await ask("POST", `${MD0}/members`, { device_id: "free3" });
    // Its copies come slowly: they are under way however late the questions are.
    const slow = { device_id: "free3", kind: "stall", stall_ms: 1000 };
    assert.is((await ask("POST", "/lab/faults", slow)).status, 201);
    const replacing = await ask("POST", `${MD0}/members/disk2/actions/replace`, {});
    assert.is(replacing.status, 200);
    await eventually("it is being written", LIMIT_MS, async () => {
      const { members } = (await ask("GET", MD0)).body.status;
      return members.some(({ states }: { states: string[] }) => states.includes("replacement"));
    });
    const again = await ask("POST", `${MD0}/members/disk2/actions/replace`, {});
    assert.equal([again.status, again.body.code], [409, "RAID_MEMBER_BUSY"]);
    await ask("POST", `${MD0}/members/disk2/actions/fail`);
    const last = await ask("POST", `${MD0}/members/disk1/actions/fail`);
    assert.equal([last.status, last.body.code], [409, "RAID_LAST_IN_SYNC_MEMBER"]);
    assert.is(last.body.type, "urn:satsuma:problem:last-in-sync-member");
    assert.match(last.body.detail, /disk1\.img is the last in-sync member/);
  }),
);

test.run();
