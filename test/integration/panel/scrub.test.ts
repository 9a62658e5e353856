/** Regular checks in the panel, over a real board: schedule, pause, resume, mismatches. */
import { closeSync, openSync, writeSync } from "node:fs";
import type { Browser } from "playwright-core";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { ScheduleResource } from "../../../src/api/schemas/schedule.ts";
import { type Board, startBoard } from "../../helpers/board.ts";
import { memberContent } from "../../helpers/engine-bench.ts";
import { restoreBoard } from "../../helpers/panel-board.ts";
import { PanelTab, startBrowser } from "../../helpers/panel-browser.ts";
import { skipUnless } from "../../helpers/skip.ts";
import { withTimeout } from "../../helpers/timeout.ts";

const MIB = 1024 * 1024;

const test = suite("panel scrub");
const panelTest = skipUnless("chromium", test);

let board: Board;
let browser: Browser;

test.before(async () => {
  board = await startBoard({ args: ["--size", "64M"] });
  browser = await startBrowser();
  await restoreBoard(board);
});

test.after(async () => {
  await browser?.close();
  await board?.stop();
});

const open = (): Promise<PanelTab> =>
  PanelTab.open(browser, { url: board.url, token: board.token, path: "/arrays/md0" });

panelTest(
  "a schedule is set, changed and removed",
  withTimeout(60_000, async () => {
    const tab = await open();
    const { page } = tab;
    await page.getByText("No schedule is set").waitFor();
    await page.getByRole("button", { name: "Set schedule", exact: true }).click();
    const dialog = page.getByRole("dialog");
    assert.is(await dialog.getByLabel("Days from one check").inputValue(), "30");
    await dialog.getByLabel("Or cron").fill("0 2 * * 0");
    await dialog.getByLabel("Time zone").fill("Europe/Berlin");
    await dialog.getByRole("button", { name: "Set schedule" }).click();
    await page.getByText("Check at 0 2 * * 0").waitFor();
    await page.getByText("01:00 to 05:00, Europe/Berlin").waitFor();
    const kept = (await board.request("GET", "/arrays/md0/schedule")) as ScheduleResource;
    assert.equal([kept.config?.cron, kept.config?.every_days], ["0 2 * * 0", null]);
    await page.getByRole("button", { name: "Remove schedule", exact: true }).click();
    await page.getByText("No schedule is set").waitFor();
    assert.equal(tab.complaints, []);
    await tab.close();
  }),
);

panelTest(
  "a check is paused and resumed, and what it found is listed with its place",
  withTimeout(60_000, async () => {
    const [, second = ""] = board.disks;
    const { superblock } = memberContent(second);
    const file = openSync(second, "r+");
    writeSync(file, Buffer.alloc(65_536, 0xa5), 0, 65_536, superblock.dataOffset * 512 + 8 * MIB);
    closeSync(file);
    await board.request("PUT", "/arrays/md0/sync-action", { sync_speed_max: 4 * MIB });
    const tab = await open();
    const { page } = tab;
    await page.getByRole("button", { name: "Check", exact: true }).click();
    await page.getByRole("button", { name: "Pause Check: md0", exact: true }).click();
    await page.getByText("Check stands still at").waitFor();
    await page.locator("[data-held='array.check']").waitFor();
    await board.request("PUT", "/arrays/md0/sync-action", { sync_speed_max: 2 ** 40 });
    await page.getByRole("button", { name: "Resume Check: md0", exact: true }).click();
    await page.getByText("128 sectors differ").waitFor();
    await page.getByText("Where members differ", { exact: true }).click();
    await page.getByText("64 KiB at 8,388,608").waitFor();
    assert.equal(tab.complaints, []);
    await tab.close();
  }),
);

test.run();
