/**
 * Makes the pictures of the README and of the panel's page: `node scripts/screenshots.ts`. Runs a
 * real board with two arrays, one of them recovering, then three boards that serve their disks to
 * each other (`node scripts/screenshots.ts boards`: these alone), and writes
 * docs/images/{overview,array,boards}-{light,dark}.png.
 */
import { mkdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser } from "playwright-core";
import type { ArrayResource } from "../src/api/schemas/array.ts";
import { type Board, startBoard, waitForSync } from "../test/helpers/board.ts";
import { NbdClient } from "../test/helpers/nbd-client.ts";
import { PanelTab, startBrowser } from "../test/helpers/panel-browser.ts";
import { startSharedBoards } from "../test/helpers/shared-boards.ts";
import { eventually } from "../test/helpers/timeout.ts";

const IMAGES = join(import.meta.dirname, "..", "docs", "images");
const IMAGE_BYTES_MAX = 200 * 1024;
const GIB = 1024 ** 3;
const MIB = 1024 ** 2;
/** Percent of the recovery in the pictures. */
const PERCENT_SHOWN = 36;

const arrayOf = async (board: Board, name: string): Promise<ArrayResource> =>
  (await board.request("GET", `/arrays/${name}`)) as ArrayResource;

const createDisk = async (board: Board, name: string, size: number): Promise<void> => {
  await board.request("POST", "/devices", { name, size });
};

const createArray = async (board: Board, name: string, ids: readonly string[]): Promise<void> => {
  const body = { name, level: "raid1", device_ids: ids, assume_clean: true };
  await board.request("POST", "/arrays", body);
  await eventually(`${name} runs`, 20_000, async () => {
    return (await arrayOf(board, name)).status.health === "optimal";
  });
  await board.request("POST", "/exports", { name, array: name });
};

/** Sparse disks, so that sizes look real and little is written. */
const furnish = async (board: Board): Promise<void> => {
  await createDisk(board, "disk3", 8 * GIB);
  await createDisk(board, "disk4", 4 * GIB);
  await createDisk(board, "disk5", 4 * GIB);
  await createArray(board, "photos", ["disk4", "disk5"]);
  await waitForSync(board);
  await eventually("the bitmaps are clean", 60_000, async () => {
    const { status } = await arrayOf(board, "md0");
    return status.bitmap?.dirty === 0;
  });
};

/** A member of md0 fails, and another disk takes its place. */
const breakOne = async (board: Board): Promise<void> => {
  await board.request("PUT", "/arrays/md0/sync-action", { sync_speed_max: 2048 * MIB });
  await board.request("POST", "/arrays/md0/members/disk2/actions/fail");
  await board.request("DELETE", "/arrays/md0/members/disk2");
  await board.request("POST", "/arrays/md0/members", { device_id: "disk3" });
  await eventually(`the recovery is at ${PERCENT_SHOWN} %`, 120_000, async () => {
    const { status } = await arrayOf(board, "md0");
    return (status.sync?.percent ?? 0) >= PERCENT_SHOWN;
  });
  const slow = { sync_speed_min: MIB, sync_speed_max: 40 * MIB };
  await board.request("PUT", "/arrays/md0/sync-action", slow);
  await eventually("the speed is that of the limit", 60_000, async () => {
    const { status } = await arrayOf(board, "md0");
    return (status.sync?.speed ?? Number.POSITIVE_INFINITY) < 44 * MIB;
  });
};

const save = async (tab: PanelTab, name: string): Promise<void> => {
  const file = join(IMAGES, name);
  await tab.page.screenshot({ path: file });
  await tab.close();
  const { size } = statSync(file);
  if (size > IMAGE_BYTES_MAX) {
    throw new Error(`${file} has ${size} bytes, at most ${IMAGE_BYTES_MAX}`);
  }
  process.stdout.write(`${file}: ${Math.ceil(size / 1024)} KiB\n`);
};

const take = async (browser: Browser, board: Board, theme: "light" | "dark"): Promise<void> => {
  for (const [name, path, height] of [
    ["overview", "/", 720],
    ["array", "/arrays/md0", 1180],
  ] as const) {
    const { url, token } = board;
    const tab = await PanelTab.open(browser, { url, token, path, theme, height });
    await tab.page.locator("[data-action=recover]").first().waitFor();
    if (name === "array") {
      await tab.page.locator("[data-part=attach]").waitFor();
    }
    await save(tab, `${name}-${theme}.png`);
  }
};

const takeOneBoard = async (browser: Browser): Promise<void> => {
  const dataDir = join(tmpdir(), "satsuma-demo");
  rmSync(dataDir, { recursive: true, force: true });
  const board = await startBoard({ dataDir, args: ["--size", "8G"] });
  try {
    await furnish(board);
    const client = await NbdClient.attach(board.socket, "md0");
    await client.write(0, new Uint8Array(MIB).fill(1));
    await breakOne(board);
    await client.write(GIB, new Uint8Array(MIB).fill(2));
    await take(browser, board, "light");
    await take(browser, board, "dark");
    client.close();
  } finally {
    await board.stop();
    rmSync(dataDir, { recursive: true, force: true });
  }
};

const takeBoards = async (browser: Browser): Promise<void> => {
  const boards = await startSharedBoards({ boards: 3, size: "64M", ownDisks: true });
  try {
    await boards.untilWhole();
    for (const theme of ["light", "dark"] as const) {
      const { url, token } = boards.board(0);
      const tab = await PanelTab.open(browser, {
        url,
        token,
        path: "/boards",
        theme,
        height: 1330,
      });
      await tab.page.locator("tr[data-key='board3/disk1'] [data-way=local]").waitFor();
      await save(tab, `boards-${theme}.png`);
    }
  } finally {
    await boards.stop();
  }
};

mkdirSync(IMAGES, { recursive: true });
const browser = await startBrowser();
try {
  if (process.argv[2] !== "boards") await takeOneBoard(browser);
  await takeBoards(browser);
} finally {
  await browser.close();
}
