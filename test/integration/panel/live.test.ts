/**
 * The panel over a real board: what happens to an array is seen without a reload, whoever did it.
 */
import type { Browser } from "playwright-core";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type Board, startBoard } from "../../helpers/board.ts";
import { CutProxy } from "../../helpers/cut-proxy.ts";
import { NbdClient } from "../../helpers/nbd-client.ts";
import { ranElsewhere, readArray, restoreBoard } from "../../helpers/panel-board.ts";
import { PanelTab, startBrowser } from "../../helpers/panel-browser.ts";
import { skipUnless } from "../../helpers/skip.ts";
import { eventually, withTimeout } from "../../helpers/timeout.ts";

const MIB = 1024 ** 2;
/** How fast a person has to see a failure. */
const SEEN_MS = 2000;
const SLOW = { sync_speed_min: 1024, sync_speed_max: 8 * MIB };
const FAST = { sync_speed_max: 1024 * MIB };

const test = suite("panel live");
const panelTest = skipUnless("chromium", test);

let board: Board;
let browser: Browser;

test.before(async () => {
  board = await startBoard({ args: ["--size", "192M"] });
  browser = await startBrowser();
});

test.after(async () => {
  await browser?.close();
  await board?.stop();
});

const open = async (path = "/"): Promise<PanelTab> =>
  await PanelTab.open(browser, { url: board.url, token: board.token, path });

const setSpeed = async (name: string, speed: object): Promise<void> => {
  await board.request("PUT", `/arrays/${name}/sync-action`, speed);
};

const writeAt = async (offset: number, length: number): Promise<void> => {
  const client = await NbdClient.attach(board.socket, "md0");
  await client.write(offset, new Uint8Array(length).fill(7));
  await client.flush();
  client.close();
};

test.before.each(async () => await restoreBoard(board));

panelTest(
  "a member that fails is seen within two seconds, in the overview and the title",
  withTimeout(60_000, async () => {
    const tab = await open();
    await tab.waitForVerdict("Optimal");
    await board.request("POST", "/arrays/md0/members/disk2/actions/fail");
    await tab.waitForVerdict("Degraded", SEEN_MS);
    const card = tab.page.locator("[data-array=md0][data-health=degraded]");
    await card.getByText("1 of 2 copies in sync").waitFor();
    await tab.page.locator("[data-code=member-failed]").waitFor();
    await tab.page.locator("[data-type='member.failed']").waitFor();
    const icon = await tab.page.locator("link[rel=icon]").getAttribute("href");
    assert.match(icon ?? "", /^data:image\/svg/);
    assert.ok(await tab.isSameDocument());
    await tab.close();
  }),
);

panelTest(
  "a member is removed and re-added by its buttons, and its recovery is watched to the end",
  withTimeout(120_000, async () => {
    const tab = await open("/arrays/md0");
    await eventually("the bitmap is clean", 30_000, async () => {
      return (await readArray(board, "md0")).status.bitmap?.dirty === 0;
    });
    await board.request("POST", "/arrays/md0/members/disk2/actions/fail");
    await writeAt(64 * MIB, 4 * MIB);
    await setSpeed("md0", SLOW);
    const { page } = tab;
    await page.getByRole("button", { name: "Remove disk2" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Remove disk2" }).click();
    await page.getByRole("button", { name: "Re-add disk2" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Re-add disk2" }).click();
    await tab.waitForVerdict("Recovering");
    const bar = page.locator(".sync[data-action=recover]");
    await bar.getByText("only chunks marked in the bitmap").waitFor();
    await bar.getByText("Saved by the bitmap").waitFor();
    await page.locator("[data-part=announcer]", { hasText: "md0: Recovery" }).waitFor({
      state: "attached",
    });
    await setSpeed("md0", FAST);
    await tab.waitForVerdict("Optimal");
    await bar.waitFor({ state: "detached" });
    assert.ok(await tab.isSameDocument());
    await tab.close();
  }),
);

panelTest(
  "what a member alone holds is overwritten by a re-add only when its name is typed",
  withTimeout(120_000, async () => {
    await board.request("POST", "/arrays/md0/members/disk2/actions/fail");
    await board.request("DELETE", "/arrays/md0/members/disk2");
    ranElsewhere(board.disks[1] ?? "");
    const tab = await open("/arrays/md0");
    const { page } = tab;
    await page.getByRole("button", { name: "Re-add disk2" }).click();
    const dialog = page.getByRole("dialog");
    const submit = dialog.getByRole("button", { name: "Re-add disk2" });
    await submit.click();
    await dialog.locator(".warn", { hasText: "its bitmap marks" }).waitFor();
    assert.ok(await submit.isDisabled());
    await dialog.getByLabel("Type disk2 to confirm").fill("disk2");
    assert.ok(await submit.isDisabled());
    await dialog.getByLabel("Take it although its content will be lost").check();
    await submit.click();
    await dialog.waitFor({ state: "detached" });
    await tab.waitForVerdict("Optimal");
    await tab.close();
  }),
);

panelTest(
  "a mirror is created from disks made in the panel, and its first resync moves the bar",
  withTimeout(120_000, async () => {
    const tab = await open("/devices");
    const { page } = tab;
    for (const name of ["left", "right"]) {
      await page.getByRole("button", { name: "Create disk" }).click();
      const dialog = page.getByRole("dialog");
      await dialog.getByLabel("Size").fill("128");
      await dialog.getByLabel("Unit").selectOption("MiB");
      await dialog.getByLabel("Name").fill(name);
      await dialog.getByRole("button", { name: "Create disk" }).click();
      await page.locator(`tr[data-key=${name}]`).getByText("free", { exact: true }).waitFor();
    }
    await tab.follow("Overview");
    await tab.follow("Create mirror");
    await page.getByLabel("Name").fill("photos");
    const plan = page.locator("[data-part=plan]");
    await plan.getByText("Any one member may fail without loss.").waitFor();
    assert.is(await plan.getByText("left").count(), 1);
    await page.getByRole("button", { name: "Create photos" }).click();
    await page.getByRole("heading", { name: "photos" }).waitFor();
    await setSpeed("photos", SLOW);
    const bar = page.locator(".sync[data-action=resync]");
    await bar.waitFor();
    const percent = async (): Promise<number> => Number(await bar.getAttribute("data-percent"));
    const first = await percent();
    const second = await eventually("the bar moves", 20_000, async () => {
      const now = await percent();
      return now > first ? now : undefined;
    });
    await eventually("the bar moves on", 20_000, async () => (await percent()) > second);
    await bar.getByText("Time left").waitFor();
    await setSpeed("photos", FAST);
    await tab.waitForVerdict("Optimal");
    assert.ok(await tab.isSameDocument());
    await board.request("DELETE", "/arrays/photos", { confirm: "photos", forget: true });
    await page.getByText("There is no array").waitFor();
    await tab.close();
  }),
);

panelTest(
  "a write error put on a member shows as a failed member with its reason",
  withTimeout(60_000, async () => {
    const tab = await open("/arrays/md0");
    await tab.waitForVerdict("Optimal");
    await board.request("POST", "/lab/faults", { device_id: "disk1", kind: "write-error" });
    await writeAt(0, MIB);
    await tab.waitForVerdict("Degraded", SEEN_MS);
    const row = tab.page.getByRole("row").filter({ hasText: "disk1" });
    await row.getByText("faulty", { exact: true }).waitFor();
    await tab.page.getByText("No member may fail now: only one copy is in sync.").waitFor();
    assert.ok(await tab.isSameDocument());
    await tab.close();
  }),
);

panelTest(
  "a cut connection greys the page, and what happened meanwhile is there when it is back",
  withTimeout(90_000, async () => {
    const proxy = await CutProxy.start(board.url);
    try {
      const tab = await PanelTab.open(browser, { url: proxy.url, token: board.token });
      const { page } = tab;
      await tab.waitForVerdict("Optimal");
      proxy.cut();
      await page.locator("main.stale").waitFor();
      await page.locator("[data-live=stale]").getByText("Stale since").waitFor();
      assert.match(await page.title(), /^Stale · /);
      await board.request("POST", "/arrays/md0/members/disk2/actions/fail");
      const retry = page.getByRole("button", { name: "Retry now" });
      await retry.waitFor();
      proxy.mend();
      // The page may try by itself before the click: then the button is gone.
      await retry.click({ timeout: 2_000 }).catch(() => undefined);
      await tab.waitForVerdict("Degraded");
      await page.locator("[data-type='member.failed']").first().waitFor();
      assert.is(await page.locator("main.stale").count(), 0);
      assert.ok(await tab.isSameDocument());
      await tab.close();
    } finally {
      await proxy.close();
    }
  }),
);

panelTest(
  "a client that attaches is shown with its export, and the attach command names the socket",
  withTimeout(60_000, async () => {
    const tab = await open("/exports");
    const { page } = tab;
    const item = page.locator("[data-export=md0]");
    await item.getByText("0 clients").waitFor();
    const client = await NbdClient.attach(board.socket, "md0");
    await item.getByText("1 client", { exact: true }).waitFor();
    await item.getByRole("table").waitFor();
    client.close();
    await item.getByText("0 clients").waitFor();
    await item.getByLabel("nbdinfo").check();
    const command = await item.locator("pre").textContent();
    assert.match(command ?? "", /^nbdinfo .*nbd\+unix:\/\/\/md0\?socket=/);
    await item.getByLabel("TCP").check();
    assert.match(
      (await item.locator("pre").textContent()) ?? "",
      /nbd:\/\/127\.0\.0\.1:[0-9]+\/md0/,
    );
    await tab.close();
  }),
);

test.run();
