/**
 * A file system over the export, as a host without the nbd kernel module can have one: nbdfuse
 * makes the export a file, a loop device makes the file a block device.
 */
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { accessSync, constants, mkdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type Board, startBoard } from "../../helpers/board.ts";
import { runCommand, tryCommand } from "../../helpers/command.ts";
import { skipUnless, skipWhen } from "../../helpers/skip.ts";
import { inFolder } from "../../helpers/temporary-folder.ts";
import { eventually } from "../../helpers/timeout.ts";

const test = suite<{ board: Board }>("clients: ext4");
const MIB = 2 ** 20;
const TOOLS = ["nbdfuse", "fusermount3", "losetup", "mkfs.ext4", "e2fsck", "fstrim"];
const tooledTest = skipUnless(TOOLS, test);
const ext4Test = tooledTest === test ? skipWhen(whyNoMount(), test) : tooledTest;

test.before(async (context) => {
  context.board = await startBoard();
});

test.after(async ({ board }) => {
  await board.stop();
});

function whyNoMount(): string | undefined {
  if (process.getuid?.() !== 0) return "mounting needs root";
  for (const device of ["/dev/fuse", "/dev/loop-control"]) {
    try {
      accessSync(device, constants.R_OK | constants.W_OK);
    } catch {
      return `no ${device} here`;
    }
  }
  return undefined;
}

/** Bytes that the members take together. */
function taken(board: Board): number {
  return board.disks.reduce((sum, disk) => sum + statSync(disk).blocks * 512, 0);
}

/** Runs `body` with the export as a file. */
async function withFuse(
  folder: string,
  board: Board,
  body: (file: string) => Promise<void>,
): Promise<void> {
  const file = join(folder, "export");
  writeFileSync(file, "");
  const fuse = spawn("nbdfuse", [file, board.nbdUri], { stdio: "ignore" });
  const exit = once(fuse, "exit");
  try {
    await eventually("nbdfuse serves the file", 10_000, () => statSync(file).size > 0);
    await body(file);
  } finally {
    await tryCommand("fusermount3", ["-u", file]);
    await exit;
  }
}

/** Runs `body` with the file as a loop device. */
async function withLoop(file: string, body: (device: string) => Promise<void>): Promise<void> {
  const { stdout } = await runCommand("losetup", ["--find", "--show", file]);
  const device = stdout.trim();
  try {
    await body(device);
  } finally {
    await runCommand("losetup", ["--detach", device]);
  }
}

/** Runs `body` with the device mounted at `point`. */
async function withMount(device: string, point: string, body: () => Promise<void>): Promise<void> {
  await runCommand("mount", [device, point]);
  try {
    await body();
  } finally {
    await runCommand("umount", [point]);
  }
}

ext4Test(
  "an ext4 over the export is made, filled, unmounted, clean, and mounts again",
  async ({ board }) => {
    await inFolder(async (folder) => {
      const point = join(folder, "mnt");
      const tree = join(import.meta.dirname, "../../../src");
      mkdirSync(point);
      await withFuse(folder, board, async (file) => {
        await withLoop(file, async (device) => {
          await runCommand("mkfs.ext4", ["-q", device]);
          await withMount(device, point, async () => {
            await runCommand("cp", ["-r", tree, join(point, "first")]);
            await runCommand("cp", ["-r", join(point, "first"), join(point, "second")]);
            await runCommand("rm", ["-r", join(point, "first")]);
            await runCommand("cp", [process.execPath, join(point, "program")]);
          });
          await runCommand("e2fsck", ["-fn", device]);
          await withMount(device, point, async () => {
            await runCommand("diff", ["-r", tree, join(point, "second")]);
            await runCommand("cmp", [process.execPath, join(point, "program")]);
          });
        });
      });
    })();
  },
);

ext4Test("fstrim on an ext4 over the export gives space back on the members", async ({ board }) => {
  await inFolder(async (folder) => {
    const point = join(folder, "mnt");
    mkdirSync(point);
    await withFuse(folder, board, async (file) => {
      await withLoop(file, async (device) => {
        await runCommand("mkfs.ext4", ["-q", device]);
        await withMount(device, point, async () => {
          const old = join(point, "old");
          writeFileSync(old, randomBytes(64 * MIB));
          writeFileSync(join(point, "kept"), randomBytes(8 * MIB));
          await runCommand("sync", ["--file-system", point]);
          const full = taken(board);
          await runCommand("rm", [old]);
          await runCommand("sync", ["--file-system", point]);
          assert.ok(taken(board) >= full, "nothing is given back before");
          await runCommand("fstrim", [point]);
          const freed = full - taken(board);
          assert.ok(freed >= 2 * 60 * MIB, `${freed} bytes given back by both members`);
        });
        await runCommand("e2fsck", ["-fn", device]);
      });
    });
  })();
});

test.run();
