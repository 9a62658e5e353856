/**
 * `satsuma demo` and the online verbs as their users run them: real processes, real devices, the
 * real engine. One board serves most tests; those that end or kill a board have their own.
 */
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { ArrayResource } from "../../../src/api/schemas/array.ts";
import { type Board, startBoard } from "../../helpers/board.ts";
import type { CommandResult } from "../../helpers/command.ts";
import { runSatsuma, trySatsuma } from "../../helpers/satsuma-command.ts";
import { inFolder } from "../../helpers/temporary-folder.ts";
import { eventually, withTimeout } from "../../helpers/timeout.ts";

const SIZE = ["--size", "64M"];
const SATSUMA_BIN = join(import.meta.dirname, "..", "..", "..", "bin", "satsuma");

interface Shared {
  board: Board;
}

const shared = {} as Shared;
const test = suite("cli/demo");

const online = (verb: string, ...args: string[]): Promise<CommandResult> =>
  trySatsuma(...verb.split(" "), ...args, "--data", shared.board.dataDir);

/** Runs a verb that must succeed and returns what it printed as JSON. */
async function asJson<Value>(verb: string, ...args: string[]): Promise<Value> {
  const { ending, stdout, stderr } = await online(verb, ...args, "--json");
  assert.is(ending, "0", `${verb}: ${stderr}`);
  return JSON.parse(stdout) as Value;
}

const memberStates = (array: ArrayResource): string[] =>
  array.status.members.map(({ device_id, states }) => `${device_id} ${states.join("+")}`).sort();

test.before(
  withTimeout(60_000, async () => {
    shared.board = await startBoard({ args: SIZE });
  }),
);

test.after(
  withTimeout(60_000, async () => {
    await shared.board.stop();
  }),
);

test("leaves credentials that only their owner reads, with everything a client needs", () => {
  const { board } = shared;
  const file = join(board.dataDir, "credentials.json");
  assert.is(statSync(file).mode & 0o777, 0o600);
  const { boards, etcd } = JSON.parse(readFileSync(file, "utf8"));
  assert.equal([boards.length, etcd], [1, null]);
  const [told] = boards;
  assert.match(told.url, /^http:\/\/127\.0\.0\.1:\d+$/);
  assert.match(told.nbd, /^127\.0\.0\.1:\d+$/);
  assert.match(told.token, /^satsuma_/);
  assert.equal([told.data_dir, told.nbd_socket], [board.dataDir, join(board.dataDir, "nbd.sock")]);
  assert.ok(existsSync(`/proc/${told.pid}`));
  assert.equal(
    told.disks.map((disk: string) => statSync(disk).size),
    [64 * 2 ** 20, 64 * 2 ** 20],
  );
});

test("prints where the panel is and how to attach, with the token as a fragment of the link", () => {
  const { board } = shared;
  assert.ok(board.output.includes(`${board.url}/#token=${board.token}`), board.output);
  assert.ok(board.output.includes(`nbdinfo '${board.nbdUri}'`));
  assert.not.match(readFileSync(join(board.dataDir, "daemon.log"), "utf8"), board.token);
});

test(
  "status, detail, devices, export and events tell of the board",
  withTimeout(60_000, async () => {
    const status = await online("status");
    assert.match(
      status.stdout,
      /^Array md0 is optimal\. Any one member may fail\.\n\nmd0 : active raid1/,
    );
    assert.match((await online("detail", "md0")).stdout, "Raid Level : raid1");
    assert.match((await online("devices")).stdout, /disk1 +in-use/);
    const exports = await asJson<{ id: string }[]>("export list");
    assert.equal(
      exports.map(({ id }) => id),
      ["md0"],
    );
    const attach = await online("export attach", "md0", "--target", "nbdinfo");
    assert.is(attach.stdout, `nbdinfo '${shared.board.nbdUri}'\n`);
    const events = await online("events", "--json", "--types", "array.created");
    assert.match(JSON.parse(events.stdout).message, "md0");
  }),
);

test(
  "fails, removes and adds a member in md's words, to the end of the recovery",
  withTimeout(120_000, async () => {
    const failed = await asJson<ArrayResource>("fail", "md0", "disk2");
    assert.equal([failed.status.health, failed.status.degraded], ["degraded", 1]);
    const last = await online("fail", "md0", "disk1");
    assert.is(last.ending, "1");
    assert.match(last.stderr, /^satsuma: RAID_LAST_IN_SYNC_MEMBER: .*last in-sync/);
    const removed = await asJson<ArrayResource>("remove", "md0", shared.board.disks[1] ?? "");
    assert.ok(memberStates(removed).every((line) => !line.startsWith("disk2")));
    await online("add", "md0", "disk2", "--wait");
    const healed = await eventually("the array is optimal", 60_000, async () => {
      const array = await asJson<ArrayResource>("detail", "md0");
      return array.status.health === "optimal" && array;
    });
    assert.equal(memberStates(healed), ["disk1 in_sync", "disk2 in_sync"]);
    const check = await online("check", "md0", "--wait");
    assert.equal([check.ending, check.stderr], ["0", ""]);
    assert.is((await asJson<ArrayResource>("detail", "md0")).status.mismatch_count, 0);
  }),
);

test(
  "stops and assembles the array; its export goes and comes back",
  withTimeout(60_000, async () => {
    const stopped = await asJson<ArrayResource>("stop", "md0");
    assert.is(stopped.status.array_state, "inactive");
    const exported = await asJson<{ status: { state: string } }[]>("export list");
    assert.is(exported[0]?.status.state, "offline");
    const twice = await online("fail", "md0", "disk1");
    assert.match(twice.stderr, "CONTROL_ARRAY_NOT_RUNNING");
    const started = await asJson<ArrayResource>("assemble", "md0");
    assert.is(started.status.health, "optimal");
    const again = await asJson<{ status: { state: string } }[]>("export list");
    assert.is(again[0]?.status.state, "online");
  }),
);

test(
  "exports are made and deleted",
  withTimeout(60_000, async () => {
    const made = await asJson<{ config: { read_only: boolean } }>(
      "export create",
      "ro",
      "md0",
      "--read-only",
    );
    assert.is(made.config.read_only, true);
    assert.is((await online("export delete", "ro")).stdout, "export ro deleted\n");
    assert.match((await online("export delete", "ro")).stderr, "CONTROL_EXPORT_NOT_FOUND");
  }),
);

test(
  "errors are one line with a code: 1 when refused, 2 when misused",
  withTimeout(60_000, async () => {
    const rows: readonly (readonly [string[], string, RegExp])[] = [
      [["detail", "md9"], "1", /^satsuma: CONTROL_ARRAY_NOT_FOUND: [^\n]*\n$/],
      [["fail", "md0", "/nowhere.img"], "1", /^satsuma: CLI_DEVICE_UNKNOWN: [^\n]*\n$/],
      [["assemble"], "2", /^satsuma: CLI_BAD_USAGE: [^\n]*\n$/],
      [["detail"], "2", /^satsuma: CLI_BAD_USAGE: [^\n]*\n$/],
      [["events", "--limit", "0"], "2", /^satsuma: CLI_BAD_USAGE: [^\n]*\n$/],
      [["status", "--api", "http://127.0.0.1:1"], "1", /^satsuma: CLI_API_UNREACHABLE: /],
      [["status", "--token", "satsuma_x"], "1", /^satsuma: API_UNAUTHENTICATED: /],
    ];
    for (const [args, ending, line] of rows) {
      const result = await online(args[0] ?? "", ...args.slice(1));
      assert.is(result.ending, ending, args.join(" "));
      assert.match(result.stderr, line);
      assert.is(result.stdout, "");
    }
    const nowhere = await trySatsuma("status", "--data", "/nowhere");
    assert.match(nowhere.stderr, /^satsuma: CLI_NO_DAEMON: /);
  }),
);

test(
  "a second daemon on the folder, and busy ports asked for by name, are refused",
  withTimeout(60_000, async () => {
    const second = await trySatsuma("demo", "--data", shared.board.dataDir, ...SIZE);
    assert.is(second.ending, "1");
    assert.match(second.stderr, /^satsuma: STORE_IN_USE: .*demo\.lock is held/);
    // It would have ended the etcd that a demo of several boards runs there.
    const several = await trySatsuma("demo", "--boards", "3", "--data", shared.board.dataDir);
    assert.match(several.stderr, /^satsuma: STORE_IN_USE: .*demo\.lock is held/);
    const made = ["etcd", "board1"].filter((name) => existsSync(join(shared.board.dataDir, name)));
    assert.equal(made, []);
    const served = await trySatsuma("serve", "--data", shared.board.dataDir);
    assert.match(served.stderr, /^satsuma: STORE_IN_USE: /);
    await inFolder(async (folder) => {
      const http = shared.board.url.replace("http://", "");
      const busy = await trySatsuma("demo", "--data", folder, ...SIZE, "--http", http);
      assert.match(busy.stderr, /^satsuma: API_ADDRESS_IN_USE: /);
      const nbd = await trySatsuma(
        "demo",
        "--data",
        folder,
        ...SIZE,
        "--nbd",
        shared.board.nbdAddress,
      );
      assert.match(nbd.stderr, /^satsuma: NBD_ADDRESS_IN_USE: /);
    })();
  }),
);

test(
  "a number of boards that makes no sense is refused, and so is one board that shares its disks",
  withTimeout(60_000, async () => {
    await inFolder(async (folder) => {
      for (const [flags, ending, code] of [
        [["--boards", "9"], "2", /^satsuma: CLI_BAD_USAGE: /],
        [["--shared"], "2", /^satsuma: CLI_BAD_USAGE: /],
        [["--boards", "0", "--shared"], "2", /^satsuma: CLI_BAD_USAGE: /],
      ] as const) {
        const refused = await trySatsuma("demo", "--data", folder, ...flags);
        assert.is(refused.ending, ending);
        assert.match(refused.stderr, code);
      }
    })();
  }),
);

test(
  "a second start with the same folder takes the board up again, with its token",
  withTimeout(120_000, async () => {
    const board = await startBoard({ args: SIZE });
    try {
      const { token } = board;
      await board.request("POST", "/arrays/md0/members/disk2/actions/fail");
      await board.restart();
      assert.is(board.token, token);
      const { items } = (await board.request("GET", "/arrays")) as { items: ArrayResource[] };
      assert.equal(
        items.map(({ name, status }) => [name, status.health]),
        [["md0", "degraded"]],
      );
    } finally {
      await board.stop();
    }
  }),
);

test(
  "after a kill of the daemon the demo ends and says so; the next start resumes",
  withTimeout(120_000, async () => {
    const board = await startBoard({ args: SIZE });
    try {
      const { pid } = board;
      process.kill(pid, "SIGKILL");
      await eventually("the demo tells", 10_000, () => board.output.includes("CLI_BOARD_ENDED"));
      await board.kill9();
      await board.start();
      assert.is.not(board.pid, pid);
      const { items } = (await board.request("GET", "/arrays")) as { items: ArrayResource[] };
      assert.is(items[0]?.status.array_state === "inactive", false);
    } finally {
      await board.stop();
    }
  }),
);

test(
  "serve tells the token once and where it keeps it",
  withTimeout(60_000, async () => {
    const help = await runSatsuma("serve", "--help");
    assert.match(help.stdout, "--data <dir>");
    const missing = await trySatsuma("serve");
    assert.equal([missing.ending, missing.stdout], ["1", ""]);
    assert.match(missing.stderr, /^satsuma: CONFIG_DATA_MISSING: /);
  }),
);

test(
  "a demo that cannot make its array leaves nothing behind that fails the next one",
  inFolder(async (folder) => {
    const small = await trySatsuma("demo", "--data", folder, "--size", "1K");
    assert.is(small.ending, "2");
    assert.match(
      small.stderr,
      "CLI_BAD_USAGE: --size 1K is too small for a disk; give at least 4M",
    );
    mkdirSync(join(folder, "disks"));
    const held = Buffer.alloc(8 * 2 ** 20);
    held.write("XFSB");
    writeFileSync(join(folder, "disks/disk1.img"), held);
    const ports = ["--http", "127.0.0.1:0", "--nbd", "127.0.0.1:0"];
    const refused = await trySatsuma("demo", "--data", folder, "--size", "8M", ...ports);
    assert.is(refused.ending, "1");
    assert.match(refused.stderr, "CONTROL_DEVICE_NOT_CLEAN");
    assert.ok(existsSync(join(folder, "disks/disk1.img")), "what was there stays");
    assert.not.ok(existsSync(join(folder, "disks/disk2.img")));
  }),
);

test(
  "a daemon ends cleanly when the process that wraps it is killed, as older Node.js needs one",
  withTimeout(
    60_000,
    inFolder(async (folder) => {
      // Without it `bin/satsuma` cannot become the program: that of Node.js 20 has none.
      const preload = "data:text/javascript,process.execve=undefined";
      const args = ["serve", "--data", folder, "--http", "127.0.0.1:0", "--nbd", "127.0.0.1:0"];
      const wrapper = spawn(process.execPath, ["--import", preload, SATSUMA_BIN, ...args], {
        stdio: "ignore",
      });
      const announcement = join(folder, "daemon.json");
      await eventually("the daemon runs", 30_000, () => existsSync(announcement));
      const { pid } = JSON.parse(readFileSync(announcement, "utf8")) as { readonly pid: number };
      assert.is.not(pid, wrapper.pid);
      wrapper.kill("SIGKILL");
      await eventually("the daemon has ended", 30_000, () => !existsSync(`/proc/${pid}`));
      assert.not.ok(existsSync(announcement), "it closed what it had open");
    }),
  ),
);

test.run();
