/**
 * Sparse images through real clients: what is a hole at the source takes no space on the members,
 * and what is one in the array takes none at the destination.
 */
import { randomBytes } from "node:crypto";
import { closeSync, ftruncateSync, openSync, statSync, writeSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type Board, startBoard, waitForSync } from "../../helpers/board.ts";
import { runCommand } from "../../helpers/command.ts";
import { skipUnless } from "../../helpers/skip.ts";
import { inFolder } from "../../helpers/temporary-folder.ts";

const MIB = 2 ** 20;
const SIZE = 1024 * MIB;
/** Where the image has data, in bytes. */
const PATCHES = [
  [0, 16 * MIB],
  [300 * MIB, 8 * MIB],
  [777 * MIB, 8 * MIB],
] as const;
const DATA_BYTES = 32 * MIB;
/** What file systems add for their own books, and metadata of the array. */
const SLACK_BYTES = MIB;

const test = suite<{ board: Board }>("clients: sparse images");
const libnbdTest = skipUnless(["nbdcopy", "nbdinfo"], test);
const qemuTest = skipUnless(["qemu-img", "qemu-io"], test);

test.before(async (context) => {
  context.board = await startBoard();
  await waitForSync(context.board);
});

test.after(async ({ board }) => {
  await board.stop();
});

test.before.each(async ({ board }) => {
  await runCommand("qemu-io", [
    ...["-f", "raw", "-c", `write -z -u 0 ${SIZE}`, "-c", "flush", board.nbdUri],
  ]);
});

const taken = (path: string): number => statSync(path).blocks * 512;

/** Every member takes about this much. */
const expectTaken = (board: Board, bytes: number): void => {
  assert.is(board.disks.length, 2);
  for (const disk of board.disks) {
    const found = taken(disk);
    assert.ok(found >= bytes && found <= bytes + SLACK_BYTES, `${disk} takes ${found}`);
  }
};

const makeImage = (folder: string): string => {
  const path = join(folder, "image");
  const file = openSync(path, "w");
  ftruncateSync(file, SIZE);
  for (const [at, length] of PATCHES) writeSync(file, randomBytes(length), 0, length, at);
  closeSync(file);
  return path;
};

/** Starts of the stretches with data, and their lengths. */
const dataOf = async (board: Board): Promise<(readonly [number, number])[]> => {
  const { stdout } = await runCommand("qemu-img", [
    ...["map", "--output=json", "-f", "raw", board.nbdUri],
  ]);
  const extents = JSON.parse(stdout) as readonly { start: number; length: number; data: boolean }[];
  return extents.filter(({ data }) => data).map(({ start, length }) => [start, length]);
};

libnbdTest("nbdcopy leaves the array as sparse as the image, and the copy too", async (context) => {
  const { board } = context;
  await inFolder(async (folder) => {
    const image = makeImage(folder);
    await runCommand("nbdcopy", ["--flush", image, board.nbdUri]);
    expectTaken(board, DATA_BYTES);
    const { stdout } = await runCommand("nbdinfo", ["--json", "--map", board.nbdUri]);
    const extents = JSON.parse(stdout) as readonly {
      offset: number;
      length: number;
      type: number;
    }[];
    const data = extents.filter(({ type }) => type === 0);
    assert.equal(
      data.map(({ offset, length }) => [offset, length]),
      PATCHES,
    );
    const copy = join(folder, "copy");
    await runCommand("nbdcopy", [board.nbdUri, copy]);
    assert.ok(taken(copy) <= DATA_BYTES + SLACK_BYTES, `the copy takes ${taken(copy)}`);
    await runCommand("cmp", [`--bytes=${SIZE}`, image, copy]);
  })();
});

libnbdTest("nbdcopy over old data gives the space of the image's holes back", async ({ board }) => {
  await inFolder(async (folder) => {
    const image = makeImage(folder);
    await runCommand("qemu-io", [
      ...["-f", "raw", "-c", "write -P 7 100M 64M", "-c", "flush", board.nbdUri],
    ]);
    expectTaken(board, 64 * MIB);
    await runCommand("nbdcopy", ["--connections=4", "--flush", image, board.nbdUri]);
    expectTaken(board, DATA_BYTES);
    const copy = join(folder, "copy");
    await runCommand("nbdcopy", ["--connections=4", board.nbdUri, copy]);
    await runCommand("cmp", [`--bytes=${SIZE}`, image, copy]);
  })();
});

libnbdTest("nbdcopy with allocation gives every byte its space", async ({ board }) => {
  await inFolder(async (folder) => {
    const image = join(folder, "image");
    const file = openSync(image, "w");
    ftruncateSync(file, 64 * MIB);
    closeSync(file);
    await runCommand("nbdcopy", ["--allocated", "--flush", image, board.nbdUri]);
    expectTaken(board, 64 * MIB);
  })();
});

qemuTest("qemu-img converts into an array that is zero, and writes only data", async (context) => {
  const { board } = context;
  await inFolder(async (folder) => {
    const image = makeImage(folder);
    const convert = ["convert", "-n", "-f", "raw", "-O", "raw"];
    for (const options of [["--target-is-zero"], []]) {
      await runCommand("qemu-img", [...convert, ...options, image, board.nbdUri]);
      expectTaken(board, DATA_BYTES);
      assert.equal(await dataOf(board), PATCHES);
      await runCommand("qemu-img", [...["compare", "-f", "raw", "-F", "raw", image, board.nbdUri]]);
    }
    const back = join(folder, "back");
    await runCommand("qemu-img", ["convert", "-f", "raw", "-O", "raw", board.nbdUri, back]);
    assert.ok(taken(back) <= DATA_BYTES + SLACK_BYTES, `the copy takes ${taken(back)}`);
  })();
});

qemuTest(
  "a discard, zeroes with and without holes, and what the map says then",
  async (context) => {
    const { board } = context;
    const qemuIo = async (...commands: readonly string[]): Promise<void> => {
      const options = commands.flatMap((command) => ["-c", command]);
      const { stdout } = await runCommand("qemu-io", ["-f", "raw", ...options, board.nbdUri]);
      assert.not.match(stdout, /fail|error/i);
    };
    await qemuIo("write -P 9 16M 64M", "flush");
    assert.equal(await dataOf(board), [[16 * MIB, 64 * MIB]]);
    await qemuIo("discard 20M 8M", "read -P 0 20M 8M", "read -P 9 28M 52M", "flush");
    expectTaken(board, 56 * MIB);
    await qemuIo("write -z 40M 4M", "flush");
    expectTaken(board, 56 * MIB);
    await qemuIo("write -z -u -n 50M 4M", "flush");
    expectTaken(board, 52 * MIB);
    // The map before the reads: zeroes with space that are in the page cache are data to Linux.
    assert.equal(await dataOf(board), [
      [16 * MIB, 4 * MIB],
      [28 * MIB, 12 * MIB],
      [44 * MIB, 6 * MIB],
      [54 * MIB, 26 * MIB],
    ]);
    await qemuIo("read -P 0 40M 4M", "read -P 0 50M 4M", "read -P 9 54M 26M");
    await qemuIo("discard 16M 64M", "flush");
    expectTaken(board, 0);
  },
);

test.run();
