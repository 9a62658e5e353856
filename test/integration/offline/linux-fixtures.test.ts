/**
 * Members that Linux made: examined, our report is mdadm's report line by line; read, the content
 * has the recorded SHA-256; and what we do not run is refused by name. Reading changes no member.
 */
import { createHash } from "node:crypto";
import { createReadStream, readFileSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { examineBitmapOf, examineMember } from "../../../src/cli/examine-command.ts";
import { readArray } from "../../../src/cli/read-command.ts";
import { CodedError } from "../../../src/common/errors.ts";
import { badBlockRange, decodeBadBlocks } from "../../../src/raid/bad-blocks.ts";
import { decodeSuperblock } from "../../../src/raid/superblock.ts";
import {
  type LinuxFixture,
  type LinuxMember,
  linuxFixtures,
  unpackFixture,
} from "../../helpers/linux-fixtures.ts";
import { skipUnless } from "../../helpers/skip.ts";
import { inFolder } from "../../helpers/temporary-folder.ts";

// The reports were recorded in UTC.
process.env["TZ"] = "UTC";

const test = suite("offline/linux-fixtures");
const unpackingTest = skipUnless("xz", test);

/** Fixtures that are refused, and why. */
const REFUSED: Readonly<Record<string, string>> = {
  "r0-2": "RAID_UNSUPPORTED_LEVEL",
  "r5-3": "RAID_UNSUPPORTED_LEVEL",
  "r1-meta090": "RAID_UNSUPPORTED_METADATA",
};
/** 1 TiB of zeros takes minutes to read; its content was not hashed. */
const TOO_LARGE = 2 ** 33;

for (const fixture of linuxFixtures()) {
  const { name, members } = fixture;
  unpackingTest(
    `${name}: examine prints what mdadm printed`,
    inFolder(async (folder) => {
      const paths = await unpackFixture(fixture, folder);
      for (const [index, member] of members.entries()) {
        const path = paths[index] ?? "";
        const { text } = await examineMember(path, "lab");
        assert.is(comparable(text, path, member), comparable(member.examine, member.dev, member));
        const bitmap = await examineBitmapOf(path);
        if (member.bitmap.startsWith("mdadm:")) assert.is(bitmap.problem?.code, "RAID_NO_BITMAP");
        else assert.is(bitmap.text.trimEnd(), member.bitmap.replace(member.dev, path).trimEnd());
      }
    }),
  );
  const refusal = REFUSED[name];
  if (refusal !== undefined) {
    unpackingTest(
      `${name}: read refuses it with ${refusal}`,
      inFolder(async (folder) => {
        assert.is(await refusalOf(await unpackFixture(fixture, folder)), refusal);
      }),
    );
  } else if (fixture.array.size < TOO_LARGE) {
    unpackingTest(
      `${name}: read gives the recorded content`,
      inFolder(async (folder) => await checkContent(fixture, folder)),
    );
  }
}

/** Text without the path, and without the device nodes of the machine that printed it. */
function comparable(text: string, path: string, member: LinuxMember): string {
  return text
    .replace(path, member.image)
    .replace(/ +\/dev\/ubd[a-z]$/gm, "")
    .trimEnd();
}

async function checkContent(fixture: LinuxFixture, folder: string): Promise<void> {
  const paths = await unpackFixture(fixture, folder);
  const output = join(folder, "content");
  const { bytes } = await readArray({ members: paths, output, offset: 0, length: null });
  assert.is(bytes, fixture.array.size);
  assert.is(await hashFile(output), fixture.array.sha256_readonly);
  for (const [index, member] of fixture.members.entries()) {
    assert.is(await hashFile(paths[index] ?? ""), member.sha256, `${member.image} was changed`);
  }
}

async function refusalOf(members: readonly string[]): Promise<string> {
  try {
    await readArray({ members, output: "/dev/null", offset: 0, length: null });
    return "read";
  } catch (error) {
    if (error instanceof CodedError) return error.code;
    throw error;
  }
}

async function hashFile(path: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(chunk);
  return hash.digest("hex");
}

unpackingTest(
  "r1-badblocks: the list holds what was recorded as bad",
  inFolder(async (folder) => {
    const fixture = linuxFixtures().find(({ name }) => name === "r1-badblocks");
    assert.ok(fixture);
    if (fixture === undefined) return;
    const [, second = ""] = await unpackFixture(fixture, folder);
    const image = readFileSync(second);
    const decoded = decodeSuperblock(image.subarray(4096, 8192), 8);
    const range = decoded.ok ? badBlockRange(decoded.value) : null;
    assert.ok(range);
    if (range === null) return;
    const page = image.subarray(range.offset, range.offset + range.length);
    assert.equal(decodeBadBlocks(page, 0), [
      { sector: 4096, sectors: 8 },
      { sector: 20000, sectors: 16 },
    ]);
    assert.match(fixture.members[1]?.badblocks ?? "", /4096 for 8 sectors\s+20000 for 16 sectors/);
  }),
);

test.run();
