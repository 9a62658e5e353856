/** QEMU's tools against a running board: whole images, and single requests of every kind. */
import { randomBytes } from "node:crypto";
import { closeSync, ftruncateSync, openSync, writeSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type Board, startBoard } from "../../helpers/board.ts";
import { runCommand, tryCommand } from "../../helpers/command.ts";
import { skipUnless } from "../../helpers/skip.ts";
import { inFolder } from "../../helpers/temporary-folder.ts";

const MIB = 2 ** 20;

const test = suite<{ board: Board }>("clients: qemu");
const qemuTest = skipUnless(["qemu-img", "qemu-io"], test);

test.before(async (context) => {
  context.board = await startBoard();
});

test.after(async ({ board }) => {
  await board.stop();
});

/** Runs qemu-io commands on the export. Errors: rejects when one fails, or a pattern differs. */
async function qemuIo(board: Board, ...commands: string[]): Promise<void> {
  const options = commands.flatMap((command) => ["-c", command]);
  const { stdout } = await runCommand("qemu-io", ["-f", "raw", ...options, board.nbdUri]);
  assert.not.match(stdout, /fail|error/i);
}

async function exportSize(board: Board): Promise<number> {
  const { stdout } = await runCommand("qemu-img", ["info", "--output=json", board.nbdUri]);
  return (JSON.parse(stdout) as { "virtual-size": number })["virtual-size"];
}

qemuTest("qemu-img converts an image into the export and finds it identical", async ({ board }) => {
  await inFolder(async (folder) => {
    const image = join(folder, "image.raw");
    const file = openSync(image, "w");
    ftruncateSync(file, await exportSize(board));
    for (const offset of [0, 33 * MIB, 200 * MIB]) {
      writeSync(file, randomBytes(4 * MIB), 0, 4 * MIB, offset);
    }
    closeSync(file);
    const qcow = join(folder, "image.qcow2");
    await runCommand("qemu-img", ["convert", "-f", "raw", "-O", "qcow2", image, qcow]);
    await runCommand("qemu-img", ["convert", "-n", "-f", "qcow2", "-O", "raw", qcow, board.nbdUri]);
    await runCommand("qemu-img", ["compare", "-f", "raw", "-F", "raw", image, board.nbdUri]);
    const back = join(folder, "back.qcow2");
    await runCommand("qemu-img", ["convert", "-f", "raw", "-O", "qcow2", board.nbdUri, back]);
    await runCommand("qemu-img", ["compare", "-f", "qcow2", "-F", "raw", back, image]);

    await qemuIo(board, "write -P 0x11 33M 512");
    const different = await tryCommand("qemu-img", ["compare", "-f", "raw", image, board.nbdUri]);
    assert.is(different.ending, "1", "compare sees a changed sector");
  })();
});

qemuTest(
  "patterns written at any sector are read back, their neighbours intact",
  async ({ board }) => {
    await qemuIo(
      board,
      "write -P 0xa1 0 1M",
      "write -P 0xb2 4k 512",
      "write -P 0xc3 300k 68k",
      "read -P 0xa1 0 4k",
      "read -P 0xb2 4k 512",
      "read -P 0xa1 4608 302592",
      "read -P 0xc3 300k 68k",
      "read -P 0xa1 368k 656k",
    );
    await qemuIo(board, "read -P 0xb2 4k 512", "read -P 0xc3 300k 68k");
  },
);

qemuTest(
  "writes and zeroes with FUA, flushes and cache drops keep the content",
  async ({ board }) => {
    await qemuIo(
      board,
      "write -f -P 0xd4 8M 1M",
      "write -z 8M 4k",
      "write -z -u 8200k 64k",
      "write -z -f 8400k 4k",
      "flush",
      "read -P 0 8M 4k",
      "read -P 0xd4 8196k 4k",
      "read -P 0 8200k 64k",
      "read -P 0xd4 8264k 136k",
      "read -P 0 8400k 4k",
      "read -P 0xd4 8404k 812k",
    );
  },
);

qemuTest("a discard leaves its neighbours and takes new writes", async ({ board }) => {
  await qemuIo(
    board,
    "write -P 0xe5 16M 1M",
    "discard 16640k 64k",
    "read -P 0xe5 16M 256k",
    "read -P 0xe5 16704k 704k",
    "write -P 0xf6 16640k 4k",
    "read -P 0xf6 16640k 4k",
  );
});

qemuTest("requests in flight together do not mix", async ({ board }) => {
  const writes = Array.from({ length: 32 }, (_, i) => `aio_write -q -P ${i + 1} ${32 + i}M 1M`);
  const reads = Array.from({ length: 32 }, (_, i) => `aio_read -q -P ${i + 1} ${32 + i}M 1M`);
  await qemuIo(board, ...writes, "aio_flush", ...reads, "aio_flush");
});

qemuTest("the last sector is there, and nothing after it", async ({ board }) => {
  const size = await exportSize(board);
  await qemuIo(board, `write -P 0x77 ${size - 512} 512`, `read -P 0x77 ${size - 512} 512`);
  const beyond = await tryCommand("qemu-io", ["-f", "raw", "-c", `read ${size} 512`, board.nbdUri]);
  assert.match(`${beyond.stdout}${beyond.stderr}`, /fail|error/i);
});

test.run();
