// wall-limit: 600 s
/**
 * Three boards that serve their own disks to each other, under a client that writes: maintenance
 * of one with its power off, and a rolling restart of all.
 */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { ImpactResource } from "../../../src/api/schemas/node.ts";
import { tryCommand } from "../../helpers/command.ts";
import { assertHeld, dataOf, nodeOf, OperatedWriter } from "../../helpers/operated-boards.ts";
import { runSatsuma, SATSUMA_MAIN } from "../../helpers/satsuma-command.ts";
import { type SharedBoards, startSharedBoards } from "../../helpers/shared-boards.ts";
import { skipUnless } from "../../helpers/skip.ts";
import { eventually, withTimeout } from "../../helpers/timeout.ts";

const TEST_MS = 280_000;
const WAIT_MS = 60_000;

const test = suite<{ boards: SharedBoards }>("boards/maintenance");
const etcdTest = skipUnless(["etcd"], test);

test.before(
  withTimeout(TEST_MS, async (context) => {
    context.boards = await startSharedBoards({ boards: 3, size: "64M", ownDisks: true });
    await context.boards.untilWhole();
  }),
);

test.after(
  withTimeout(TEST_MS, async ({ boards }) => {
    await boards.stop();
  }),
);

const impact = (boards: SharedBoards, name: string): Promise<ImpactResource> =>
  boards.ask<ImpactResource>(0, "GET", `/nodes/${name}/impact`);

etcdTest(
  "a board in maintenance may lose its power: its disk is out before, and back by the bitmaps",
  withTimeout(TEST_MS, async ({ boards }) => {
    const told = await impact(boards, "board2");
    assert.is(told.verdict, "degrades", told.sentence);
    const [md0] = told.arrays;
    assert.equal([md0?.copies_before, md0?.copies_after], [3, 2]);
    assert.equal(md0?.members, ["peer:board2/disk1"]);
    const writer = new OperatedWriter(boards, 0);
    await writer.more(10);
    await runSatsuma("node", "maintenance", "board2", "--data", dataOf(boards, 1));
    const failed = Object.values(await boards.members(0)).filter((states) => /faulty/.test(states));
    assert.is(failed.length, 1);
    // With one more board out, the last copy would be at stake.
    await eventually("board3 knows", WAIT_MS, async () => {
      return (await boards.array(2)).status.degraded === 1;
    });
    assert.equal((await impact(boards, "board3")).arrays[0]?.copies_after, 1);
    const killed = await boards.kill(1);
    await writer.more(10);
    await eventually("board2 is back, and out of service", WAIT_MS, async () => {
      if (boards.board(1).pid === killed) return false;
      return (await nodeOf(boards, 1)).status?.state === "maintenance";
    });
    await writer.more(10);
    await runSatsuma("node", "undrain", "board2", "--data", dataOf(boards, 1));
    await boards.untilWhole();
    const held = await writer.stop();
    for (const at of boards.numbers) await assertHeld(boards, at, held);
  }),
);

etcdTest(
  "boards are restarted one by one, each when the disks of the one before are in sync again",
  withTimeout(TEST_MS, async ({ boards }) => {
    const writer = new OperatedWriter(boards, 0);
    await writer.more(10);
    const before = boards.numbers.map((at) => boards.board(at).pid);
    const folders = boards.numbers.map((at) => dataOf(boards, at));
    const args = [SATSUMA_MAIN, "node", "restart", "--rolling", ...folders];
    const rolled = await tryCommand(process.execPath, args, TEST_MS);
    assert.is(rolled.ending, "0", `${rolled.stdout}\n${rolled.stderr}`);
    const lines = rolled.stdout.split("\n").filter((line) => /restarting|back/.test(line));
    const steps = lines.filter((line) => !line.startsWith("waiting"));
    assert.is(steps.length, 6, rolled.stdout);
    assert.ok(boards.numbers.every((at) => boards.board(at).pid !== before[at]));
    await writer.more(10);
    const held = await writer.stop();
    await boards.untilWhole();
    for (const at of boards.numbers) await assertHeld(boards, at, held);
  }),
);

test.run();
