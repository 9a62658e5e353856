/** mdadm on the members of a running board, and of one that has stopped. */
import { randomBytes } from "node:crypto";
import { closeSync, openSync, readSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type Board, startBoard, waitForSync } from "../../helpers/board.ts";
import { runCommand } from "../../helpers/command.ts";
import { skipUnless } from "../../helpers/skip.ts";
import { inFolder } from "../../helpers/temporary-folder.ts";

const SECTOR = 512;
const BITMAP_BYTES = 64 * 1024;

const test = suite("clients: mdadm");
const mdadmTest = skipUnless(["mdadm", "nbdcopy"], test);

/** What `mdadm --examine` says of one member. */
interface Examined {
  readonly text: string;
  readonly arrayUuid: string;
  readonly state: string;
  readonly events: number;
  readonly dataOffset: number;
  readonly arraySize: number;
  readonly bitmapOffset: number;
}

async function examine(member: string): Promise<Examined> {
  const { stdout: text } = await runCommand("mdadm", ["--examine", member]);
  const field = (pattern: RegExp): string => pattern.exec(text)?.[1] ?? "";
  const superOffset = Number(field(/Super Offset : (\d+) sectors/));
  return {
    text,
    arrayUuid: field(/Array UUID : (\S+)/),
    state: field(/State : (\w+)/),
    events: Number(field(/Events : (\d+)/)),
    dataOffset: Number(field(/Data Offset : (\d+) sectors/)) * SECTOR,
    arraySize: Number(field(/Array Size : (\d+) KiB/)) * 1024,
    bitmapOffset: (superOffset + Number(field(/Internal Bitmap : (-?\d+) sectors/))) * SECTOR,
  };
}

/** mdadm looks for a bitmap in a plain file at its start, so that is where it is shown. */
async function examineBitmap(folder: string, member: string, offset: number): Promise<string> {
  const bytes = Buffer.alloc(BITMAP_BYTES);
  const file = openSync(member, "r");
  readSync(file, bytes, 0, bytes.length, offset);
  closeSync(file);
  const copy = join(folder, "bitmap");
  writeFileSync(copy, bytes);
  return (await runCommand("mdadm", ["--examine-bitmap", copy])).stdout;
}

/** The members of md0: the disks that hold a superblock. */
async function membersOf(board: Board): Promise<readonly string[]> {
  const { items } = (await board.request("GET", "/arrays")) as {
    items: readonly { name: string; id: string }[];
  };
  const array = items.find(({ name }) => name === "md0");
  const { items: members } = (await board.request("GET", `/arrays/${array?.id}/members`)) as {
    items: readonly { path: string }[];
  };
  return members.map(({ path }) => path);
}

mdadmTest(
  "mdadm accepts superblock and bitmap of every member, running and stopped, and copies are equal",
  inFolder(async (folder) => {
    const board = await startBoard({ dataDir: join(folder, "data") });
    try {
      const members = await membersOf(board);
      assert.is(members.length, 2);
      const source = join(folder, "source");
      writeFileSync(source, randomBytes(32 * 2 ** 20));
      await runCommand("nbdcopy", ["--flush", source, board.nbdUri]);

      for (const member of members) {
        const found = await examine(member);
        assert.match(found.text, /Checksum : \w+ - correct/);
        assert.match(found.text, "Raid Level : raid1");
        const bitmap = await examineBitmap(folder, member, found.bitmapOffset);
        assert.match(bitmap, found.arrayUuid);
        assert.match(bitmap, "State : OK");
      }

      await waitForSync(board);
      await board.shutDown();
      const stopped = await Promise.all(members.map((member) => examine(member)));
      const [first, second] = stopped;
      assert.ok(first !== undefined && second !== undefined);
      assert.equal([first.state, second.state], ["clean", "clean"]);
      assert.is(first.events, second.events);
      for (const [index, member] of members.entries()) {
        const offset = stopped[index]?.bitmapOffset ?? 0;
        const bitmap = await examineBitmap(folder, member, offset);
        assert.match(bitmap, `Events : ${first.events}`);
        assert.match(bitmap, " 0 dirty");
      }
      await runCommand("cmp", [
        `--ignore-initial=${first.dataOffset}:${second.dataOffset}`,
        `--bytes=${first.arraySize}`,
        ...members,
      ]);
      await runCommand("cmp", [
        `--ignore-initial=${first.dataOffset}:0`,
        `--bytes=${32 * 2 ** 20}`,
        String(members[0]),
        source,
      ]);
    } finally {
      await board.stop();
    }
  }),
);

test.run();
