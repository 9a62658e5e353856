// wall-limit: 400 s
/**
 * A member goes wrong under a running board; the outcome is md's, it shows in API, CLI and metrics
 * within two seconds, and no acknowledged write is lost. (The panel has its own test.)
 */
import { rmSync, statSync, truncateSync } from "node:fs";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type Board, startBoard, waitForSync } from "../../helpers/board.ts";
import { runCommand } from "../../helpers/command.ts";
import { NbdClient } from "../../helpers/nbd-client.ts";
import { runSatsuma, trySatsuma } from "../../helpers/satsuma-command.ts";
import { eventually, withTimeout } from "../../helpers/timeout.ts";

/** What the purpose of the product promises: seen within this. */
const SEEN_MS = 2_000;
const CELL = 4096;

interface MemberView {
  readonly slot: number | null;
  readonly device_id: string | null;
  readonly path: string | null;
  readonly states: readonly string[];
  readonly errors_corrected: number;
  readonly bad_blocks: number;
  readonly stalled_since: string | null;
}

interface ArrayView {
  readonly id: string;
  readonly status: {
    readonly health: string;
    readonly degraded: number;
    readonly in_sync_copies: number;
    readonly members: readonly MemberView[];
  };
}

const arrayOf = async (board: Board): Promise<ArrayView> => {
  const { items } = (await board.request("GET", "/arrays")) as { items: readonly ArrayView[] };
  const [only] = items;
  if (only === undefined) throw new Error("the board has no array");
  return only;
};

const memberOn = async (board: Board, disk: number): Promise<MemberView> => {
  const { status } = await arrayOf(board);
  const found = status.members.find(({ path }) => path === board.disks[disk]);
  if (found === undefined) throw new Error(`disk ${disk} is no member`);
  return found;
};

const deviceId = async (board: Board, disk: number): Promise<string> => {
  const { device_id: id } = await memberOn(board, disk);
  if (id === null) throw new Error("the member has no device");
  return id;
};

/** Where a member's content lies; its metadata lies before. */
const DATA = { offset: 1024 * 1024, length: 2 ** 30 };

const inject = async (board: Board, disk: number, fault: object): Promise<void> => {
  const body = { device_id: await deviceId(board, disk), ...fault };
  await board.request("POST", "/lab/faults", body);
};

const metrics = async (board: Board): Promise<string> => {
  const headers = { authorization: `Bearer ${board.token}` };
  return await (await fetch(`${board.url}/metrics`, { headers })).text();
};

const cell = (id: number): Uint8Array => new Uint8Array(new Uint32Array(CELL / 4).fill(id).buffer);

const writeCells = async (client: NbdClient, from: number, count: number): Promise<void> => {
  const writes = Array.from({ length: count }, (_, index) =>
    client.write((from + index) * CELL, cell(from + index + 1)),
  );
  await Promise.all(writes);
};

const checkCells = async (client: NbdClient, from: number, count: number): Promise<void> => {
  for (let index = from; index < from + count; index++) {
    const content = await client.read(index * CELL, CELL);
    assert.ok(Buffer.compare(content, cell(index + 1)) === 0, `cell ${index} reads back`);
  }
};

/** A member is seen faulty in every view, in time. */
const seenFailed = async (board: Board, disk: number): Promise<void> => {
  await eventually("the API shows the failed member", SEEN_MS, async () => {
    const { status } = await arrayOf(board);
    const member = await memberOn(board, disk);
    return member.states.includes("faulty") && status.health === "degraded";
  });
  await eventually("the metrics show it", SEEN_MS, async () => {
    const text = await metrics(board);
    return (
      /node_md_disks\{[^}]*state="failed"[^}]*\} 1/.test(text) &&
      /node_md_degraded\{[^}]*\} 1/.test(text)
    );
  });
  const { stdout } = await runSatsuma("status", "--data", board.dataDir);
  assert.match(stdout, /degraded/);
  assert.match(stdout, /_U|U_/);
  const detail = await runSatsuma("detail", "md0", "--json", "--data", board.dataDir);
  assert.match(detail.stdout, /"faulty"/);
};

/** mdadm finds the failure recorded on the remaining leg, and the failed one left behind. */
const recordedOn = async (board: Board, disk: number, failed: number): Promise<void> => {
  const path = board.disks[disk] ?? "";
  const { stdout } = await runCommand("mdadm", ["--examine", path]);
  const word = failed === 0 ? ".A" : "A.";
  assert.ok(stdout.includes(`Array State : ${word}`), stdout);
};

const withBoard = (body: (board: Board, client: NbdClient) => Promise<void>) =>
  withTimeout(90_000, async () => {
    const board = await startBoard({ args: ["--size", "64M"] });
    try {
      await waitForSync(board);
      const client = await NbdClient.attach(board.socket, "md0");
      await writeCells(client, 0, 64);
      await body(board, client);
      client.close();
      await board.shutDown();
    } finally {
      await board.kill9();
      board.remove();
    }
  });

const test = suite("faults/outcomes");

test(
  "a write error on the nth write fails the member, and every write is acknowledged",
  withBoard(async (board, client) => {
    await inject(board, 1, { kind: "write-error", after: 5 });
    await writeCells(client, 64, 64);
    await seenFailed(board, 1);
    await recordedOn(board, 0, 1);
    await checkCells(client, 0, 128);
    await board.request("DELETE", "/lab/faults");
    const { id } = await arrayOf(board);
    const device = await deviceId(board, 1);
    await board.request("DELETE", `/arrays/${id}/members/${device}`);
    await board.request("POST", `/arrays/${id}/members/${device}/actions/re-add`);
    await waitForSync(board);
    await client.flush();
  }),
);

test(
  "what a member cannot write is noted in its bad-block list, and written elsewhere",
  withBoard(async (board, client) => {
    const range = { offset: DATA.offset + 16 * CELL, length: 4096 };
    await inject(board, 1, { kind: "write-error", range });
    await writeCells(client, 0, 64);
    await eventually("the bad block is told", SEEN_MS, async () => {
      const member = await memberOn(board, 1);
      return member.bad_blocks > 0 && member.states.includes("write_error");
    });
    const member = await memberOn(board, 1);
    assert.ok(member.states.includes("in_sync"), "it stays in its place");
    await checkCells(client, 0, 64);
  }),
);

test(
  "a read error is answered from the other member and corrected by rewriting",
  withBoard(async (board, client) => {
    // Reads of the first stripe go to the first member, unless it is slow at the moment.
    await inject(board, 0, { kind: "read-error", count: 1 });
    await eventually("a correction is counted", SEEN_MS, async () => {
      await checkCells(client, 0, 64);
      const { status } = await arrayOf(board);
      return status.members.some((member) => member.errors_corrected > 0);
    });
    const { status } = await arrayOf(board);
    assert.is(status.health, "optimal");
    assert.is(status.in_sync_copies, 2);
  }),
);

test(
  "a stall of five seconds delays writes, fails nobody, and is named meanwhile",
  withBoard(async (board, client) => {
    await inject(board, 1, { kind: "stall", stall_ms: 5000, count: 1 });
    const write = client.write(0, cell(1));
    await eventually("the stall is named", 4_000, async () => {
      const member = await memberOn(board, 1);
      return member.stalled_since !== null;
    });
    // Reads of what the other member holds go on meanwhile.
    await checkCells(client, 1, 63);
    await write;
    await checkCells(client, 0, 64);
    const { status } = await arrayOf(board);
    assert.is(status.health, "optimal");
    assert.is(status.in_sync_copies, 2);
  }),
);

test(
  "a file that disappears fails its member, and writes go on",
  withBoard(async (board, client) => {
    rmSync(board.disks[1] ?? "");
    await eventually("the vanished member is faulty", SEEN_MS, async () => {
      const member = await memberOn(board, 1);
      return member.states.includes("faulty");
    });
    await writeCells(client, 64, 16);
    await seenFailed(board, 1);
    await recordedOn(board, 0, 1);
    await checkCells(client, 0, 80);
  }),
);

test(
  "a file that was cut and brought back to its size is rebuilt whole, never by its bitmap",
  withBoard(async (board, client) => {
    const [kept = "", cut = ""] = board.disks;
    const { size } = statSync(cut);
    truncateSync(cut, 2 ** 20);
    await eventually("the cut member is faulty", SEEN_MS, async () => {
      const member = await memberOn(board, 1);
      return member.states.includes("faulty");
    });
    await runSatsuma("remove", "md0", cut, "--data", board.dataDir);
    truncateSync(cut, size);
    const refused = await trySatsuma("re-add", "md0", cut, "--data", board.dataDir);
    assert.is(refused.ending, "1");
    assert.match(refused.stderr, /RAID_RE_ADD_REFUSED.*it was cut from/s);
    await runSatsuma("add", "md0", cut, "--data", board.dataDir);
    await waitForSync(board);
    await runSatsuma("fail", "md0", kept, "--data", board.dataDir);
    await checkCells(client, 0, 64);
  }),
);

test(
  "a file that was cut while the board was down is not trusted when it has its size again",
  withBoard(async (board, client) => {
    const [, cut = ""] = board.disks;
    const { size } = statSync(cut);
    client.close();
    await board.kill9();
    truncateSync(cut, 2 ** 20);
    await board.start();
    await eventually("the array runs without it", SEEN_MS, async () => {
      return (await arrayOf(board)).status.health === "degraded";
    });
    await board.kill9();
    truncateSync(cut, size);
    await board.start();
    assert.is((await arrayOf(board)).status.in_sync_copies, 1, "its superblock says in sync");
    const refused = await trySatsuma("re-add", "md0", cut, "--data", board.dataDir);
    assert.match(refused.stderr, /RAID_RE_ADD_REFUSED.*it was cut from/s);
  }),
);

test(
  "the last in-sync member is never failed: the client gets the error",
  withBoard(async (board, client) => {
    const { id } = await arrayOf(board);
    const device = await deviceId(board, 1);
    await board.request("POST", `/arrays/${id}/members/${device}/actions/fail`);
    await inject(board, 0, { kind: "write-error", range: DATA });
    let refused = "";
    await client.write(0, cell(7)).catch((error: Error) => {
      refused = error.message;
    });
    assert.match(refused, /NBD error 5/);
    const member = await memberOn(board, 0);
    assert.equal(member.states, ["in_sync"]);
    assert.is(member.bad_blocks, 0, "the last copy of a place is not given up");
    await board.request("DELETE", "/lab/faults");
    await client.write(0, cell(1));
    await checkCells(client, 0, 64);
    const last = await deviceId(board, 0);
    let problem = "";
    await board
      .request("POST", `/arrays/${id}/members/${last}/actions/fail`)
      .catch((error: Error) => {
        problem = error.message;
      });
    assert.match(problem, /409/);
    assert.match(problem, /last-in-sync-member/);
  }),
);

test.run();
