/** `satsuma create` as a process: what it makes, and that what it refuses stays as it was. */
import { createHash } from "node:crypto";
import {
  chmodSync,
  closeSync,
  existsSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { CommandResult } from "../../helpers/command.ts";
import { runCommand } from "../../helpers/command.ts";
import { runSatsuma, trySatsuma } from "../../helpers/satsuma-command.ts";
import { skipUnless, skipWhen } from "../../helpers/skip.ts";
import { inFolder } from "../../helpers/temporary-folder.ts";

const test = suite("offline/create");

const tooledTest = skipUnless(["losetup", "mkfs.ext4"], test);
const loopTest = tooledTest === test ? skipWhen(whyNoLoop(), test) : tooledTest;

function whyNoLoop(): string | undefined {
  if (process.getuid?.() !== 0) return "mounting needs root";
  return existsSync("/dev/loop-control") ? undefined : "no /dev/loop-control here";
}

const MIB = 2 ** 20;
const MIRROR = ["create", "--level", "raid1", "--raid-devices", "2"] as const;

function image(folder: string, name: string, sizeBytes = 8 * MIB): string {
  const path = join(folder, name);
  writeFileSync(path, "");
  truncateSync(path, sizeBytes);
  return path;
}

function hashOf(paths: readonly string[]): string {
  const hash = createHash("sha256");
  for (const path of paths) hash.update(readFileSync(path));
  return hash.digest("hex");
}

/** Runs a create that must be refused with this code and exit code, and must write nothing. */
async function refused(
  code: string,
  args: readonly string[],
  members: readonly string[],
  exit = "1",
): Promise<CommandResult> {
  const before = hashOf(members);
  const result = await trySatsuma(...args);
  assert.is(result.ending, exit, result.stderr);
  assert.ok(result.stderr.startsWith(`satsuma: ${code}: `), result.stderr);
  assert.is(result.stdout, "");
  assert.is(hashOf(members), before, "a member was written");
  return result;
}

test(
  "makes an array that examine shows and read reads",
  inFolder(async (folder) => {
    const members = [image(folder, "a"), image(folder, "b")];
    const made = await runSatsuma(...MIRROR, "--name", "data", "--homehost", "lab", ...members);
    assert.match(made.stdout, /^created raid1 array [0-9a-f:]{35} of 2 raid devices, 7168 KiB/);
    const shown = await runSatsuma("examine", "--json", "--homehost", "lab", ...members);
    const [first, second] = JSON.parse(shown.stdout);
    assert.is(first.name, "lab:data");
    assert.is(first.array_uuid, second.array_uuid);
    assert.not.equal(first.device_uuid, second.device_uuid);
    assert.equal([first.raid_slot, second.raid_slot, first.state], [0, 1, "active"]);
    assert.is(first.array_size_bytes, 7 * MIB);
    const read = await runSatsuma("read", ...members, "--output", join(folder, "out"));
    assert.is(read.stdout, "");
    assert.equal(readFileSync(join(folder, "out")), Buffer.alloc(7 * MIB));
  }),
);

test(
  "tells as JSON what it made",
  inFolder(async (folder) => {
    const members = [image(folder, "a"), image(folder, "b")];
    const uuid = "00112233:44556677:8899aabb:ccddeeff";
    const made = await runSatsuma(...MIRROR, "--json", "--uuid", uuid, ...members);
    const value = JSON.parse(made.stdout);
    assert.is(value.array_uuid, uuid);
    assert.equal(value.members, members);
    assert.is(value.size_bytes, 7 * MIB);
  }),
);

test(
  "refuses members that hold an array, and overwrites them with force",
  inFolder(async (folder) => {
    const members = [image(folder, "a"), image(folder, "b")];
    await runSatsuma(...MIRROR, "--metadata", "1.0", ...members);
    await refused("RAID_DEVICE_NOT_CLEAN", [...MIRROR, ...members], members);
    await runSatsuma(...MIRROR, "--force", ...members);
    const shown = await runSatsuma("examine", "--json", ...members);
    assert.equal(
      JSON.parse(shown.stdout).map((member: { metadata: string }) => member.metadata),
      ["1.2", "1.2"],
    );
    const tail = readFileSync(members[0] ?? "").subarray(8 * MIB - 8192);
    assert.not.ok(tail.includes(Buffer.from("fc4e2ba9", "hex")), "the old superblock is left");
  }),
);

test(
  "refuses a member with a partition table and one with swap space",
  inFolder(async (folder) => {
    const members = [image(folder, "a"), image(folder, "b")];
    const [gpt = "", swap = ""] = members;
    put(gpt, 512, "EFI PART");
    put(swap, 4086, "SWAPSPACE2");
    const result = await refused("RAID_DEVICE_NOT_CLEAN", [...MIRROR, ...members], members);
    assert.match(result.stderr, /a holds gpt; .*b holds swap/);
  }),
);

function put(path: string, offset: number, text: string): void {
  const fd = openSync(path, "r+");
  writeSync(fd, Buffer.from(text, "latin1"), 0, text.length, offset);
  closeSync(fd);
}

skipUnless("mkfs.ext4", test)(
  "refuses a member with a filesystem",
  inFolder(async (folder) => {
    const members = [image(folder, "a"), image(folder, "b")];
    await runCommand("mkfs.ext4", ["-q", "-F", members[1] ?? ""]);
    const result = await refused("RAID_DEVICE_NOT_CLEAN", [...MIRROR, ...members], members);
    assert.match(result.stderr, /b holds ext4/);
  }),
);

test(
  "refuses the same file twice: by name, symbolic link and hard link",
  inFolder(async (folder) => {
    const member = image(folder, "a");
    symlinkSync(member, join(folder, "soft"));
    linkSync(member, join(folder, "hard"));
    for (const other of [member, join(folder, "soft"), join(folder, "hard")]) {
      await refused("RAID_DUPLICATE_MEMBER", [...MIRROR, member, other], [member]);
    }
  }),
);

test(
  "refuses what is no member: nothing, a directory, a character device, a pipe",
  inFolder(async (folder) => {
    const member = image(folder, "a");
    mkdirSync(join(folder, "directory"));
    await runCommand("mkfifo", [join(folder, "pipe")]);
    const cases = [
      ["HAL_OPEN_FAILED", join(folder, "absent")],
      ["HAL_NOT_A_BLOCK_DEVICE", join(folder, "directory")],
      ["HAL_NOT_A_BLOCK_DEVICE", "/dev/null"],
      ["HAL_NOT_A_BLOCK_DEVICE", join(folder, "pipe")],
    ] as const;
    for (const [code, path] of cases) {
      const result = await refused(code, [...MIRROR, member, path], [member]);
      assert.ok(result.stderr.includes(path), result.stderr);
    }
  }),
);

loopTest(
  "refuses a mounted block device, and a file under a loop device",
  inFolder(async (folder) => {
    const members = [image(folder, "a"), image(folder, "b")];
    const [file = "", other = ""] = members;
    await runCommand("mkfs.ext4", ["-q", "-F", file]);
    const loop = (await runCommand("losetup", ["-f", "--show", file])).stdout.trim();
    try {
      const mount = join(folder, "mount");
      mkdirSync(mount);
      await runCommand("mount", [loop, mount]);
      try {
        const busy = await trySatsuma(...MIRROR, "--force", loop, other);
        assert.match(busy.stderr, /^satsuma: HAL_OPEN_FAILED: .*EBUSY/);
      } finally {
        await runCommand("umount", [mount]);
      }
      await refused("HAL_OPEN_FAILED", [...MIRROR, "--force", file, other], members);
      await refused("HAL_OPEN_FAILED", [...MIRROR, "--force", file, loop], members);
      await runSatsuma(...MIRROR, "--force", loop, other);
    } finally {
      await runCommand("losetup", ["-d", loop]);
    }
  }),
);

test(
  "refuses a read-only file, whoever asks",
  inFolder(async (folder) => {
    const members = [image(folder, "a"), image(folder, "b")];
    chmodSync(members[1] ?? "", 0o444);
    await refused("HAL_READ_ONLY", [...MIRROR, ...members], members);
  }),
);

test(
  "refuses a member that is too small, before writing the others",
  inFolder(async (folder) => {
    for (const size of [0, 1, 511, 4096, MIB]) {
      const members = [image(folder, "a"), image(folder, "b", size)];
      const result = await refused("RAID_MEMBER_TOO_SMALL", [...MIRROR, ...members], members);
      assert.ok(result.stderr.includes(members[1] ?? ""), result.stderr);
    }
  }),
);

test(
  "refuses bad options with exit code 2, and a wrong number of members with 1",
  inFolder(async (folder) => {
    const members = [image(folder, "a"), image(folder, "b")];
    // All of them: test/unit/cli/create-options.test.ts.
    const bad = [["--raid-devices", "1921"], ["--bitmap-chunk", "3K"], ["--no-such-option"]];
    for (const options of bad) {
      await refused("CLI_BAD_USAGE", [...MIRROR, ...options, ...members], members, "2");
    }
    await refused("CLI_BAD_USAGE", ["create", ...members], members, "2");
    await refused("RAID_BAD_MEMBER_COUNT", [...MIRROR, members[0] ?? ""], members);
    await refused("RAID_BAD_MEMBER_COUNT", [...MIRROR, ...members, "missing"], members);
  }),
);

const rootTest = skipWhen(process.getuid?.() === 0 ? undefined : "mounting needs root", test);
rootTest(
  "a file system without space ends it with the file's name, and no array is left",
  inFolder(async (folder) => {
    const mount = join(folder, "full");
    mkdirSync(mount);
    await runCommand("mount", ["-t", "tmpfs", "-o", "size=64k", "tmpfs", mount]);
    try {
      const members = [image(folder, "a"), image(mount, "b")];
      writeFileSync(join(mount, "filler"), Buffer.alloc(60 * 1024));
      const result = await trySatsuma(...MIRROR, ...members);
      assert.is(result.ending, "1");
      assert.match(result.stderr, /^satsuma: HAL_NO_SPACE: .*full\/b/);
      const shown = await trySatsuma("examine", ...members);
      assert.is(shown.stdout, "");
    } finally {
      await runCommand("umount", [mount]);
    }
  }),
);

test.run();
