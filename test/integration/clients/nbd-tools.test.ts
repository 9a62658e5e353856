/** libnbd's own tools against a running board: what nbdinfo sees, and 1 GiB there and back. */
import { randomBytes } from "node:crypto";
import { closeSync, ftruncateSync, openSync, writeSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type Board, startBoard } from "../../helpers/board.ts";
import { runCommand } from "../../helpers/command.ts";
import { skipUnless } from "../../helpers/skip.ts";
import { inFolder } from "../../helpers/temporary-folder.ts";

const MIB = 2 ** 20;
const GIB = 2 ** 30;

const test = suite<{ board: Board }>("clients: libnbd");
const nbdTest = skipUnless(["nbdinfo", "nbdcopy"], test);

test.before(async (context) => {
  context.board = await startBoard();
});

test.after(async ({ board }) => {
  await board.stop();
});

/** The part of `nbdinfo --json` that is checked. */
interface NbdInfo {
  readonly protocol: string;
  readonly structured: boolean;
  readonly exports: readonly Readonly<Record<string, unknown>>[];
}

async function nbdinfo(uri: string, ...options: string[]): Promise<NbdInfo> {
  const { stdout } = await runCommand("nbdinfo", ["--json", ...options, uri]);
  return JSON.parse(stdout) as NbdInfo;
}

/** A file of 1 GiB with data in some places, among them both ends and odd offsets, and holes. */
function makeSparseFile(path: string): void {
  const file = openSync(path, "w");
  ftruncateSync(file, GIB);
  const offsets = [0, 5 * MIB + 512, 64 * MIB - 4096, 300 * MIB + 3, 777 * MIB, GIB - 8 * MIB];
  for (const offset of offsets) writeSync(file, randomBytes(8 * MIB), 0, 8 * MIB, offset);
  closeSync(file);
}

nbdTest("nbdinfo lists the export with every feature it has", async ({ board }) => {
  const list = await nbdinfo(`nbd+unix:///?socket=${board.socket}`, "--list");
  assert.ok(list.exports.some((entry) => entry["export-name"] === "md0"));
  const info = await nbdinfo(board.nbdUri);
  assert.is(info.protocol, "newstyle-fixed");
  assert.is(info.structured, true);
  const [entry] = info.exports;
  assert.equal(
    {
      isReadOnly: entry?.["is_read_only"],
      flush: entry?.["can_flush"],
      fua: entry?.["can_fua"],
      trim: entry?.["can_trim"],
      zero: entry?.["can_zero"],
      fastZero: entry?.["can_fast_zero"],
      cache: entry?.["can_cache"],
      df: entry?.["can_df"],
      multiConn: entry?.["can_multi_conn"],
      rotational: entry?.["is_rotational"],
    },
    {
      isReadOnly: false,
      flush: true,
      fua: true,
      trim: true,
      zero: true,
      fastZero: true,
      cache: true,
      df: true,
      multiConn: true,
      rotational: entry?.["is_rotational"],
    },
  );
  assert.ok(Number(entry?.["export-size"]) >= GIB, `size ${entry?.["export-size"]}`);
});

nbdTest("nbdinfo reads block status in both metadata contexts", async ({ board }) => {
  const size = Number((await runCommand("nbdinfo", ["--size", board.nbdUri])).stdout);
  for (const context of ["base:allocation", "satsuma:dirty"]) {
    const { stdout } = await runCommand("nbdinfo", ["--json", `--map=${context}`, board.nbdUri]);
    const extents = JSON.parse(stdout) as readonly { offset: number; length: number }[];
    const covered = extents.reduce((sum, extent) => sum + extent.length, 0);
    assert.is(covered, size, `${context} covers the export`);
  }
});

nbdTest("nbdcopy brings 1 GiB there and back unchanged", async ({ board }) => {
  await inFolder(async (folder) => {
    const source = join(folder, "source");
    const copy = join(folder, "copy");
    makeSparseFile(source);
    await runCommand("nbdcopy", ["--flush", source, board.nbdUri]);
    await runCommand("nbdcopy", [board.nbdUri, copy]);
    await runCommand("cmp", [`--bytes=${GIB}`, source, copy]);
  })();
});

nbdTest(
  "nbdcopy overwrites what was there, holes too, over TCP and 4 connections",
  async ({ board }) => {
    await inFolder(async (folder) => {
      const source = join(folder, "source");
      const copy = join(folder, "copy");
      makeSparseFile(source);
      const uri = `nbd://${board.nbdAddress}/md0`;
      await runCommand("nbdcopy", ["--connections=4", "--flush", source, uri]);
      await runCommand("nbdcopy", ["--connections=4", uri, copy]);
      await runCommand("cmp", [`--bytes=${GIB}`, source, copy]);
    })();
  },
);

test.run();
