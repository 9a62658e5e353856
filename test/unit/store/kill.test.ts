/**
 * kill -9 at any moment: a child writes and tells what is stored; after its death everything told
 * is there, whole, and the file opens at once although nobody gave its lock back.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { openStore } from "../../../src/store/store.ts";
import { inFolder } from "../../helpers/temporary-folder.ts";
import { withTimeout } from "../../helpers/timeout.ts";

const WRITER = join(import.meta.dirname, "../../helpers/killed-writer.ts");

/** Lets the writer store at least `count` arrays, kills it, returns the last number it told. */
async function writeAndKill(path: string, count: number, signal: AbortSignal): Promise<number> {
  const child = spawn(process.execPath, [WRITER, path], { stdio: ["ignore", "pipe", "inherit"] });
  let told = "";
  const killed = once(child, "close", { signal });
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    told += text;
    if (told.split("\n").length > count) child.kill("SIGKILL");
  });
  await killed;
  return Number(told.slice(0, told.lastIndexOf("\n")).split("\n").at(-1));
}

const test = suite("store/kill");

test(
  "what was stored before a kill is there after it, and the lock is free",
  withTimeout(60_000, async (_context, signal) => {
    await inFolder(async (folder) => {
      for (const [round, count] of [1, 20, 57].entries()) {
        const path = join(folder, `${round}.db`);
        const told = await writeAndKill(path, count, signal);
        assert.ok(told >= count);
        const store = openStore({ path });
        const names = new Set(store.arrays.list().map(({ name }) => name));
        const lost = Array.from({ length: told }, (_, at) => `md${at + 1}`).filter(
          (name) => !names.has(name),
        );
        assert.equal(lost, []);
        assert.ok(store.events.newestId >= told);
        store.close();
      }
    })();
  }),
);

test.run();
