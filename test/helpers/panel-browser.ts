/** The panel in Debian's Chromium, as a person has it before them. */
import { type Browser, chromium, type Page } from "playwright-core";
import { eventually } from "./timeout.ts";

const CHROMIUM = "/usr/bin/chromium";
const ARGUMENTS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];
const WAIT_MS = 15_000;

/** Starts the browser, without a window. */
export async function startBrowser(): Promise<Browser> {
  return await chromium.launch({ executablePath: CHROMIUM, headless: true, args: ARGUMENTS });
}

export interface PanelOptions {
  readonly url: string;
  /** Absent: signed out. */
  readonly token?: string;
  readonly path?: string;
  readonly width?: number;
  readonly height?: number;
  readonly theme?: "light" | "dark";
  /** A finger instead of a mouse. */
  readonly hasTouch?: boolean;
}

/** One tab with the panel, in a profile of its own. */
export class PanelTab {
  readonly page: Page;
  /** What the browser complained about: script errors, refused content, failed requests. */
  readonly complaints: string[] = [];
  #loadedAt = 0;

  private constructor(page: Page) {
    this.page = page;
    page.setDefaultTimeout(WAIT_MS);
    page.on("console", (message) => {
      if (message.type() === "error" || message.type() === "warning") {
        this.complaints.push(message.text());
      }
    });
    page.on("pageerror", (error) => this.complaints.push(String(error)));
  }

  /** Opens the panel; signed in and live when there is a token. */
  static async open(browser: Browser, options: PanelOptions): Promise<PanelTab> {
    const context = await browser.newContext({
      viewport: { width: options.width ?? 1280, height: options.height ?? 800 },
      colorScheme: options.theme ?? "light",
      reducedMotion: "reduce",
      hasTouch: options.hasTouch ?? false,
      isMobile: options.hasTouch ?? false,
    });
    const tab = new PanelTab(await context.newPage());
    const fragment = options.token === undefined ? "" : `#token=${options.token}`;
    await tab.page.goto(`${options.url}${options.path ?? "/"}${fragment}`);
    if (options.token !== undefined) {
      await tab.waitForLive();
    }
    tab.#loadedAt = await tab.#timeOrigin();
    return tab;
  }

  async waitForLive(): Promise<void> {
    await this.page.locator("[data-live=live]").waitFor();
    await this.page.locator("main h1").first().waitFor({ state: "attached" });
  }

  /** Goes to another page of the panel by its link. */
  async follow(name: string): Promise<void> {
    const link = this.page.getByRole("link", { name, exact: true });
    await link.first().click();
  }

  /** Waits until the page shows `health` as the verdict, and its title says so too. */
  async waitForVerdict(health: string, ms = WAIT_MS): Promise<void> {
    const verdict = this.page.locator(`.verdict[data-health=${health.toLowerCase()}]`);
    await verdict.waitFor({ timeout: ms });
    await eventually(`the title says ${health}`, ms, async () =>
      (await this.page.title()).startsWith(`${health} · `),
    );
  }

  /** True while the document is the one that was opened: nothing was reloaded. */
  async isSameDocument(): Promise<boolean> {
    return (await this.#timeOrigin()) === this.#loadedAt;
  }

  /** Ends the tab and its profile. */
  async close(): Promise<void> {
    await this.page.context().close();
  }

  async #timeOrigin(): Promise<number> {
    return Number(await this.page.evaluate("performance.timeOrigin"));
  }
}
