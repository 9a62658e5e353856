/** Arrays made by `create`, examined by the real mdadm: its report and ours are the same text. */
import { closeSync, openSync, readSync, truncateSync, writeFileSync, writeSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { examineBitmapOf, examineMember } from "../../../src/cli/examine-command.ts";
import { runCommand, tryCommand } from "../../helpers/command.ts";
import { type ArrayShape, makeArray } from "../../helpers/offline-array.ts";
import { skipUnless } from "../../helpers/skip.ts";
import { inFolder } from "../../helpers/temporary-folder.ts";

const test = suite("offline/mdadm");
const mdadmTest = skipUnless("mdadm", test);

const MIB = 2 ** 20;
const GIB = 2 ** 30;
const TIB = 2 ** 40;

interface Shape extends ArrayShape {
  readonly name: string;
}

const TWO_TIB = [2 * TIB, 2 * TIB];
const SHAPES: readonly Shape[] = [
  { name: "raid1 of 4 MiB", typed: {}, sizes: [4 * MIB, 4 * MIB] },
  { name: "raid1 of 64 MiB", typed: {}, sizes: [64 * MIB, 64 * MIB] },
  { name: "metadata 1.0", typed: { metadata: "1.0" }, sizes: [64 * MIB, 64 * MIB] },
  { name: "metadata 1.1", typed: { metadata: "1.1" }, sizes: [64 * MIB, 64 * MIB] },
  { name: "1.0 of 16 GiB", typed: { metadata: "1.0" }, sizes: [16 * GIB, 16 * GIB] },
  { name: "1.1 of 2 TiB", typed: { metadata: "1.1" }, sizes: TWO_TIB },
  { name: "1.2 of 2 TiB", typed: {}, sizes: TWO_TIB },
  { name: "1.0 of 10 TiB", typed: { metadata: "1.0" }, sizes: [10 * TIB, 10 * TIB] },
  { name: "no bitmap", typed: { bitmap: "none" }, sizes: [64 * MIB, 64 * MIB] },
  { name: "no bitmap, 2 TiB", typed: { bitmap: "none" }, sizes: TWO_TIB },
  { name: "bitmap chunks of 4 KiB", typed: { bitmapChunk: "4K" }, sizes: [64 * MIB, 64 * MIB] },
  { name: "bitmap chunks of 4 MiB", typed: { bitmapChunk: "4M" }, sizes: TWO_TIB },
  { name: "sizes that are not round", typed: {}, sizes: [100 * MIB + 3584, 120 * MIB + 512] },
  {
    name: "four legs and two spares",
    typed: { raidDevices: "4", spareDevices: "2" },
    sizes: [64 * MIB, 64 * MIB, 64 * MIB, 64 * MIB, 64 * MIB, 64 * MIB],
  },
  { name: "a missing leg", typed: { raidDevices: "3" }, sizes: [64 * MIB, null, 64 * MIB] },
  { name: "assume-clean, named", typed: { assumeClean: true, name: "data" }, sizes: TWO_TIB },
  { name: "another host's name", typed: { homehost: "nas1" }, sizes: [64 * MIB, 64 * MIB] },
  { name: "a smaller size", typed: { size: "32M" }, sizes: [64 * MIB, 64 * MIB] },
  {
    name: "raid10 near on three",
    typed: { level: "raid10", raidDevices: "3", layout: "n2" },
    sizes: [33 * MIB, 33 * MIB, 33 * MIB],
  },
  {
    name: "raid10 far on four",
    typed: { level: "raid10", raidDevices: "4", layout: "f2" },
    sizes: [32 * MIB, 32 * MIB, 32 * MIB, 32 * MIB],
  },
  {
    name: "raid10 offset on three, chunk 64 KiB, 1.0",
    typed: { level: "raid10", raidDevices: "3", layout: "o2", chunk: "64", metadata: "1.0" },
    sizes: [32 * MIB, 32 * MIB, 32 * MIB],
  },
  {
    name: "raid10 of 2 TiB",
    typed: { level: "raid10", raidDevices: "4" },
    sizes: [2 * TIB, 2 * TIB, 2 * TIB, 2 * TIB],
  },
  {
    name: "a clustered mirror",
    typed: { bitmap: "clustered", nodes: "3", homeCluster: "hacluster" },
    sizes: [64 * MIB, 64 * MIB],
  },
  {
    name: "a clustered raid10",
    typed: { level: "raid10", raidDevices: "4", bitmap: "clustered" },
    sizes: [32 * MIB, 32 * MIB, 32 * MIB, 32 * MIB],
  },
];

for (const shape of SHAPES) {
  mdadmTest(
    `mdadm examines ${shape.name} as we do`,
    inFolder(async (folder) => {
      for (const path of await makeArray(folder, shape)) {
        const theirs = await runCommand("mdadm", ["--examine", path]);
        const ours = await examineMember(path, hostname());
        assert.is(ours.text, theirs.stdout);
        assert.is(ours.problem, null);
        assert.not.match(theirs.stdout, /expected|TOO SMALL|TRUNCATED/);
      }
    }),
  );
}

/** mdadm reads the bitmap of a file from the file's start, so it gets a copy of the first slot. */
for (const shape of SHAPES.filter(({ typed }) => (typed?.bitmap ?? "internal") === "internal")) {
  mdadmTest(
    `mdadm examines the bitmap of ${shape.name} as we do`,
    inFolder(async (folder) => {
      for (const path of await makeArray(folder, shape)) {
        const ours = await examineBitmapOf(path);
        const copy = join(folder, "bitmap");
        copyRange(path, copy, await bitmapOffset(path), 256 * 512);
        const theirs = await runCommand("mdadm", ["--examine-bitmap", copy]);
        assert.is(ours.text.replace(path, copy), theirs.stdout);
      }
    }),
  );
}

async function bitmapOffset(path: string): Promise<number> {
  const { values } = await examineMember(path, "");
  return Number(values["super_offset_bytes"]) + Number(values["bitmap_offset_bytes"]);
}

function copyRange(from: string, to: string, offset: number, length: number): void {
  const bytes = new Uint8Array(length);
  const source = openSync(from, "r");
  try {
    writeFileSync(to, bytes.subarray(0, readSync(source, bytes, 0, length, offset)));
  } finally {
    closeSync(source);
  }
}

mdadmTest(
  "mdadm and we find the same fault with a damaged superblock",
  inFolder(async (folder) => {
    const [path = ""] = await makeArray(folder, { sizes: [64 * MIB, 64 * MIB] });
    const fd = openSync(path, "r+");
    writeSync(fd, Uint8Array.of(0x7a), 0, 1, 4096 + 33);
    closeSync(fd);
    const theirs = await tryCommand("mdadm", ["--examine", path]);
    const ours = await examineMember(path, hostname());
    assert.is(ours.text, theirs.stdout);
    assert.match(theirs.stdout, /Checksum : [0-9a-f]+ - expected [0-9a-f]+/);
    assert.is(ours.problem?.code, "RAID_SUPERBLOCK_DAMAGED");
  }),
);

mdadmTest(
  "a member cut short is examined by both, and told as too small by us",
  inFolder(async (folder) => {
    const [path = ""] = await makeArray(folder, { sizes: [64 * MIB, 64 * MIB] });
    truncateSync(path, 40 * MIB);
    const ours = await examineMember(path, hostname());
    assert.is(ours.problem?.code, "RAID_SUPERBLOCK_DAMAGED");
    assert.match(ours.problem?.message ?? "", /smaller than its superblock says/);
    // mdadm 4.2 prints the missing sectors as a huge count; newer ones as we do.
    assert.match(ours.text, /after=-49152 sectors DEVICE TOO SMALL\n +State : active TRUNCATED/);
    const theirs = await tryCommand("mdadm", ["--examine", path]);
    assert.is(withoutEnd(ours.text), withoutEnd(theirs.stdout));
  }),
);

function withoutEnd(text: string): string {
  return text.replace(/after=.*$/m, "").replace(" TRUNCATED DEVICE", "");
}

test.run();
