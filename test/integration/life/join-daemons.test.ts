/**
 * Boards that get their cluster while they run: a plain array is there again afterwards, and a new
 * array spans the disks of both.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { ArrayResource } from "../../../src/api/schemas/array.ts";
import type { ClusterResource, NewJoinTokenResource } from "../../../src/api/schemas/cluster.ts";
import { NbdClient } from "../../helpers/nbd-client.ts";
import { PanelTab, startBrowser } from "../../helpers/panel-browser.ts";
import { ServeProcess } from "../../helpers/serve-process.ts";
import { skipUnless } from "../../helpers/skip.ts";
import { eventually, withTimeout } from "../../helpers/timeout.ts";

// wall-limit: 300 s

const test = suite("boards that join while they run");

const WAIT_MS = 90_000;
const SIZE = 16 * 1024 * 1024;

const clusterOf = async (board: ServeProcess): Promise<ClusterResource> =>
  (await board.request("GET", "/cluster")) as ClusterResource;

const runs = async (board: ServeProcess, name: string): Promise<boolean> => {
  const array = (await board.request("GET", `/arrays/${name}`)) as ArrayResource;
  return array.status.health === "optimal";
};

const write = async (board: ServeProcess, name: string, bytes: Buffer): Promise<void> => {
  const client = await NbdClient.attach(board.socket, name);
  await client.write(0, bytes, true);
  client.close();
};

const read = async (board: ServeProcess, name: string, length: number): Promise<Buffer> => {
  const client = await NbdClient.attach(board.socket, name);
  const bytes = Buffer.from(await client.read(0, length));
  client.close();
  return bytes;
};

/** The panel says what two boards without a witness cannot do, and makes a token for one. */
const showTwoBoards = async ({ url, token }: ServeProcess, fingerprint: string): Promise<void> => {
  const browser = await startBrowser();
  try {
    const { page } = await PanelTab.open(browser, { url, token, path: "/boards" });
    const notice = page.locator("[data-votes=at-risk]");
    await notice.getByText("Two boards without a witness").waitFor();
    const cannot = "If left stops, right reads and writes nothing until left is back.";
    await notice.getByText(cannot).waitFor();
    await page.locator("[data-subject=left] [data-verdict=loses]").waitFor();
    await page.locator("[data-subject=right] [data-verdict=safe]").waitFor();
    await page.locator("tr[data-key=left]").getByText("elected").waitFor();

    await notice.getByRole("button", { name: "Add a witness" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Make a token" }).click();
    const made = page.locator("[data-part=token]");
    await made.getByText(/^satsuma witness --data DIR --join satsuma-join-/).waitFor();
    await made.getByText(fingerprint).waitFor();
    await page.keyboard.press("Escape");
    await page.getByRole("button", { name: /^Take back the token/ }).click();
    await page.getByText("The token was taken back").waitFor();

    await page.getByRole("button", { name: "Evict right" }).click();
    const dialog = page.getByRole("dialog", { name: "Evict right from the cluster" });
    const submit = dialog.getByRole("button", { name: "Evict right" });
    assert.ok(await submit.isDisabled());
    await dialog.getByLabel("Type right to confirm").fill("right");
    assert.ok(await submit.isEnabled());
  } finally {
    await browser.close();
  }
};

/** The board joins anew; its disk is copied whole, and it runs the array as well. */
const joinAgain = async (left: ServeProcess, right: ServeProcess): Promise<void> => {
  await right.start();
  // It was off when it was taken out: it is refused, and forgets that cluster by order only.
  await right.request("POST", "/cluster/actions/leave", { force: true });
  await eventually("it is in no cluster", WAIT_MS, async () => {
    const seen = await clusterOf(right).catch(() => null);
    return seen !== null && seen.name === null;
  });
  const { token } = (await left.request("POST", "/join-tokens", {})) as NewJoinTokenResource;
  await right.request("POST", "/cluster/actions/join", { token });
  const members = "/arrays/both/members";
  const order = { device_id: "right.disk1", force: true };
  await left.request("DELETE", `${members}/right.disk1`);
  await eventually("its disk is a copy again", WAIT_MS, async () => {
    await left.request("POST", members, order).catch(() => undefined);
    return await runs(left, "both");
  });
  await eventually("it runs the array", WAIT_MS, async () => {
    await right.request("POST", "/arrays", { assemble: "both" }).catch(() => undefined);
    return await runs(right, "both").catch(() => false);
  });
  await right.request("POST", "/exports", { name: "both", array: "both" }).catch(() => undefined);
};

skipUnless(["etcd", "chromium"], test)(
  "a plain array runs on, a new one spans both boards, and one board alone gets it back",
  withTimeout(240_000, async () => {
    const folder = mkdtempSync(join(tmpdir(), "jd-"));
    const config = join(folder, "satsuma.toml");
    // Other tests load the disk as well.
    writeFileSync(config, "[cluster]\nfsync_limit = 10000\n");
    const boards = ["left", "right"].map(
      (name) => new ServeProcess(join(folder, name), ["--name", name, "--config", config]),
    );
    const [left, right] = boards as [ServeProcess, ServeProcess];
    try {
      for (const board of boards) await board.start();
      for (const name of ["disk1", "disk2", "disk3"])
        await left.request("POST", "/devices", { name, size: SIZE });
      await right.request("POST", "/devices", { name: "disk1", size: SIZE });
      const plain = { name: "plain", level: "raid1", device_ids: ["disk1", "disk2"] };
      await left.request("POST", "/arrays", { ...plain, assume_clean: true });
      await left.request("POST", "/exports", { name: "plain", array: "plain" });
      const words = Buffer.alloc(4096, "written before the cluster ");
      await write(left, "plain", words);

      await left.request("POST", "/cluster", { name: "attic" });
      const { token } = (await left.request("POST", "/join-tokens", {})) as NewJoinTokenResource;
      const { pid, url } = left;
      await right.request("POST", "/cluster/actions/join", { token });
      for (const board of boards) {
        const isIn = async (): Promise<boolean> => {
          const { quorum, members } = await clusterOf(board);
          return quorum === "at-risk" && members.every(({ state }) => state === "online");
        };
        await eventually("both are in the cluster", WAIT_MS, isIn);
      }
      assert.equal([left.pid, left.url], [pid, url]);
      await eventually("the plain array", WAIT_MS, () => runs(left, "plain"));
      assert.equal(await read(left, "plain", words.length), words);
      await showTwoBoards(left, (await clusterOf(left)).fingerprint ?? "none");

      const ids = ["disk3", "right.disk1"];
      const isSeen = async (): Promise<boolean> => {
        const { items } = (await left.request("GET", "/devices")) as {
          readonly items: readonly {
            readonly id: string;
            readonly status: { readonly state: string };
          }[];
        };
        return ids.every((id) => items.some((one) => one.id === id && one.status.state === "free"));
      };
      await eventually("the other board's disk", WAIT_MS, isSeen);
      const both = { name: "both", level: "raid1", device_ids: ids, bitmap: "clustered", nodes: 4 };
      const order = { ...both, home_cluster: "attic", assume_clean: true };
      await left.request("POST", "/arrays", order);
      await left.request("POST", "/exports", { name: "both", array: "both" });
      const shared = Buffer.alloc(8192, "written on two boards ");
      await write(left, "both", shared);
      const view = await clusterOf(left);
      assert.is(view.members.find(({ name }) => name === "left")?.vote, "voter");

      // Its copy goes with nobody's permission; dead for a moment it is not gone yet.
      const evict = async (force: boolean): Promise<string> => {
        try {
          await left.request("POST", "/nodes/right/actions/evict", { force });
          return "it was taken out";
        } catch (error) {
          return (error as Error).message;
        }
      };
      assert.match(await evict(false), "CONTROL_DEPARTURE_REFUSED");

      // The board without a vote dies: the other one goes on with what it has.
      await right.kill9();
      const more = Buffer.alloc(8192, "written while alone ");
      await eventually("writes without the other board", WAIT_MS, async () => {
        await write(left, "both", more);
        return true;
      });
      assert.equal(await read(left, "both", more.length), more);
      await eventually("it is gone for all", WAIT_MS, async () => {
        const said = await evict(true);
        assert.match(said, /LIFE_BOARD_NOT_GONE|it was taken out/);
        return said === "it was taken out";
      });
      assert.equal(await read(left, "both", more.length), more);
      await joinAgain(left, right);
      // Taken out while it runs the array: its copy goes, not the other one.
      const last = Buffer.alloc(8192, "written before it is taken out ");
      await write(right, "both", last);
      assert.is(await evict(true), "it was taken out");
      await write(left, "plain", last);
      assert.equal(await read(left, "both", last.length), last);
      const { status } = (await left.request("GET", "/arrays/both")) as ArrayResource;
      const states = status.members.map(({ device_id, states }) => [device_id, states.join()]);
      assert.equal(states[0], ["disk3", "in_sync"]);
      assert.is(status.health, "degraded");
    } finally {
      for (const board of boards) await board.shutDown();
      rmSync(folder, { recursive: true, force: true });
    }
  }),
);

test.run();
