/** Using the panel over a real board: signing in, dialogs, problems, keyboard, phone, colours. */
import type { Browser, Locator, Page } from "playwright-core";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type Board, startBoard } from "../../helpers/board.ts";
import { lowContrast } from "../../helpers/contrast.ts";
import { restoreBoard } from "../../helpers/panel-board.ts";
import { type PanelOptions, PanelTab, startBrowser } from "../../helpers/panel-browser.ts";
import { skipUnless } from "../../helpers/skip.ts";
import { eventually, withTimeout } from "../../helpers/timeout.ts";

const PAGES = ["/", "/arrays/md0", "/arrays/new", "/devices", "/exports", "/boards", "/activity"];

const test = suite("panel use");
const panelTest = skipUnless("chromium", test);

let board: Board;
let browser: Browser;

test.before(async () => {
  board = await startBoard({ args: ["--size", "64M"] });
  browser = await startBrowser();
  for (const name of ["disk3", "disk4"]) {
    await board.request("POST", "/devices", { name, size: 64 * 1024 ** 2 });
  }
});

test.after(async () => {
  await browser?.close();
  await board?.stop();
});

test.before.each(async () => await restoreBoard(board));

const open = async (options: Partial<PanelOptions> = {}): Promise<PanelTab> =>
  await PanelTab.open(browser, { url: board.url, token: board.token, ...options });

const isFocused = async (locator: Locator): Promise<boolean> =>
  (await locator.and(locator.page().locator(":focus")).count()) === 1;

/** Presses Tab until the element has the focus, as somebody without a mouse does. */
const tabTo = async (page: Page, locator: Locator): Promise<void> => {
  for (let presses = 0; presses < 60; presses += 1) {
    if (await isFocused(locator)) return;
    await page.keyboard.press("Tab");
  }
  throw new Error(`60 × Tab does not reach ${String(locator)}`);
};

panelTest(
  "the address signs in, and the token is gone from it",
  withTimeout(60_000, async () => {
    const tab = await open({ path: "/devices" });
    assert.is(tab.page.url(), `${board.url}/devices`);
    await tab.page.reload();
    await tab.waitForLive();
    await tab.page.getByRole("button", { name: "Sign out" }).click();
    await tab.page.getByLabel("API token").waitFor();
    assert.equal(await tab.page.evaluate("Object.keys(sessionStorage)"), []);
    await tab.close();
  }),
);

panelTest(
  "a wrong token is refused with what to do, and the right one lets in",
  withTimeout(60_000, async () => {
    const tab = await PanelTab.open(browser, { url: board.url });
    const { page } = tab;
    await page.getByLabel("API token").fill("satsuma_wrong");
    await page.getByRole("button", { name: "Sign in" }).click();
    const problem = page.getByRole("alert");
    await problem.getByText("A valid token is needed", { exact: true }).waitFor();
    assert.not(await problem.locator("details").getAttribute("open"));
    await page.getByLabel("API token").fill(board.token);
    await page.getByRole("button", { name: "Sign in" }).click();
    await tab.waitForLive();
    await tab.close();
  }),
);

panelTest(
  "every page works under the strict policy, at a phone's width too, and fits it",
  withTimeout(120_000, async () => {
    for (const width of [1280, 360]) {
      const tab = await open({ width, hasTouch: width === 360 });
      for (const path of PAGES) {
        await tab.page.goto(board.url + path);
        await tab.waitForLive();
        const wide = Number(await tab.page.evaluate("document.documentElement.scrollWidth"));
        assert.ok(wide <= width, `${path} is ${wide} wide on ${width}`);
      }
      assert.equal(tab.complaints, []);
      await tab.close();
    }
    const policy = (await fetch(board.url)).headers.get("content-security-policy") ?? "";
    assert.match(policy, /^default-src 'self'/);
    assert.not.match(policy, /unsafe/);
  }),
);

panelTest(
  "tables are cards on a phone, and every touch target is 44 pixels high",
  withTimeout(60_000, async () => {
    const tab = await open({ width: 360, hasTouch: true, path: "/arrays/md0" });
    const { page } = tab;
    const row = page.locator("tr[data-key^='0 ']");
    await row.getByText("in_sync").waitFor();
    const [slot, device] = [row.locator("td").nth(0), row.locator("td").nth(1)];
    const [above, below] = [await slot.boundingBox(), await device.boundingBox()];
    assert.ok(above !== null && below !== null && below.y >= above.y + above.height);
    const small = await page.evaluate(`
      [...document.querySelectorAll("main button, nav a")]
        .filter((element) => element.getBoundingClientRect().height < 44)
        .map((element) => element.textContent)
    `);
    assert.equal(small, []);
    await tab.close();
  }),
);

panelTest(
  "text has enough contrast in light and dark",
  withTimeout(120_000, async () => {
    for (const theme of ["light", "dark"] as const) {
      const tab = await open({ theme });
      for (const path of PAGES) {
        await tab.page.goto(board.url + path);
        await tab.waitForLive();
        assert.equal(await lowContrast(tab.page), [], `${theme} ${path}`);
      }
      await tab.close();
    }
  }),
);

panelTest(
  "failing a member says what is lost and wants its name; the keyboard is enough",
  withTimeout(60_000, async () => {
    const tab = await open({ path: "/arrays/md0" });
    const { page } = tab;
    const opener = page.getByRole("button", { name: "Fail disk2" });
    await tabTo(page, opener);
    await page.keyboard.press("Enter");
    const dialog = page.getByRole("dialog", { name: "Fail disk2 in md0" });
    await dialog.getByText("One in-sync copy will be left.").waitFor();
    const submit = dialog.getByRole("button", { name: "Fail disk2" });
    assert.not(await isFocused(submit));
    assert.ok(await submit.isDisabled());
    await page.keyboard.press("Escape");
    await dialog.waitFor({ state: "detached" });
    assert.ok(await isFocused(opener), "the focus returns to the button");

    await opener.press("Enter");
    await dialog.locator("summary").click();
    const curl = (await dialog.locator("pre").textContent()) ?? "";
    assert.match(curl, /-X POST .*\/members\/disk2\/actions\/fail/);
    assert.not.match(curl, /satsuma_/, "the token is not shown");
    await tabTo(page, dialog.getByLabel("Type disk2 to confirm"));
    await page.keyboard.type("disk2");
    await page.keyboard.press("Enter");
    await dialog.waitFor({ state: "detached" });
    await tab.waitForVerdict("Degraded");
    await page.getByText("disk2 is marked faulty").waitFor();
    assert.is(await page.getByRole("button", { name: "Fail disk1" }).count(), 0);
    await tab.close();
  }),
);

panelTest(
  "a refusal shows its title and what to do first, the rest folded",
  withTimeout(60_000, async () => {
    const tab = await open({ path: "/exports" });
    const { page } = tab;
    await page.getByRole("button", { name: "Create export" }).click();
    const dialog = page.getByRole("dialog");
    assert.is(await dialog.getByLabel("Name").inputValue(), "md0-2", "a free name is proposed");
    await dialog.getByLabel("Name").fill("md0");
    await dialog.getByRole("button", { name: "Create export" }).click();
    const problem = dialog.getByRole("alert");
    await problem.getByText("The name is taken", { exact: true }).waitFor();
    await problem.getByText("Choose another name.").waitFor();
    assert.not(await problem.getByText("CONTROL_NAME_TAKEN").isVisible());
    await problem.locator("summary").click();
    await problem.getByText("CONTROL_NAME_TAKEN").first().waitFor();
    await tab.close();
  }),
);

panelTest(
  "an export is made and deleted by its name",
  withTimeout(60_000, async () => {
    const tab = await open({ path: "/exports" });
    const { page } = tab;
    await page.getByRole("button", { name: "Create export" }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByLabel("Name").fill("backup");
    await dialog.getByText("Read-only").click();
    await dialog.getByRole("button", { name: "Create export" }).click();
    const item = page.locator("[data-export=backup]");
    await item.getByText("read-only", { exact: true }).waitFor();
    await item.getByRole("button", { name: "Delete export backup" }).click();
    await page.getByLabel("Type backup to confirm").fill("backup");
    await page.getByRole("dialog").getByRole("button", { name: "Delete export backup" }).click();
    await item.waitFor({ state: "detached" });
    await tab.close();
  }),
);

panelTest(
  "a check is started by one button and stopped by another, and both show their API call",
  withTimeout(60_000, async () => {
    await board.request("PUT", "/arrays/md0/sync-action", {
      sync_speed_min: 1024,
      sync_speed_max: 1024 ** 2,
    });
    const tab = await open({ path: "/arrays/md0" });
    const { page } = tab;
    await page.getByRole("button", { name: "Show the API call of “Check”" }).click();
    const curl = await page.getByRole("dialog").locator("pre").textContent();
    assert.match(curl ?? "", /-X PUT .*\/sync-action[\s\S]*\{"action":"check"\}/);
    await page.keyboard.press("Escape");
    await page.getByRole("button", { name: "Check", exact: true }).click();
    await page.locator(".sync[data-action=check]").waitFor();
    await page.getByRole("button", { name: "Stop check", exact: true }).click();
    await page.getByText("No sync is running.").waitFor();
    await tab.close();
  }),
);

panelTest(
  "an array is stopped by its name and started again",
  withTimeout(60_000, async () => {
    const tab = await open({ path: "/arrays/md0" });
    const { page } = tab;
    await page.getByRole("button", { name: "Stop array" }).click();
    await page.getByLabel("Type md0 to confirm").fill("md0");
    await page.getByRole("dialog").getByRole("button", { name: "Stop array" }).click();
    await page.locator(".verdict[data-health=inactive]").waitFor();
    await page.getByRole("button", { name: "Assemble", exact: true }).click();
    await eventually("md0 runs again", 20_000, async () => {
      const health = await page.locator(".verdict").getAttribute("data-health");
      return health !== "inactive";
    });
    await tab.close();
  }),
);

test.run();
