/** The metrics page: node_exporter's names and states, ours beside them, in Prometheus' format. */
import { rmSync } from "node:fs";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { ArrayStatus } from "../../../src/raid/array-status.ts";
import { type ApiBench, openApiBoard } from "../../helpers/api-bench.ts";
import { fakeMember, fakeSync } from "../../helpers/fake-status.ts";
import { inFolder } from "../../helpers/temporary-folder.ts";

const page = async (api: ApiBench): Promise<string> => (await api.ask("GET", "/metrics")).body;

/** The samples of one metric: `labels value` per line. */
const samples = (text: string, name: string): string[] =>
  text
    .split("\n")
    .filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `))
    .map((line) => line.slice(name.length));

const state = (text: string): string =>
  samples(text, "node_md_state")
    .filter((line) => line.endsWith(" 1"))
    .map((line) => /state="([a-z]+)"/.exec(line)?.[1])
    .join(" ");

const test = suite("api/metrics");

test(
  "is well-formed: every metric has its help and type before its samples, none twice",
  inFolder(async (folder) => {
    await using api = await openApiBoard(folder);
    await api.ask("POST", "/api/v1/exports", { body: { name: "md0", array: "md0" } });
    const answer = await api.ask("GET", "/metrics");
    assert.match(answer.headers["content-type"] as string, "text/plain; version=0.0.4");
    const lines = (answer.body as string).split("\n").filter((line) => line !== "");
    const seen = new Set<string>();
    let family = "";
    for (const line of lines) {
      const [, kind, name = ""] = /^# (HELP|TYPE) ([a-z_]+)/.exec(line) ?? [];
      if (kind === "HELP") {
        assert.not.ok(seen.has(name), `${name} twice`);
        seen.add(name);
        family = name;
      } else if (kind === undefined) {
        assert.match(line, /^[a-z_]+(\{([a-z_]+="[^"]*",?)*\})? -?[0-9.e+-]+$/);
        assert.ok(line.startsWith(family), `${line} below ${family}`);
      }
    }
    for (const name of ["node_md_state", "satsuma_array_health", "satsuma_io_seconds"]) {
      assert.ok(seen.has(name), name);
    }
  }),
);

test(
  "tells md's states by node_exporter's words",
  inFolder(async (folder) => {
    await using api = await openApiBoard(folder);
    const array = api.engine.array("md0");
    const rows: readonly (readonly [ArrayStatus["sync"], string])[] = [
      [null, "active"],
      [fakeSync({ action: "recover", startedAt: 1 }), "recovering"],
      [fakeSync({ action: "resync", startedAt: 2 }), "resync"],
      [fakeSync({ action: "check", startedAt: 3 }), "check"],
      [fakeSync({ action: "repair", startedAt: 4 }), "check"],
    ];
    for (const [sync, word] of rows) {
      array.show({ sync });
      assert.is(state(await page(api)), word);
    }
    await api.do("DELETE", "/api/v1/arrays/md0", { confirm: "md0" });
    assert.is(state(await page(api)), "inactive");
  }),
);

test(
  "counts members by state, empty raid slots as removed",
  inFolder(async (folder) => {
    await using api = await openApiBoard(folder);
    api.engine.array("md0").show({
      raidDevices: 4,
      degraded: 3,
      inSyncCopies: 1,
      health: "recovering",
      members: [
        fakeMember("/a", 0, ["in_sync"]),
        fakeMember("/b", 1, ["faulty"]),
        fakeMember("/c", 2, ["spare", "rebuilding"]),
        { ...fakeMember("/d", 3, ["removed"]), path: null },
      ],
    });
    const text = await page(api);
    assert.equal(samples(text, "node_md_disks"), [
      '{device="md0",state="active"} 1',
      '{device="md0",state="failed"} 1',
      '{device="md0",state="spare"} 1',
      '{device="md0",state="removed"} 1',
    ]);
    assert.equal(samples(text, "node_md_disks_required"), ['{device="md0"} 4']);
    assert.equal(samples(text, "node_md_degraded"), ['{device="md0"} 3']);
    assert.equal(samples(text, "satsuma_array_in_sync_copies"), ['{array="md0"} 1']);
    assert.ok(text.includes('satsuma_array_health{array="md0",health="recovering"} 1'));
    assert.ok(text.includes('satsuma_array_health{array="md0",health="optimal"} 0'));
  }),
);

test(
  "tells a sync's bytes, speed and time left, and keeps the totals when it has ended",
  inFolder(async (folder) => {
    await using api = await openApiBoard(folder);
    const array = api.engine.array("md0");
    const sync = fakeSync({ action: "recover", completedBytes: 500, copiedBytes: 400 });
    array.show({ sync: { ...sync, skippedBytes: 100 } });
    const during = await page(api);
    const labels = '{array="md0",action="recover",scope="full"}';
    assert.equal(samples(during, "satsuma_sync_bytes_total"), [`${labels} 400`]);
    assert.equal(samples(during, "satsuma_sync_skipped_bytes_total"), [`${labels} 100`]);
    assert.equal(samples(during, "satsuma_sync_speed_bytes"), [
      '{array="md0",action="recover"} 100',
    ]);
    assert.equal(samples(during, "satsuma_sync_eta_seconds"), [
      '{array="md0",bound="low"} 9',
      '{array="md0",bound="high"} 11',
    ]);
    array.show({ sync: null });
    const after = await page(api);
    assert.equal(samples(after, "satsuma_sync_bytes_total"), [`${labels} 400`]);
    assert.equal(samples(after, "satsuma_sync_speed_bytes"), []);
  }),
);

test(
  "sums histogram buckets up, tells requests by command and error, and clients",
  inFolder(async (folder) => {
    await using api = await openApiBoard(folder);
    await api.ask("POST", "/api/v1/exports", { body: { name: "md0", array: "md0" } });
    api.engine.attach("md0");
    const text = await page(api);
    const reads = text.split("\n").filter((line) => /^satsuma_io_seconds.*op="read"/.test(line));
    assert.equal(reads, [
      'satsuma_io_seconds_bucket{op="read",le="0.001"} 3',
      'satsuma_io_seconds_bucket{op="read",le="0.01"} 5',
      'satsuma_io_seconds_bucket{op="read",le="+Inf"} 6',
      'satsuma_io_seconds_sum{op="read"} 0.5',
      'satsuma_io_seconds_count{op="read"} 6',
    ]);
    assert.equal(samples(text, "satsuma_nbd_requests_total"), [
      '{cmd="read",err="0"} 5',
      '{cmd="write",err="5"} 1',
    ]);
    assert.equal(samples(text, "satsuma_export_clients"), ['{export="md0"} 1']);
  }),
);

test(
  "keeps the series of a device that is gone, at 0",
  inFolder(async (folder) => {
    await using api = await openApiBoard(folder);
    rmSync(api.image("disk2"));
    await api.control.monitor.tick();
    assert.equal(samples(await page(api), "satsuma_device_up"), [
      '{device="disk1"} 1',
      '{device="disk2"} 0',
      '{device="disk3"} 1',
    ]);
  }),
);

test.run();
