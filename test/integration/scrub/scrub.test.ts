/**
 * Scrubs and spare groups on the real daemon: pauses that outlive kill -9, mismatches over several
 * parts, schedules, spares that move, all through the command line.
 */
import { closeSync, openSync, writeSync } from "node:fs";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { ArrayResource } from "../../../src/api/schemas/array.ts";
import type { JobResource } from "../../../src/api/schemas/job.ts";
import type { ScrubResource } from "../../../src/api/schemas/schedule.ts";
import { memberContent } from "../../helpers/engine-bench.ts";
import { runSatsuma, trySatsuma } from "../../helpers/satsuma-command.ts";
import { ServeProcess } from "../../helpers/serve-process.ts";
import { inFolder } from "../../helpers/temporary-folder.ts";
import { eventually, withTimeout } from "../../helpers/timeout.ts";

const MIB = 1024 * 1024;
/** What a check counts as one, as md does. */
const COMPARED = 64 * 1024;
const SIZE = 64 * MIB;
/** Slow enough that a check of the array is still under way when the test looks. */
const SLOW = 4 * MIB;
const FAST = 2 ** 40;

class ScrubBoard {
  readonly serve: ServeProcess;

  constructor(folder: string) {
    this.serve = new ServeProcess(folder);
  }

  /** The command line; returns what it printed. */
  async cli(...args: string[]): Promise<string> {
    const [verb = "", ...rest] = args;
    return (await runSatsuma(verb, "--data", this.serve.dataDir, ...rest)).stdout;
  }

  async refusal(...args: string[]): Promise<string> {
    const [verb = "", ...rest] = args;
    return (await trySatsuma(verb, "--data", this.serve.dataDir, ...rest)).stderr;
  }

  /** Makes an array that is clean from the start; returns the paths of its devices. */
  async create(name: string, copies: number, spares = 0): Promise<string[]> {
    const paths: string[] = [];
    const ids: string[] = [];
    for (let index = 0; index < copies + spares; index += 1) {
      const order = { name: `${name}-${index}`, size: SIZE };
      const made = (await this.serve.request("POST", "/devices", order)) as {
        id: string;
        status: { path: string };
      };
      paths.push(made.status.path);
      ids.push(made.id);
    }
    const order = { name, level: "raid1", device_ids: ids, raid_devices: copies };
    await this.serve.request("POST", "/arrays", { ...order, assume_clean: true });
    return paths;
  }

  async array(name: string): Promise<ArrayResource> {
    return (await this.serve.request("GET", `/arrays/${name}`)) as ArrayResource;
  }

  async scrubs(name: string): Promise<ScrubResource[]> {
    const path = `/arrays/${name}/scrubs`;
    return ((await this.serve.request("GET", path)) as { items: ScrubResource[] }).items;
  }

  /** Jobs of checks, newest first. */
  async checks(): Promise<JobResource[]> {
    const { items } = (await this.serve.request("GET", "/jobs")) as { items: JobResource[] };
    return items.filter(({ kind }) => kind === "array.check");
  }

  async limitSpeed(name: string, speed: number): Promise<void> {
    const limits = { sync_speed_min: 1024, sync_speed_max: speed };
    await this.serve.request("PUT", `/arrays/${name}/sync-action`, limits);
  }

  async until<R>(what: string, probe: () => Promise<R>): Promise<Exclude<R, undefined | false>> {
    return await eventually(what, 30_000, probe);
  }
}

const withBoard = (body: (board: ScrubBoard) => Promise<void>) =>
  withTimeout(
    120_000,
    inFolder(async (folder) => {
      const board = new ScrubBoard(folder);
      await board.serve.start();
      try {
        await body(board);
      } finally {
        await board.serve.shutDown();
      }
    }),
  );

/** Makes the sectors at `offset` of the array differ on this member. */
function corrupt(path: string, offset: number, length: number): void {
  const { superblock } = memberContent(path);
  const file = openSync(path, "r+");
  writeSync(file, Buffer.alloc(length, 0xa5), 0, length, superblock.dataOffset * 512 + offset);
  closeSync(file);
}

const test = suite("scrub");

test(
  "a paused check outlives kill -9 and goes on from its position, in the same job",
  withBoard(async (board) => {
    await board.create("vol", 2);
    await board.limitSpeed("vol", SLOW);
    await board.cli("check", "vol");
    await board.until("some MiB are compared", async () => {
      const { sync } = (await board.array("vol")).status;
      return sync !== null && sync.completed >= 4 * MIB;
    });
    await board.cli("pause", "vol");
    const [job] = await board.checks();
    assert.is(job?.state, "paused");
    await board.until("the engine has stopped", async () => {
      return (await board.array("vol")).status.sync === null;
    });
    const [paused] = await board.scrubs("vol");
    assert.is(paused?.state, "paused");
    assert.ok((paused?.position ?? 0) >= 4 * MIB && (paused?.position ?? 0) < SIZE);

    await board.serve.kill9();
    await board.serve.start();
    const after = await board.array("vol");
    // The limits of the array are kept too.
    assert.equal([after.config.sync_speed_max, after.status.sync], [SLOW, null]);
    assert.equal(
      (await board.checks()).map(({ id, state }) => [id, state]),
      [[job?.id, "paused"]],
    );
    await board.cli("resume", "vol");
    const sync = await board.until("it runs again", async () => {
      return (await board.array("vol")).status.sync ?? undefined;
    });
    assert.is(sync.action, "check");
    assert.ok(sync.completed >= (paused?.position ?? SIZE));
    await board.limitSpeed("vol", FAST);
    await board.until("it is done", async () => (await board.checks())[0]?.state === "succeeded");
    const scrubs = await board.scrubs("vol");
    assert.equal(
      scrubs.map(({ state, mismatch_count }) => [state, mismatch_count]),
      [["succeeded", 0]],
    );
    assert.match(await board.refusal("pause", "vol"), "CLI_NOTHING_TO_PAUSE");
    assert.match(await board.refusal("resume", "vol"), "CLI_NOTHING_TO_RESUME");
  }),
);

test(
  "a check that kill -9 interrupts goes on by itself at the next start",
  withBoard(async (board) => {
    await board.create("vol", 2);
    await board.limitSpeed("vol", SLOW);
    await board.cli("check", "vol");
    const [job] = await board.checks();
    // A position is stored every few seconds.
    const before = await board.until("a position is stored", async () => {
      const { sync } = (await board.array("vol")).status;
      return sync !== null && sync.completed >= 26 * MIB && sync.completed;
    });
    await board.serve.kill9();
    await board.serve.start();
    const sync = await board.until("it runs again", async () => {
      const now = (await board.array("vol")).status.sync;
      return now?.action === "check" ? now : undefined;
    });
    assert.ok(sync.completed > 0 && sync.completed <= before + SLOW);
    await board.limitSpeed("vol", FAST);
    await board.until("it is done", async () => (await board.checks())[0]?.state === "succeeded");
    assert.equal(
      (await board.checks()).map(({ id }) => id),
      [job?.id],
    );
    assert.is((await board.array("vol")).status.health, "optimal");
  }),
);

test(
  "mismatches of a range are counted and placed; a repair makes them go",
  withBoard(async (board) => {
    const [, second = ""] = await board.create("vol", 2);
    corrupt(second, 5 * MIB, COMPARED);
    corrupt(second, 20 * MIB, COMPARED);
    await board.cli("check", "vol", "--from", "4M", "--to", "8M", "--wait");
    await board.cli("check", "vol", "--wait");
    const [whole, part] = await board.until("both are told", async () => {
      const scrubs = await board.scrubs("vol");
      return scrubs.length === 2 && scrubs.every(({ state }) => state === "succeeded") && scrubs;
    });
    assert.equal([part?.from, part?.to, part?.mismatch_count], [4 * MIB, 8 * MIB, 128]);
    assert.equal(part?.mismatches.ranges, [{ offset: 5 * MIB, length: COMPARED }]);
    assert.is(whole?.mismatch_count, 256);
    assert.equal(
      whole?.mismatches.ranges.map(({ offset }) => offset),
      [5 * MIB, 20 * MIB],
    );
    // A check changes neither the content nor the health.
    assert.is((await board.array("vol")).status.health, "optimal");
    await board.cli("repair", "vol", "--wait");
    await board.cli("check", "vol", "--wait");
    const [again] = await board.scrubs("vol");
    assert.is(again?.mismatch_count, 0);
  }),
);

test(
  "a schedule checks an array that was never checked, and tells when the next check is due",
  withBoard(async (board) => {
    await board.create("vol", 2);
    assert.match(await board.cli("schedule", "vol"), "no schedule");
    assert.match(await board.refusal("schedule", "vol", "--cron", "never"), "five fields");
    const set = await board.cli("schedule", "vol", "--every", "30", "--max-speed", "512M");
    assert.match(set, "vol: check 30 days after the last one, at most 512 MiB/s");
    await board.until(
      "it is checked",
      async () => (await board.scrubs("vol"))[0]?.state === "succeeded",
    );
    const [scrub] = await board.scrubs("vol");
    assert.equal([scrub?.scheduled, scrub?.created_by], [true, "schedule"]);
    const shown = JSON.parse(await board.cli("schedule", "vol", "--json"));
    const days =
      (Date.parse(shown.status.due_at) - Date.parse(scrub?.started_at ?? "")) / 86_400_000;
    assert.is(Math.round(days * 1000), 30_000);
    const windowed = await board.cli("schedule", "vol", "--window", "01:00-05:00", "--disable");
    assert.match(windowed, "between 01:00 and 05:00 UTC");
    assert.match(windowed, "(switched off)");
    assert.match(await board.cli("schedule", "vol", "--off"), "no schedule");
  }),
);

test(
  "a spare of another array of the group takes a failed member's place",
  withBoard(async (board) => {
    const [, second = ""] = await board.create("poor", 2);
    const [, , spare = ""] = await board.create("rich", 2, 1);
    assert.match(await board.cli("spare-group", "poor"), "no spare group");
    for (const name of ["poor", "rich"]) await board.cli("spare-group", name, "shelf");
    await board.cli("fail", "poor", second);
    await board.until("poor is whole again", async () => {
      const { status } = await board.array("poor");
      const member = status.members.find(({ path }) => path === spare);
      return status.health === "optimal" && member?.states.includes("in_sync");
    });
    const rich = await board.array("rich");
    assert.equal(
      [rich.status.health, rich.status.members.length, rich.status.degraded],
      ["optimal", 2, 0],
    );
    const { items } = (await board.serve.request("GET", "/events?types=spare.moved")) as {
      items: { mdadm_event: string }[];
    };
    assert.equal(
      items.map(({ mdadm_event }) => mdadm_event),
      ["MoveSpare"],
    );
    assert.match(await board.cli("spare-group", "rich", "--none"), "no spare group");
  }),
);

test(
  "a recovery is paused by freezing the array and goes on when it is resumed",
  withBoard(async (board) => {
    const [, second = ""] = await board.create("vol", 2);
    await board.limitSpeed("vol", SLOW);
    await board.cli("fail", "vol", second);
    await board.cli("remove", "vol", second);
    await board.cli("add", "vol", second, "--force");
    const sync = await board.until("it is being rebuilt", async () => {
      return (await board.array("vol")).status.sync ?? undefined;
    });
    assert.is(sync.action, "recover");
    await board.cli("pause", "vol");
    await board.until(
      "it stands still",
      async () => (await board.array("vol")).status.sync === null,
    );
    const job = (await board.serve.request("GET", `/jobs/${sync.job_id}`)) as JobResource;
    assert.equal([job.kind, job.state], ["array.recover", "paused"]);
    await board.limitSpeed("vol", FAST);
    await board.cli("resume", "vol");
    await board.until(
      "it is whole",
      async () => (await board.array("vol")).status.health === "optimal",
    );
    const ended = (await board.serve.request("GET", `/jobs/${sync.job_id}`)) as JobResource;
    assert.is(ended.state, "succeeded");
  }),
);

test.run();
