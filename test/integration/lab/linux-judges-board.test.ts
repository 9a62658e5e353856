/**
 * The members of a board that ran: Linux takes over what was written through NBD, after a clean
 * stop and after kill -9, writes to it itself, and the board takes it back.
 */
import { randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type Board, startBoard, waitForSync } from "../../helpers/board.ts";
import { hashOutput, runCommand } from "../../helpers/command.ts";
import { skipUnless } from "../../helpers/skip.ts";
import { inFolder } from "../../helpers/temporary-folder.ts";
import { kernelJudges, mdComplaints } from "../../lab/judge.ts";
import { runInKernel } from "../../lab/kernel.ts";
import { needsKernel } from "../../lab/needs-kernel.ts";

const MIB = 2 ** 20;

const test = suite("linux judges a board");
const tooledTest = skipUnless(["linux.uml", "mdadm", "nbdcopy"], test);
const kernelTest = await needsKernel(tooledTest, test);

async function hashExport(board: Board): Promise<string> {
  return await hashOutput("nbdcopy", [board.nbdUri, "-"]);
}

/** Assembles the members in Linux and cuts its power while it writes. */
async function crashUnderWrites(members: readonly string[]): Promise<void> {
  const { status, output } = await runInKernel({
    images: members,
    script: `mdadm --assemble --run /dev/md0 $DISKS &&
      echo 0 >/sys/block/md0/md/safe_mode_delay &&
      dd if=/dev/urandom of=/dev/md0 bs=64K count=64 seek=100 oflag=direct && crash 42`,
  });
  assert.is(status, 42, output);
}

/** Runs `body` with a small board that holds 40 MiB of random data, flushed. */
function withWrittenBoard(body: (board: Board) => Promise<void>): () => Promise<void> {
  return inFolder(async (folder) => {
    const dataDir = join(folder, "board");
    const board = await startBoard({ dataDir, args: ["--size", "96M"] });
    try {
      const source = join(folder, "source");
      writeFileSync(source, randomBytes(40 * MIB));
      await runCommand("nbdcopy", ["--flush", source, board.nbdUri]);
      await body(board);
    } finally {
      await board.stop();
    }
  });
}

kernelTest(
  "after a clean stop Linux finds the same content in sync, and the board reads what Linux wrote",
  withWrittenBoard(async (board) => {
    const written = await hashExport(board);
    await board.shutDown();
    const verdict = await kernelJudges(board.disks, { writes: true, inPlace: true });
    assert.ok(verdict.assembled, verdict.output);
    assert.equal(mdComplaints(verdict.dmesg), []);
    assert.not.match(verdict.dmesg.join("\n"), "reconstruction", "no resync after a clean stop");
    assert.is(verdict.sha256, written);
    assert.is(verdict.mismatchCnt, 0);
    assert.ok(verdict.filesystem.ok, verdict.filesystem.output);

    await board.start();
    assert.is(await hashExport(board), verdict.sha256Written);
    await board.shutDown();
    const again = await kernelJudges(board.disks);
    assert.is(again.sha256, verdict.sha256Written);
    assert.equal([again.degraded, again.mismatchCnt], [0, 0]);
    assert.equal(mdComplaints(again.dmesg), []);
  }),
);

kernelTest(
  "after kill -9 Linux finds every flushed write, resyncs by the bitmap and finds equal copies",
  withWrittenBoard(async (board) => {
    const written = await hashExport(board);
    await board.kill9();
    const verdict = await kernelJudges(board.disks);
    assert.ok(verdict.assembled, verdict.output);
    assert.equal(mdComplaints(verdict.dmesg), []);
    assert.match(verdict.examineBitmap[0] ?? "", /[1-9]\d* dirty/);
    assert.is(verdict.sha256, written);
    assert.is(verdict.sha256AfterResync, written);
    assert.is(verdict.mismatchCnt, 0);
  }),
);

kernelTest(
  "after a power cut in Linux the board resyncs, and both then agree",
  withWrittenBoard(async (board) => {
    await board.shutDown();
    await crashUnderWrites(board.disks);
    const { stdout } = await runCommand("mdadm", ["--examine", String(board.disks[0])]);
    assert.match(stdout, "State : active");
    await board.start();
    await waitForSync(board);
    const content = await hashExport(board);
    await board.shutDown();
    const verdict = await kernelJudges(board.disks);
    assert.is(verdict.sha256, content);
    assert.equal([verdict.degraded, verdict.mismatchCnt], [0, 0]);
    assert.not.match(verdict.dmesg.join("\n"), "reconstruction", "the board ended the resync");
  }),
);

test.run();
