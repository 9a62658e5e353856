/** `satsuma read` and `examine` as processes: ranges, outputs, damaged members, and no writes. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  closeSync,
  copyFileSync,
  linkSync,
  openSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { TypedCreateOptions } from "../../../src/cli/create-options.ts";
import { examineBitmapOf, examineMember } from "../../../src/cli/examine-command.ts";
import { readArray } from "../../../src/cli/read-command.ts";
import { CodedError } from "../../../src/common/errors.ts";
import { Prng } from "../../../src/common/prng.ts";
import { encodeSuperblock, parseSuperblock } from "../../../src/raid/superblock.ts";
import type { Superblock } from "../../../src/raid/superblock-fields.ts";
import { makeArray } from "../../helpers/offline-array.ts";
import { runSatsuma, SATSUMA_MAIN, trySatsuma } from "../../helpers/satsuma-command.ts";
import { withSeeds } from "../../helpers/seed.ts";
import { inFolder } from "../../helpers/temporary-folder.ts";

const test = suite("offline/read");

const MIB = 2 ** 20;
const CONTENT_BYTES = 7 * MIB;
const DATA_OFFSET = MIB;

interface Mirror {
  readonly members: readonly [string, string];
  readonly content: Buffer;
}

/** A clean mirror of two 8 MiB files with random content, a hole of 1 MiB in its middle. */
async function makeMirror(
  folder: string,
  typed: Partial<TypedCreateOptions> = {},
): Promise<Mirror> {
  const options = { assumeClean: true, ...typed };
  const [first = "", second = ""] = await makeArray(folder, {
    typed: options,
    sizes: [8 * MIB, 8 * MIB],
  });
  const content = Buffer.from(new Prng(1).bytes(CONTENT_BYTES));
  content.fill(0, 2 * MIB, 3 * MIB);
  for (const path of [first, second]) put(path, DATA_OFFSET, content);
  return { members: [first, second], content };
}

function put(path: string, offset: number, bytes: Uint8Array): void {
  const fd = openSync(path, "r+");
  writeSync(fd, bytes, 0, bytes.length, offset);
  closeSync(fd);
}

test(
  "reads the whole array and any range of it, to the byte",
  inFolder(async (folder) => {
    const { members, content } = await makeMirror(folder);
    const output = join(folder, "out");
    const ranges = [
      [0, null],
      [1, 1],
      [511, 2],
      [4095, MIB + 7],
      [CONTENT_BYTES - 1, 1],
      [CONTENT_BYTES, 0],
    ] as const;
    for (const [offset, length] of ranges) {
      await readArray({ members, output, offset, length });
      const end = length === null ? CONTENT_BYTES : offset + length;
      assert.equal(readFileSync(output), content.subarray(offset, end), `${offset} ${length}`);
    }
    await runSatsuma("read", ...members, "-o", output, "--offset", "3", "--length", "4M");
    assert.equal(readFileSync(output), content.subarray(3, 3 + 4 * MIB));
  }),
);

test(
  "leaves holes where the array is zero",
  inFolder(async (folder) => {
    const { members } = await makeMirror(folder);
    const output = join(folder, "out");
    await runSatsuma("read", ...members, "-o", output);
    const { size, blocks } = statSync(output);
    assert.is(size, CONTENT_BYTES);
    assert.ok(blocks * 512 <= CONTENT_BYTES - MIB / 2, `${blocks} blocks`);
  }),
);

test(
  "replaces what the output file held before",
  inFolder(async (folder) => {
    const { members, content } = await makeMirror(folder);
    const output = join(folder, "out");
    writeFileSync(output, Buffer.alloc(2 * CONTENT_BYTES, 0xee));
    await runSatsuma("read", ...members, "-o", output);
    assert.ok(readFileSync(output).equals(content));
  }),
);

test(
  "never writes to a member, not even as its own output",
  inFolder(async (folder) => {
    const { members } = await makeMirror(folder);
    const before = members.map((path) => readFileSync(path));
    const alias = join(folder, "alias");
    linkSync(members[1], alias);
    for (const output of [...members, alias]) {
      const result = await trySatsuma("read", ...members, "--output", output);
      assert.is(result.ending, "1");
      assert.match(result.stderr, /^satsuma: CLI_OUTPUT_IS_MEMBER: /);
    }
    await runSatsuma("read", ...members, "-o", join(folder, "out"));
    members.forEach((path, index) => {
      assert.ok(before[index]?.equals(readFileSync(path)), path);
    });
  }),
);

test(
  "reads with one leg alone, and tells whom it left out",
  inFolder(async (folder) => {
    const { members, content } = await makeMirror(folder);
    const output = join(folder, "out");
    await runSatsuma("read", members[1], "-o", output);
    assert.ok(readFileSync(output).equals(content));
    put(members[0], 4096 + 100, Uint8Array.of(1));
    const result = await trySatsuma("read", ...members, "-o", output, "--json");
    assert.is(result.ending, "0", result.stderr);
    assert.match(
      result.stderr,
      /^satsuma: warning: .*d0.img has a superblock with a wrong checksum/,
    );
    const value = JSON.parse(result.stdout);
    assert.equal(
      value.members.map((member: { reason: string }) => member.reason),
      ["damaged", "in-sync"],
    );
    assert.is(value.degraded, 1);
    assert.ok(readFileSync(output).equals(content));
  }),
);

test(
  "reads what a bad block hides from the other leg",
  inFolder(async (folder) => {
    const { members, content } = await makeMirror(folder);
    const [first] = members;
    markBad(first, 4096);
    const output = join(folder, "out");
    const result = await runSatsuma("read", ...members, "-o", output);
    assert.is(result.stderr, "");
    assert.ok(readFileSync(output).equals(content));
  }),
);

test(
  "reads from a leg under recovery what is rebuilt, and nothing beyond",
  inFolder(async (folder) => {
    const { members, content } = await makeMirror(folder);
    const [first, second] = members;
    markBad(first, 4096, 9000);
    edit(second, { featureMap: 0x3, recoveryOffset: 4096 });
    const output = join(folder, "out");
    await readArray({ members, output, offset: 0, length: 3 * MIB });
    assert.ok(readFileSync(output).equals(content.subarray(0, 3 * MIB)));
    const beyond = await trySatsuma("read", ...members, "-o", output, "--offset", "3M");
    assert.is(beyond.ending, "1");
    assert.match(beyond.stderr, /^satsuma: HAL_IO_ERROR: sector 6952 of the array cannot be read/);
  }),
);

/** Lists sectors of the member as bad, and spoils them. */
function markBad(path: string, ...sectors: readonly number[]): void {
  const page = Buffer.alloc(4096, 0xff);
  for (const [index, sector] of sectors.entries()) {
    put(path, sector * 512, Buffer.alloc(512, 0xee));
    page.writeBigUInt64LE((BigInt(sector) << 10n) | 1n, index * 8);
  }
  put(path, 24 * 512, page);
  edit(path, { featureMap: 0x9 });
}

/** Edits the superblock and puts its checksum right. */
function edit(path: string, overrides: Partial<Superblock>): void {
  const parsed = parseSuperblock(readFileSync(path).subarray(4096, 8192));
  if (!parsed.ok) throw new Error(parsed.reason);
  put(path, 4096, encodeSuperblock({ ...parsed.value.value, ...overrides }));
}

test(
  "a range outside the array is refused",
  inFolder(async (folder) => {
    const { members } = await makeMirror(folder);
    for (const range of [
      ["--offset", "8M"],
      ["--length", "7169K"],
      ["--offset", "1", "--length", "7M"],
    ]) {
      const result = await trySatsuma("read", ...members, "-o", "/dev/null", ...range);
      assert.is(result.ending, "1");
      assert.match(result.stderr, /^satsuma: CLI_OUT_OF_RANGE: /);
    }
    const bad = await trySatsuma("read", ...members, "-o", "/dev/null", "--offset", "-1");
    assert.is(bad.ending, "2");
  }),
);

test(
  "refuses members of different arrays, copies of one, and spares alone",
  inFolder(async (folder) => {
    const { members } = await makeMirror(folder);
    const copy = join(folder, "copy");
    copyFileSync(members[0], copy);
    const twice = await trySatsuma("read", members[0], copy);
    assert.match(twice.stderr, /^satsuma: RAID_DUPLICATE_MEMBER: .*\/d0.img and .*\/copy/);
    const other = await makeMirror(folder);
    const mixed = await trySatsuma("read", copy, other.members[0]);
    assert.match(mixed.stderr, /^satsuma: RAID_MIXED_ARRAYS: /);
    const zeros = join(folder, "zeros");
    writeFileSync(zeros, Buffer.alloc(MIB));
    const nothing = await trySatsuma("read", zeros);
    assert.match(nothing.stderr, /^satsuma: RAID_NO_MEMBERS: .*zeros has no md superblock/);
    for (const { ending } of [twice, mixed, nothing]) assert.is(ending, "1");
  }),
);

test(
  "ends quietly when whoever reads its output goes away",
  inFolder(async (folder) => {
    const { members, content } = await makeMirror(folder);
    const child = spawn(process.execPath, [SATSUMA_MAIN, "read", ...members], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    const errors: Buffer[] = [];
    child.stderr.on("data", (chunk: Buffer) => errors.push(chunk));
    const [first] = (await once(child.stdout, "data")) as [Buffer];
    assert.ok(content.subarray(0, first.length).equals(first));
    child.stdout.destroy();
    const [code] = (await once(child, "close")) as [number | null];
    assert.is(code, 141);
    assert.is(Buffer.concat(errors).toString(), "");
  }),
);

test(
  "a full device ends it with an error",
  inFolder(async (folder) => {
    const { members } = await makeMirror(folder);
    const result = await trySatsuma("read", ...members, "--output", "/dev/full");
    assert.is(result.ending, "1");
    assert.match(result.stderr, /^satsuma: HAL_NO_SPACE: /);
    await runSatsuma("read", ...members, "--output", "/dev/null");
    const gone = await trySatsuma("read", ...members, "--output", join(folder, "no", "where"));
    assert.match(gone.stderr, /^satsuma: HAL_NOT_WRITABLE: /);
  }),
);

test(
  "truncated members are told as such by every verb, and never crash one",
  inFolder(async (folder) => {
    const { members } = await makeMirror(folder);
    const path = join(folder, "cut");
    for (const size of [0, 1, 4096, 4096 + 255, 8192 + 100, 24 * 512, 24 * 512 + 1, 2 * MIB]) {
      copyFileSync(members[0], path);
      truncateSync(path, size);
      // md looks for no superblock on a device of less than 24 sectors.
      const expected = size < 24 * 512 ? "RAID_NO_SUPERBLOCK" : "RAID_SUPERBLOCK_DAMAGED";
      assert.is((await examineMember(path, "")).problem?.code, expected, `${size} bytes`);
      assert.is(await readProblem(path), "RAID_NO_MEMBERS", `${size} bytes`);
      const bitmap = (await examineBitmapOf(path)).problem?.code;
      assert.is(bitmap !== undefined, size < 24 * 512, `${size} bytes: ${bitmap}`);
    }
  }),
);

async function readProblem(path: string): Promise<string> {
  try {
    await readArray({ members: [path], output: "/dev/null", offset: 0, length: null });
    return "read";
  } catch (error) {
    if (error instanceof CodedError) return error.code;
    throw error;
  }
}

test(
  "members with random bits flipped are examined and read without a crash",
  inFolder(async (folder) => {
    const { members } = await makeMirror(folder);
    const path = join(folder, "flipped");
    const good = readFileSync(members[0]);
    await withSeeds({ fixed: [1], more: 1 }, async (prng) => {
      for (let round = 0; round < 20; round += 1) {
        writeFileSync(path, good);
        const at = prng.pick([4096 + prng.below(512), 8192 + prng.below(256)]);
        put(path, at, Uint8Array.of((good[at] ?? 0) ^ (1 << prng.below(8))));
        await examineMember(path, "");
        await examineBitmapOf(path);
        const outcome = await readProblem(path);
        assert.ok(["read", "RAID_NO_MEMBERS"].includes(outcome), `byte ${at}: ${outcome}`);
        if (at < 8192) assert.is(outcome, "RAID_NO_MEMBERS", `byte ${at}`);
      }
    });
  }),
);

test(
  "examine shows the good ones and fails for the others",
  inFolder(async (folder) => {
    const { members } = await makeMirror(folder);
    const plain = join(folder, "plain");
    writeFileSync(plain, Buffer.alloc(MIB));
    const result = await trySatsuma("examine", members[0], plain, folder, members[1]);
    assert.is(result.ending, "1");
    assert.is(result.stdout.match(/Array UUID/g)?.length, 2);
    assert.match(result.stderr, /RAID_NO_SUPERBLOCK: .*plain has no md superblock/);
    assert.match(result.stderr, /HAL_NOT_A_BLOCK_DEVICE: .* is a directory/);
    const json = await trySatsuma("examine", "--json", members[0], plain);
    const [good, bad] = JSON.parse(json.stdout);
    assert.equal([good.problem, bad.problem.code], [null, "RAID_NO_SUPERBLOCK"]);
  }),
);

test(
  "examine-bitmap tells an absent bitmap from a damaged one",
  inFolder(async (folder) => {
    const none = await makeMirror(folder, { bitmap: "none" });
    const absent = await trySatsuma("examine-bitmap", none.members[0]);
    assert.match(absent.stderr, /^satsuma: RAID_NO_BITMAP: /);
    const { members } = await makeMirror(folder);
    put(members[0], 8192, Uint8Array.of(0));
    const damaged = await trySatsuma("examine-bitmap", "--json", ...members);
    assert.match(damaged.stderr, /^satsuma: RAID_BITMAP_DAMAGED: .*has no magic number/);
    const [bad, good] = JSON.parse(damaged.stdout);
    assert.is(bad.problem.code, "RAID_BITMAP_DAMAGED");
    assert.equal(
      good.slots.map((slot: { dirty_chunks: number }) => slot.dirty_chunks),
      [1],
    );
  }),
);

test.run();
