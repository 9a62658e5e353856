/**
 * fio's verification over 4 connections: random writes with checksums, trims, the same blocks
 * written again while trims go on beside them, each write read back and checked.
 */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type Board, startBoard } from "../../helpers/board.ts";
import { runCommand } from "../../helpers/command.ts";
import { skipUnless } from "../../helpers/skip.ts";

interface FioJob {
  readonly jobname: string;
  readonly error: number;
  readonly read: { readonly total_ios: number };
  readonly write: { readonly total_ios: number };
  readonly trim: { readonly total_ios: number };
}

const test = suite<{ board: Board }>("clients: fio");
const fioTest = skipUnless("fio", test);

test.before(async (context) => {
  context.board = await startBoard();
});

test.after(async ({ board }) => {
  await board.stop();
});

async function fio(uri: string, ...options: string[]): Promise<readonly FioJob[]> {
  const common = [
    "--ioengine=nbd",
    `--uri=${uri}`,
    "--thread",
    "--verify_state_save=0",
    "--output-format=json",
  ];
  const { stdout } = await runCommand("fio", [...common, ...options]);
  const report: unknown = JSON.parse(stdout.slice(stdout.indexOf("{\n")));
  return (report as { jobs: readonly FioJob[] }).jobs;
}

fioTest(
  "every write of 4 connections is verified, with trims before and beside",
  async ({ board }) => {
    // Each connection writes [n * 128 MiB, + 48 MiB); "beside" trims 64 MiB further on.
    const jobs = await fio(
      board.nbdUri,
      ...["--numjobs=4", "--iodepth=16", "--size=48m", "--offset_increment=128m"],
      ...["--group_reporting", "--verify=crc32c", "--verify_fatal=1"],
      ...["--name=first", "--rw=randwrite", "--bsrange=4k-128k"],
      ...["--name=trim", "--stonewall", "--rw=randtrim", "--bs=64k"],
      ...["--name=again", "--stonewall", "--rw=randwrite", "--bs=4k"],
      ...["--name=beside", "--rw=randtrim", "--bs=16k", "--offset=64m"],
    );
    assert.equal(
      jobs.map((job) => [job.jobname, job.error]),
      [
        ["first", 0],
        ["trim", 0],
        ["again", 0],
      ],
    );
    const [first, trim, again] = jobs;
    assert.is(first?.read.total_ios, first?.write.total_ios, "each write was read back");
    assert.is(trim?.trim.total_ios, (4 * 48 * 1024) / 64);
    assert.is(again?.read.total_ios, (4 * 48 * 1024) / 4);
    assert.is(again?.trim.total_ios, (4 * 48 * 1024) / 16);
  },
);

fioTest(
  "writes with a flush after each are verified, and again by a later process",
  async ({ board }) => {
    const region = ["--offset=600m", "--size=8m", "--bs=4k", "--iodepth=1", "--verify=crc32c"];
    await fio(board.nbdUri, "--name=sync", "--rw=randwrite", "--fsync=1", ...region);
    const [again] = await fio(
      board.nbdUri,
      "--name=sync",
      "--rw=randwrite",
      "--verify_only",
      ...region,
    );
    assert.is(again?.error, 0);
    assert.is(again?.read.total_ios, 2048);
  },
);

fioTest(
  "what was trimmed reads as zeroes, and takes writes that are verified",
  async ({ board }) => {
    const region = ["--offset=620m", "--size=16m", "--bs=16k", "--iodepth=8", "--verify_fatal=1"];
    await fio(board.nbdUri, "--name=fill", "--rw=write", ...region);
    await fio(board.nbdUri, "--name=trim", "--rw=randtrim", ...region);
    const zeroes = ["--verify=pattern", "--verify_pattern=0x00"];
    const [read] = await fio(board.nbdUri, "--name=zeroes", "--rw=read", ...zeroes, ...region);
    assert.equal([read?.error, read?.read.total_ios], [0, 1024]);
    const [both] = await fio(
      board.nbdUri,
      ...["--name=both", "--rw=trimwrite", "--verify=crc32c", ...region],
    );
    const { error, trim, write } = both ?? {};
    assert.equal([error, trim?.total_ios, write?.total_ios], [0, 1024, 1024]);
  },
);

test.run();
