/** Orders for raid10, clustered and degraded arrays: what would be made, what is refused, why. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type Answer, type ApiBench, openApiBench } from "../../helpers/api-bench.ts";
import { inFolder } from "../../helpers/temporary-folder.ts";

const ARRAYS = "/api/v1/arrays";
const FOUR = ["disk1", "disk2", "disk3", "disk4"];
const order = (over: object = {}) => ({ name: "md1", level: "raid10", device_ids: FOUR, ...over });

const openBoard = (folder: string): Promise<ApiBench> =>
  openApiBench({ folder, images: [...FOUR, "disk5"] });

const plan = (api: ApiBench, over: object = {}): Promise<Answer> =>
  api.ask("POST", `${ARRAYS}?dry_run=true`, { body: order(over) });

const test = suite("api/array-orders");

test(
  "plans a raid10 with its usable size and what it survives, as it is then made",
  inFolder(async (folder) => {
    await using api = await openBoard(folder);
    const { body } = await plan(api, { layout: "n3", chunk_size: 65536, bitmap_chunk_size: 65536 });
    assert.equal([body.layout, body.chunk_size, body.raid_devices], ["n3", 65536, 4]);
    assert.equal(body.survives, { devices: 2 });
    assert.equal(body.size, Math.floor(((body.member_size / 65536) * 4) / 3) * 65536);
    assert.equal(body.bitmap, { type: "internal", chunk_size: 65536, nodes: 0 });
    const made = await api.do("POST", ARRAYS, order({ layout: "n3", chunk_size: 65536 }));
    assert.is(made.status, 201);
    const { config, status } = made.body;
    assert.equal([config.layout, config.chunk_size, config.size], ["n3", 65536, body.size]);
    assert.equal([config.member_size, config.logical_block_size], [body.member_size, 512]);
    assert.equal([status.in_sync_copies, status.survives.devices], [3, 2]);
  }),
);

test(
  "what a layout survives depends on its copies, and on what is missing from the start",
  inFolder(async (folder) => {
    await using api = await openBoard(folder);
    const rows: readonly (readonly [object, number, boolean])[] = [
      [{}, 1, true],
      [{ layout: "f2" }, 1, true],
      [{ layout: "o2", device_ids: FOUR.slice(0, 3) }, 1, true],
      [{ device_ids: ["disk1", "missing", "disk2", "disk3"] }, 0, true],
      [{ device_ids: FOUR.slice(0, 3), raid_devices: 4 }, 0, true],
      [{ assume_clean: true }, 1, false],
      [{ level: "raid1" }, 3, true],
      [{ level: "raid1", device_ids: ["disk1", "missing"] }, 0, false],
    ];
    for (const [over, survives, initialSync] of rows) {
      const { status, body } = await plan(api, over);
      assert.equal(
        [status, body.survives?.devices, body.initial_sync],
        [200, survives, initialSync],
        JSON.stringify(over),
      );
    }
    const degraded = order({ device_ids: ["missing", "disk2", "disk3", "disk4", "disk5"] });
    const made = await api.do("POST", ARRAYS, { ...degraded, raid_devices: 4 });
    const { members } = made.body.status;
    assert.equal(
      members.map((member: { slot: number; states: string[] }) => member.states.join()),
      ["missing", "in_sync", "in_sync", "in_sync", "spare"],
    );
  }),
);

test(
  "makes a clustered array with its slots and cluster, and flags of members",
  inFolder(async (folder) => {
    await using api = await openBoard(folder);
    const body = order({ bitmap: "clustered", nodes: 3, home_cluster: "attic" });
    const { config } = (await api.do("POST", ARRAYS, body)).body;
    assert.equal([config.bitmap.type, config.bitmap.nodes], ["clustered", 3]);
    assert.is(config.home_cluster, "attic");
    await api.do("DELETE", `${ARRAYS}/md1`, { confirm: "md1", forget: true });
    const flagged = order({
      level: "raid1",
      device_ids: ["disk1", "disk2"],
      write_mostly: ["disk2"],
      failfast: ["disk1", "disk2"],
      force: true,
    });
    const { members } = (await api.do("POST", ARRAYS, flagged)).body.status;
    assert.equal(
      members.map(({ states }: { states: string[] }) => states.join()),
      ["in_sync,failfast", "in_sync,writemostly,failfast"],
    );
  }),
);

test(
  "a board in no cluster makes no clustered array, and the cluster's name is its default",
  inFolder(async (folder) => {
    await using api = await openBoard(folder);
    const made = await api.do("POST", ARRAYS, order({ bitmap: "clustered" }));
    assert.is(made.body.config.home_cluster, "attic");
    await api.do("DELETE", `${ARRAYS}/md1`, { confirm: "md1", forget: true });
    api.engine.cluster = null;
    const refused = await plan(api, { bitmap: "clustered", force: true });
    assert.equal([refused.status, refused.body.code], [409, "CONTROL_NO_CLUSTER"]);
    await api.do("POST", ARRAYS, order({ force: true }));
    const change = await api.ask("PATCH", `${ARRAYS}/md1`, {
      body: { bitmap: { type: "clustered" } },
    });
    assert.equal([change.status, change.body.code], [409, "CONTROL_NO_CLUSTER"]);
    assert.is((await api.ask("GET", `${ARRAYS}/md1`)).body.config.bitmap.type, "internal");
  }),
);

const REFUSALS: readonly (readonly [string, object, number, string, string, RegExp])[] = [
  [
    "a layout of a raid1",
    { level: "raid1", layout: "n2" },
    422,
    "RAID_BAD_LAYOUT",
    "layout-unsupported",
    /raid1 has neither/,
  ],
  [
    "a layout that there is not",
    { layout: "x2" },
    422,
    "RAID_BAD_LAYOUT",
    "layout-unsupported",
    /x2 is not a layout/,
  ],
  [
    "too many copies",
    { layout: "n5" },
    422,
    "RAID_BAD_LAYOUT",
    "layout-unsupported",
    /5 copies need as many raid devices, there are 4/,
  ],
  [
    "a chunk that is no power of two",
    { chunk_size: 96 * 1024 },
    422,
    "RAID_BAD_LAYOUT",
    "layout-unsupported",
    /98304 bytes is no power of two/,
  ],
  [
    "a clustered far layout",
    { layout: "f2", bitmap: "clustered" },
    422,
    "RAID_BAD_CLUSTER",
    "unsupported-on-clustered",
    /near copies only/,
  ],
  [
    "a clustered offset layout",
    { layout: "o2", bitmap: "clustered" },
    422,
    "RAID_BAD_CLUSTER",
    "unsupported-on-clustered",
    /far and offset ones/,
  ],
  [
    "a cluster of more nodes than a bitmap has room for",
    { bitmap: "clustered", nodes: 65 },
    422,
    "API_VALIDATION_FAILED",
    "validation-failed",
    /nodes.*64/,
  ],
  [
    "write-mostly members of a clustered array",
    { level: "raid1", bitmap: "clustered", write_mostly: ["disk1"] },
    422,
    "RAID_UNSUPPORTED_ON_CLUSTERED",
    "unsupported-on-clustered",
    /not possible in a clustered array/,
  ],
  [
    "write-mostly members of a raid10",
    { write_mostly: ["disk1"] },
    422,
    "RAID_FLAG_UNSUPPORTED",
    "flag-unsupported",
    /write-mostly is for raid1/,
  ],
  [
    "a flag for a device that is not in it",
    { failfast: ["disk5"] },
    404,
    "CONTROL_MEMBER_NOT_FOUND",
    "not-found",
    /disk5 is not among/,
  ],
  [
    "both copies of something missing",
    { device_ids: ["missing", "missing", "disk1", "disk2"] },
    409,
    "RAID_NOT_ENOUGH_MEMBERS",
    "not-enough-members",
    /all copies of some data/,
  ],
  [
    "more than the devices hold",
    { size: 2 ** 30 },
    422,
    "RAID_MEMBER_TOO_SMALL",
    "device-too-small",
    /disk1\.img of 16384 sectors leaves/,
  ],
  [
    "a mix of sectors of 512 and 4096 bytes",
    { device_ids: ["disk1", "disk2", "disk3", "disk5"] },
    422,
    "RAID_SECTOR_SIZE_MISMATCH",
    "sector-size-mismatch",
    /disk1\.img has sectors of 512 bytes, .*disk5\.img of 4096/,
  ],
  [
    "a bitmap of chunks that are too small",
    { bitmap_chunk_size: 5000 },
    422,
    "RAID_BAD_BITMAP_CHUNK",
    "validation-failed",
    /power of two/,
  ],
];

test(
  "refuses before anything is written: code, problem type, sentence and remedy",
  inFolder(async (folder) => {
    await using api = await openBoard(folder);
    api.engine.hold(api.image("disk5"), { logicalBlockSize: 4096 });
    for (const [name, over, status, code, slug, detail] of REFUSALS) {
      for (const url of [ARRAYS, `${ARRAYS}?dry_run=true`]) {
        const { body, ...answer } = await api.ask("POST", url, { body: order(over) });
        assert.equal([answer.status, body.code], [status, code], `${name}: ${body.detail}`);
        assert.is(body.type, `urn:satsuma:problem:${slug}`, name);
        assert.match(body.detail, detail);
        assert.ok(body.correction.length > 0, name);
      }
    }
    assert.is(api.engine.arrays.size, 0);
  }),
);

test.run();
