// wall-limit: 600 s
/**
 * Three boards that serve their own disks to each other, under a client that writes: maintenance
 * of one with its power off, a rolling restart of all, and one that the panel takes out of service.
 */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { ArrayResource } from "../../../src/api/schemas/array.ts";
import type { ExportResource } from "../../../src/api/schemas/export.ts";
import type { ImpactResource } from "../../../src/api/schemas/node.ts";
import { tryCommand } from "../../helpers/command.ts";
import { lowContrast } from "../../helpers/contrast.ts";
import { assertHeld, dataOf, nodeOf, OperatedWriter } from "../../helpers/operated-boards.ts";
import { PanelTab, startBrowser } from "../../helpers/panel-browser.ts";
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

/** A page of board2's panel, when the array is whole. */
const onPanel = (path: string, look: (boards: SharedBoards, tab: PanelTab) => Promise<void>) =>
  withTimeout<{ boards: SharedBoards }>(TEST_MS, async ({ boards }) => {
    await boards.untilWhole();
    const browser = await startBrowser();
    try {
      const { url, token } = boards.board(1);
      await look(boards, await PanelTab.open(browser, { url, token, path }));
    } finally {
      await browser.close();
    }
    await boards.untilWhole();
  });

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

skipUnless(["etcd", "chromium"], test)(
  "the panel makes a mirror of two boards' disks, or one for its board alone",
  onPanel("/arrays/new", async (boards, tab) => {
    const { page } = tab;
    const ticked = async (): Promise<string[]> =>
      await page
        .locator("[data-device]:has(input:checked)")
        .evaluateAll((rows) => rows.map((row) => String(row.getAttribute("data-device"))));
    const sharing = page.getByLabel("For", { exact: true });
    assert.equal(await ticked(), ["spare1", "board1.spare1"]);
    const create = page.getByRole("button", { name: "Create md1" });
    await page.locator("[data-part=plan]").waitFor();
    assert.ok(await create.isEnabled());
    assert.is(await page.getByRole("alert").count(), 0);
    assert.equal(await lowContrast(page), []);
    await sharing.selectOption("alone");
    assert.equal(await ticked(), []);
    assert.is(await page.locator("[data-device='board1.spare1']").count(), 0);
    await sharing.selectOption("shared");
    await create.click();
    await page.getByRole("heading", { name: "md1" }).waitFor();
    const { id, config, status } = await boards.ask<ArrayResource>(1, "GET", "/arrays/md1");
    assert.is(config.bitmap.type, "clustered");
    const members = status.members.map(({ device_id }) => device_id);
    assert.equal(members, ["spare1", "board1.spare1"]);
    assert.equal(tab.complaints, []);
    await boards.ask(0, "POST", "/arrays", { assemble: id });
    const beside = (await boards.ask<ArrayResource>(0, "GET", "/arrays/md1")).status.cluster;
    assert.equal(beside?.nodes.map(({ node }) => node).sort(), ["board1", "board2"]);
    const stop = { confirm: "md1", force: true, forget: true };
    for (const at of [0, 1]) await boards.ask(at, "DELETE", "/arrays/md1", stop);
  }),
);

skipUnless(["etcd", "chromium"], test)(
  "the panel shows who sees which disk, and what stops with a board; it is drained by its name",
  onPanel("/boards", async (boards, tab) => {
    const { page } = tab;
    const matrix = page.getByRole("table", { name: "Who sees which disk" });
    const cells = matrix.locator("tr[data-key='board3/disk1'] .badge");
    await eventually("all ways are told", WAIT_MS, async () => {
      return (await cells.allTextContents()).join(" ") === "reached reached own";
    });
    assert.is(await matrix.locator("tbody tr").count(), 6);
    assert.equal(await page.locator("[data-votes=at-risk]").count(), 1, "one etcd for all");
    const answer = page.locator("[data-subject=board1] [data-verdict]");
    assert.match((await answer.textContent()) ?? "", "md0 has less redundancy");
    await page.getByText(/Nothing is lost when one of these is pulled: .*spare1/).waitFor();
    assert.equal(await lowContrast(page), []);

    await page.getByRole("button", { name: "Drain board2" }).click();
    const dialog = page.getByRole("dialog", { name: "Take board2 out of service" });
    const submit = dialog.getByRole("button", { name: "Drain board2" });
    assert.ok(await submit.isDisabled());
    await dialog.getByLabel("Type board2 to confirm").fill("board2");
    await submit.click();
    const row = page.locator("tr[data-key=board2]");
    await row.getByText("drained", { exact: true }).waitFor();
    await row.getByText(/clients go on at 127.0.0.1:\d+, 127.0.0.1:\d+/).waitFor();
    // One that is out of service too is offered to nobody.
    await runSatsuma("node", "maintenance", "board3", "--data", dataOf(boards, 2));
    const { nbd } = boards.board(0);
    const refused = `its board is out of service: attach it at ${nbd}`;
    await eventually("board2 sends clients to board1 alone", WAIT_MS, async () => {
      const shown = await boards.ask<ExportResource>(1, "GET", "/exports/md0");
      if (shown.status.reason === refused) return true;
      throw new Error(`${shown.status.reason}`);
    });
    assert.equal((await nodeOf(boards, 1)).status?.elsewhere[0]?.addresses, [nbd]);
    await runSatsuma("node", "undrain", "board3", "--data", dataOf(boards, 2));
    // It judges no array that it does not run.
    await page.locator("[data-subject=board1] [data-verdict=unknown]").waitFor();
    await row.getByRole("button", { name: "Take board2 back into service", exact: true }).click();
    await row.getByText("in service", { exact: true }).waitFor();
    await page.locator("[data-subject=board1] [data-verdict=degrades]").waitFor();
    assert.ok(await tab.isSameDocument());
    assert.equal(tab.complaints, []);
  }),
);

test.run();
