/**
 * Arrays made by `satsuma create`, judged by Linux: it assembles them without a complaint, finds
 * the content we find, before and after its own writes, and equal copies.
 *
 * Members are filled with random bytes before they become members, so that content which sits at a
 * wrong offset cannot pass. Copies that have never been in sync differ: the content of a raid1 is
 * then the first member's, that of a raid10 any copy's.
 */
import { createHash, randomBytes } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { labShare } from "../../helpers/lab-share.ts";
import { hashArray, runSatsuma } from "../../helpers/satsuma-command.ts";
import { skipUnless } from "../../helpers/skip.ts";
import { inFolder } from "../../helpers/temporary-folder.ts";
import { kernelJudges, mdComplaints } from "../../lab/judge.ts";
import { needsKernel } from "../../lab/needs-kernel.ts";

const MIB = 1024 * 1024;
const SECTOR = 512;

interface Shape {
  readonly name: string;
  /** In every test run, not only by `npm run lab`. */
  readonly everyRun?: boolean;
  readonly level: "raid1" | "raid10";
  readonly members: number;
  readonly missing: number;
  readonly metadata: "1.0" | "1.1" | "1.2";
  readonly options: readonly string[];
}

const SHAPES: readonly Shape[] = [
  shape("two members, never in sync", { everyRun: true }, "--bitmap", "internal"),
  shape("two members, assumed clean", { metadata: "1.2" }, "--assume-clean"),
  shape("the superblock at the start", { metadata: "1.1" }, "--bitmap", "internal"),
  shape("the superblock at the end", { metadata: "1.0" }, "--bitmap", "internal"),
  shape("three members, no bitmap", { members: 3 }, "--bitmap", "none", "--assume-clean"),
  shape("small chunks", { members: 3 }, "--bitmap", "internal", "--bitmap-chunk", "64K"),
  shape("raid10, near copies", { level: "raid10", members: 4 }, "--layout", "n2"),
  shape("raid10, far copies", { level: "raid10", members: 3 }, "--layout", "f2", "--chunk", "64K"),
  shape("a missing member", { members: 1, missing: 1 }, "--bitmap", "internal"),
  shape(
    "a name and a uuid",
    {},
    "--name",
    "attic",
    "--uuid",
    "0a1b2c3d:4e5f6071:8293a4b5:c6d7e8f9",
  ),
];

function shape(name: string, traits: Partial<Shape>, ...options: string[]): Shape {
  const usual = { level: "raid1", members: 2, missing: 0, metadata: "1.2" } as const;
  return { name, ...usual, ...traits, options };
}

/** Makes members with content of their own, or, for an array assumed clean, with the same. */
function makeMembers(folder: string, made: Shape): readonly string[] {
  const same = made.options.includes("--assume-clean") ? randomBytes(48 * MIB) : undefined;
  return Array.from({ length: made.members }, (_, index) => {
    const member = join(folder, `member${index}.img`);
    writeFileSync(member, same ?? randomBytes(48 * MIB));
    return member;
  });
}

/** The array's content by mdadm's word on where it begins, cut from the first member's bytes. */
function hashOfDataArea(bytes: Buffer, examine: string, size: number): string {
  const offset = Number(/Data Offset : (\d+) sectors/.exec(examine)?.[1] ?? 0) * SECTOR;
  const content = bytes.subarray(offset, offset + size);
  return createHash("sha256").update(content).digest("hex");
}

async function createAndJudge(folder: string, made: Shape): Promise<void> {
  const members = makeMembers(folder, made);
  const firstBytes = readFileSync(String(members[0]));
  await runSatsuma(
    ...["create", "--level", made.level, "--raid-devices", String(made.members + made.missing)],
    ...["--metadata", made.metadata, ...made.options, ...members],
    ...Array.from({ length: made.missing }, () => "missing"),
  );
  const ours = await hashArray(members);
  const verdict = await kernelJudges(members, { writes: true, inPlace: true });

  assert.ok(verdict.assembled, verdict.output);
  assert.equal(
    {
      level: verdict.level,
      metadata: verdict.metadata,
      degraded: verdict.degraded,
      mismatchCnt: verdict.mismatchCnt,
      complaints: mdComplaints(verdict.dmesg),
      filesystem: verdict.filesystem.ok || verdict.filesystem.output,
    },
    {
      level: made.level,
      metadata: made.metadata,
      degraded: made.missing,
      mismatchCnt: 0,
      complaints: [],
      filesystem: true,
    },
  );
  if (made.level === "raid1") {
    assert.is(verdict.sha256, hashOfDataArea(firstBytes, verdict.examine[0] ?? "", verdict.size));
    assert.is(ours, verdict.sha256);
    assert.is(verdict.sha256AfterResync, verdict.sha256);
  }
  assert.is(await hashArray(members), verdict.sha256Written);
}

const test = suite("linux reads ours");
const kernelTest = await needsKernel(skipUnless(["linux.uml", "mdadm"], test), test);

for (const made of labShare(SHAPES)) {
  kernelTest(
    `Linux reads and writes an array we made: ${made.metadata}, ${made.name}`,
    inFolder((folder) => createAndJudge(folder, made)),
  );
}

test.run();
