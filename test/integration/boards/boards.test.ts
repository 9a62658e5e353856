// wall-limit: 600 s
/**
 * Boards with disks of their own that they serve to each other, as their users run them: real
 * processes, a real etcd, certificates on every connection, clients on several boards at once.
 */
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { ArrayResource } from "../../../src/api/schemas/array.ts";
import type { BitmapResource } from "../../../src/api/schemas/bitmap.ts";
import type { DeviceResource } from "../../../src/api/schemas/device.ts";
import type { DlmResource } from "../../../src/api/schemas/dlm.ts";
import type { EventResource } from "../../../src/api/schemas/event.ts";
import type { PeerReportResource } from "../../../src/api/schemas/peer.ts";
import { tryCommand } from "../../helpers/command.ts";
import { compareLegs } from "../../helpers/fault-runs/leg-compare.ts";
import { LoneBoards } from "../../helpers/lone-boards.ts";
import { NbdClient } from "../../helpers/nbd-client.ts";
import { trySatsuma } from "../../helpers/satsuma-command.ts";
import type { ServeProcess } from "../../helpers/serve-process.ts";
import { type SharedBoards, startSharedBoards } from "../../helpers/shared-boards.ts";
import { skipUnless } from "../../helpers/skip.ts";
import { eventually, withTimeout } from "../../helpers/timeout.ts";

const MIB = 1024 * 1024;
const TEST_MS = 180_000;
const SETTLED_MS = 60_000;

const test = suite<{ boards: SharedBoards }>("boards/boards");
const etcdTest = skipUnless(["etcd", "mdadm"], test);

test.before(
  withTimeout(TEST_MS, async (context) => {
    context.boards = await startSharedBoards({ boards: 3, size: "64M", ownDisks: true });
  }),
);

test.after(
  withTimeout(TEST_MS, async ({ boards }) => {
    await boards.stop();
  }),
);

const legs = ({ folder }: SharedBoards): string[] =>
  [1, 2, 3].map((number) => join(folder, `board${number}`, "disks", "disk1.img"));

const fill = async (client: NbdClient, offset: number, value: number): Promise<void> =>
  await client.write(offset, new Uint8Array(MIB).fill(value), true);

/** The byte at the place, which all of its mebibyte holds. */
const valueAt = async (client: NbdClient, offset: number): Promise<number> => {
  const bytes = await client.read(offset, MIB);
  assert.ok(bytes.every((byte) => byte === bytes[0]));
  return bytes[0] ?? -1;
};

/** What the start of a new array has marked is cleared when it has been idle for a while. */
const untilClean = async (boards: SharedBoards): Promise<void> => {
  for (const at of boards.numbers)
    await eventually(`board ${at + 1} marks nothing`, SETTLED_MS, async () => {
      const { items } = await boards.ask<{ items: BitmapResource[] }>(
        at,
        "GET",
        "/arrays/md0/bitmaps",
      );
      return items.every(({ dirty }) => dirty === 0);
    });
};

/** Nothing differs but what a bitmap marks, and mdadm finds every member in its place. */
const assertEqualLegs = async (boards: SharedBoards): Promise<void> => {
  const report = await compareLegs(legs(boards));
  assert.ok(report.bytes > 32 * MIB);
  assert.equal(report.differences, []);
  for (const [slot, file] of legs(boards).entries()) {
    const { stdout } = await tryCommand("mdadm", ["--examine", file]);
    assert.match(stdout, `Device Role : Active device ${slot}`);
    assert.match(stdout, "Array State : AAA");
  }
};

etcdTest(
  "every board sees the disks of all, and reaches them; each serves its own to two peers",
  withTimeout(TEST_MS, async ({ boards }) => {
    for (const at of boards.numbers) {
      const me = `board${at + 1}`;
      const report = await eventually("all ways are known", SETTLED_MS, async () => {
        const told = await boards.ask<PeerReportResource>(at, "GET", "/peers");
        return told.paths.every(({ state }) => state !== "unknown" && state !== "down") && told;
      });
      assert.equal(
        report.items.map(({ id, here, state, disks }) => [id, here, state, disks.length]),
        ["board1", "board2", "board3"].map((id) => [id, id === me, "up", 2]),
      );
      assert.is(report.paths.length, 18);
      assert.ok(report.exporter?.open);
      const nodes = report.exporter?.sessions.filter(({ session }) => session.startsWith("node:"));
      assert.is(nodes?.length, 2);
    }
    const { items } = await boards.ask<{ items: DeviceResource[] }>(1, "GET", "/devices");
    assert.equal(
      items.map(({ id, status }) => `${id} ${status.node} ${status.state}`),
      [
        "board1.disk1 board1 in-use",
        "board1.spare1 board1 free",
        "board3.disk1 board3 in-use",
        "board3.spare1 board3 free",
        "disk1 board2 in-use",
        "spare1 board2 free",
      ],
    );
  }),
);

etcdTest(
  "what one board's client wrote, another board's client reads, and every disk holds",
  withTimeout(TEST_MS, async ({ boards }) => {
    const [first, second, third] = await Promise.all(boards.numbers.map((at) => boards.attach(at)));
    assert.ok(first !== undefined && second !== undefined && third !== undefined);
    await fill(first, 0, 11);
    await fill(second, 8 * MIB, 22);
    assert.equal([await valueAt(third, 0), await valueAt(first, 8 * MIB)], [11, 22]);
    await fill(third, 0, 33);
    assert.is(await valueAt(second, 0), 33);
    for (const client of [first, second, third]) client.close();
    await boards.untilWhole();
    await assertEqualLegs(boards);
  }),
);

etcdTest(
  "a member of another board is made by nobody, and is in clustered arrays only",
  withTimeout(TEST_MS, async ({ boards }) => {
    const { data_dir: data } = boards.board(0);
    const plain = ["create", "--level", "raid1", "board2.spare1", "spare1"];
    assert.ok(plain.length > 0);
    const body = { name: "md1", level: "raid1", device_ids: ["spare1", "board2.spare1"] };
    const refused = await boards.ask(0, "POST", "/arrays", body).catch((error: Error) => error);
    assert.match(String(refused), "CONTROL_PEERS_DISK");
    const status = await trySatsuma("status", "--data", data);
    assert.match(status.stdout, /board2: up, 2 disks at 127\.0\.0\.1:\d+, reached/);
    const locks = await trySatsuma("locks", "--data", data);
    assert.match(locks.stdout, /member exports of this board: open\n {2}node:.* of board/);
  }),
);

etcdTest(
  "a board that is killed: writes on the others go on, and it brings its copy back by itself",
  withTimeout(TEST_MS, async ({ boards }) => {
    await boards.untilWhole();
    await untilClean(boards);
    const client = await boards.attach(0);
    await fill(client, 16 * MIB, 44);
    const killed = await boards.kill(1);
    await fill(client, 24 * MIB, 55);
    await fill(client, 16 * MIB, 66);
    client.close();
    await boards.untilReturned(1, killed);
    await boards.untilWhole();
    const back = await boards.attach(1);
    assert.equal([await valueAt(back, 24 * MIB), await valueAt(back, 16 * MIB)], [55, 66]);
    back.close();
    const query = "/events?types=member.returned";
    const told = await eventually("its return is told", SETTLED_MS, async () => {
      const { items } = await boards.ask<{ items: EventResource[] }>(1, "GET", query);
      return items[0];
    });
    const { how, copied_bytes, skipped_bytes } = told.data;
    assert.is(how, "re-add");
    assert.ok(Number(copied_bytes) > 0 && Number(copied_bytes) < 16 * MIB, String(copied_bytes));
    assert.ok(Number(skipped_bytes) > 32 * MIB, String(skipped_bytes));
    await assertEqualLegs(boards);
  }),
);

etcdTest(
  "an administrator's fail is left alone by the disk's board, until it is added again",
  withTimeout(TEST_MS, async ({ boards }) => {
    await boards.member(0, "fail", "board3.disk1");
    await boards.member(0, "remove", "board3.disk1");
    const client = await boards.attach(1);
    await fill(client, 32 * MIB, 77);
    client.close();
    const isOut = async (): Promise<boolean> => (await boards.members(2))["disk1"] === undefined;
    await eventually("board 3 has let it go", SETTLED_MS, isOut);
    // Its rounds look for what is to be brought back, every 2 s.
    for (let rounds = 0; rounds < 3; rounds++) {
      const before = (await boards.ask<{ time: string }>(2, "GET", "/system")).time;
      await eventually("a round has passed", SETTLED_MS, async () => {
        const { time } = await boards.ask<{ time: string }>(2, "GET", "/system");
        return Date.parse(time) - Date.parse(before) > 2000;
      });
    }
    assert.ok(await isOut());
    await boards.member(2, "re-add", "disk1");
    await boards.untilWhole();
    await assertEqualLegs(boards);
  }),
);

/** An array of a board that a test has started itself. */
const md0 = async (board: ServeProcess): Promise<ArrayResource> =>
  (await board.request("GET", "/arrays/md0")) as ArrayResource;

const untilWhole = async (...boards: readonly ServeProcess[]): Promise<void> => {
  for (const board of boards)
    await eventually("a board sees a whole array", TEST_MS, async () => {
      const { status } = await md0(board);
      const { cluster, health, sync, members } = status;
      if (health === "optimal" && sync === null && cluster?.resync === null) return true;
      throw new Error(JSON.stringify({ health, sync, cluster, members }));
    });
};

etcdTest(
  "the boards end and resume, are all killed, start in another order; an old copy alone is refused",
  withTimeout(2 * TEST_MS, async ({ boards }) => {
    assert.is(await boards.shutDown(), 0);
    await assertEqualLegs(boards);
    const lone = await LoneBoards.over(boards.folder);
    try {
      for (const at of [2, 0, 1]) await lone.start(at, 60);
      const [first, second, third] = [0, 1, 2].map((at) => lone.board(at));
      assert.ok(first !== undefined && second !== undefined && third !== undefined);
      await untilWhole(first, second, third);
      const writer = await NbdClient.attach(second.socket, "md0");
      assert.is(await valueAt(writer, 32 * MIB), 77);
      await fill(writer, 40 * MIB, 88);
      await lone.kill(2);
      await fill(writer, 40 * MIB, 99);
      await lone.kill(0, 1);
      const old = await lone.start(2, 1);
      await eventually("the old copy is refused", TEST_MS, async () => {
        const { absent } = (await old.request("GET", "/dlm")) as DlmResource;
        return absent.some(({ code }) => code === "CLUSTER_NEWER_COPY_ELSEWHERE");
      });
      // A client that attaches meanwhile waits for what is to come.
      const waiting = NbdClient.attach(old.socket, "md0");
      waiting.catch(() => undefined);
      await lone.start(0, 60);
      await lone.start(1, 60);
      await untilWhole(lone.board(0), lone.board(1), old);
      const reader = await waiting;
      assert.equal([await valueAt(reader, 40 * MIB), await valueAt(reader, 32 * MIB)], [99, 77]);
      reader.close();
    } finally {
      await lone.stop();
    }
    await assertEqualLegs(boards);
  }),
);

test.run();
