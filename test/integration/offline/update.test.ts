/** `satsuma update` as a process: what it changes, what mdadm says of it, and what it refuses. */
import { createHash } from "node:crypto";
import { closeSync, openSync, readFileSync, truncateSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { bitmapChunks, decodeBitmapSuperblock } from "../../../src/raid/bitmap-superblock.ts";
import { runCommand } from "../../helpers/command.ts";
import { makeArray } from "../../helpers/offline-array.ts";
import { hashArray, runSatsuma, trySatsuma } from "../../helpers/satsuma-command.ts";
import { ServeProcess } from "../../helpers/serve-process.ts";
import { skipUnless } from "../../helpers/skip.ts";
import { inFolder } from "../../helpers/temporary-folder.ts";

const MIB = 2 ** 20;
const SIZES = [16 * MIB, 16 * MIB];
const UUID = "00112233:44556677:8899aabb:ccddeeff";
const CLEAN = { assumeClean: true } as const;

interface Report {
  readonly changed: boolean;
  readonly array_uuid: string;
  readonly name: string;
  readonly raid_devices: number;
  readonly member_size_bytes: number;
  readonly bitmap: string;
  readonly bitmap_chunk_bytes: number | null;
  readonly nodes: number;
  readonly resync_needed: boolean;
}

async function update(members: readonly string[], ...words: string[]): Promise<Report> {
  const { stdout } = await runSatsuma("update", "--json", ...words, ...members);
  return JSON.parse(stdout) as Report;
}

function hashOf(paths: readonly string[]): string {
  const hash = createHash("sha256");
  for (const path of paths) hash.update(readFileSync(path));
  return hash.digest("hex");
}

/** Must be refused with this code, and write nothing. */
async function refused(
  code: string,
  members: readonly string[],
  words: readonly string[],
  exit = "1",
): Promise<void> {
  const before = hashOf(members);
  const { ending, stderr } = await trySatsuma("update", ...words, ...members);
  assert.match(stderr, new RegExp(`^satsuma: ${code}: `));
  assert.is(ending, exit, stderr);
  assert.is(hashOf(members), before, "a member was written");
}

/** The same content on every member of a mirror whose members were made equal. */
function fill(members: readonly string[]): void {
  const content = Buffer.alloc(4 * MIB);
  for (let at = 0; at < content.length; at += 8) content.writeDoubleBE(Math.sqrt(at + 2), at);
  for (const path of members) {
    const fd = openSync(path, "r+");
    writeSync(fd, content, 0, content.length, 2 * MIB);
    closeSync(fd);
  }
}

const test = suite("offline/update");
const mdadmTest = skipUnless("mdadm", test);

test(
  "every change is made, told as JSON, and leaves the content alone",
  inFolder(async (folder) => {
    const typed = { ...CLEAN, size: "8M" };
    const members = await makeArray(folder, { typed, sizes: SIZES });
    fill(members);
    const content = await hashArray(members);
    assert.is((await update(members, "--name", "attic")).name.split(":").at(-1), "attic");
    assert.is((await update(members, "--uuid", UUID)).array_uuid, UUID);
    assert.is((await update(members, "--raid-devices", "3")).raid_devices, 3);
    assert.is((await update(members, "--raid-devices", "2")).raid_devices, 2);
    assert.is((await update(members, "--no-bbl")).changed, true);
    const small = await update(members, "--bitmap", "internal", "--bitmap-chunk", "4K");
    assert.equal([small.bitmap, small.bitmap_chunk_bytes], ["internal", 4096]);
    const words = ["--bitmap", "clustered", "--nodes", "3", "--home-cluster", "cellar"];
    const clustered = await update(members, ...words);
    assert.equal([clustered.bitmap, clustered.nodes], ["clustered", 3]);
    assert.is((await update(members, "--nodes", "5")).nodes, 5);
    assert.is((await update(members, "--home-cluster", "attic")).changed, true);
    assert.is((await update(members, "--bitmap", "none")).bitmap, "none");
    assert.is((await update(members, "--bbl")).changed, true);
    assert.is((await update(members, "--bbl")).changed, false);
    assert.is(await hashArray(members), content);
    const grown = await update(members, "--size", "max");
    assert.equal([grown.member_size_bytes, grown.resync_needed], [15 * MIB, true]);
    assert.is((await update(members, "--resync")).resync_needed, true);
    const { stdout } = await runSatsuma("read", ...members, "--length", "8M");
    assert.ok(stdout.length > 0);
  }),
);

mdadmTest(
  "mdadm examines what was changed as sound",
  inFolder(async (folder) => {
    const members = await makeArray(folder, { typed: { ...CLEAN, size: "8M" }, sizes: SIZES });
    for (const words of [["--size", "max"], ["--name", "attic"], ["--no-bbl"], ["--uuid", UUID]]) {
      await update(members, ...words);
      for (const path of members) {
        const { stdout } = await runCommand("mdadm", ["--examine", path]);
        assert.match(stdout, /Checksum : \w+ - correct/);
        assert.not.match(stdout, /expected|TOO SMALL|TRUNCATED/);
      }
    }
    const { stdout } = await runCommand("mdadm", ["--examine", members[0] ?? ""]);
    assert.match(stdout, `Array UUID : ${UUID}`);
    assert.match(stdout, /Name : .*attic/);
    assert.match(stdout, /Array Size : 15360 KiB/);
    assert.not.match(stdout, "Bad Block Log");
  }),
);

test(
  "a bitmap made clustered lies as one created so",
  inFolder(async (folder) => {
    const typed = { ...CLEAN, uuid: UUID };
    const changed = await makeArray(folder, { typed: { ...typed, bitmap: "none" }, sizes: SIZES });
    await update(changed, "--no-bbl");
    await update(changed, "--bitmap", "clustered", "--nodes", "4", "--home-cluster", "cellar");
    const slotsOf = (path: string) =>
      [0, 1, 2, 3].map((slot) => {
        const bytes = readFileSync(path).subarray(8192 + slot * 4096, 8192 + (slot + 1) * 4096);
        const decoded = decodeBitmapSuperblock(bytes);
        assert.ok(decoded.ok);
        const { events, eventsCleared, ...rest } = decoded.value;
        const chunks = bitmapChunks(rest.syncSize, rest.chunkBytes);
        assert.ok(chunks <= 8 && events >= eventsCleared);
        return JSON.stringify({ ...rest, bits: (bytes[256] ?? 0) & (2 ** chunks - 1) });
      });
    const ours = changed.map(slotsOf);
    const other = { ...typed, bitmap: "clustered", nodes: "4", homeCluster: "cellar" };
    const created = await makeArray(folder, { typed: other, sizes: SIZES });
    assert.equal(ours, created.map(slotsOf));
  }),
);

test(
  "what cannot be done is refused, and nothing is written",
  inFolder(async (folder) => {
    const members = await makeArray(folder, { typed: CLEAN, sizes: SIZES });
    await refused("CLI_BAD_USAGE", members, [], "2");
    await refused("CLI_BAD_USAGE", members, ["--name", "x", "--resync"], "2");
    await refused("CLI_BAD_USAGE", members, ["--bitmap", "none", "--nodes", "3"], "2");
    await refused("CLI_BAD_USAGE", members, ["--bitmap", "quick"], "2");
    await refused("CLI_BAD_USAGE", members, ["--bitmap-chunk", "64K"], "2");
    await refused("CLI_BAD_USAGE", members, ["--uuid", "xyz"], "2");
    await refused("RAID_SHRINK_REFUSED", members, ["--size", "4M"]);
    await refused("RAID_MEMBER_TOO_SMALL", members, ["--size", "1G"]);
    await refused("RAID_SLOTS_IN_USE", members, ["--raid-devices", "1"]);
    await refused("RAID_BAD_CLUSTER", members, ["--bitmap", "clustered"]);
    await refused("RAID_BAD_CLUSTER", members, ["--nodes", "3"]);
    await refused("RAID_MEMBER_MISSING", members.slice(0, 1), ["--resync"]);
    const blank = join(folder, "blank.img");
    writeFileSync(blank, "");
    truncateSync(blank, 16 * MIB);
    await refused("RAID_NO_MEMBERS", [blank], ["--resync"]);
    await refused("RAID_STALE_MEMBER", [...members, blank], ["--resync"]);
  }),
);

test(
  "a member that was left out is stale, and refused from then on",
  inFolder(async (folder) => {
    const members = await makeArray(folder, { typed: CLEAN, sizes: SIZES });
    await update(members.slice(0, 1), "--run", "--name", "attic");
    await refused("RAID_STALE_MEMBER", members, ["--resync"]);
  }),
);

test(
  "members that a daemon has open are refused",
  inFolder(async (folder) => {
    const daemon = new ServeProcess(folder);
    await daemon.start();
    try {
      const ids: string[] = [];
      const paths: string[] = [];
      for (const name of ["a", "b"]) {
        const size = 16 * MIB;
        const device = (await daemon.request("POST", "/devices", { name, size })) as {
          readonly id: string;
          readonly status: { readonly path: string };
        };
        ids.push(device.id);
        paths.push(device.status.path);
      }
      await daemon.request("POST", "/arrays", { name: "md0", level: "raid1", device_ids: ids });
      const { ending, stderr } = await trySatsuma("update", "--name", "x", ...paths);
      assert.is(ending, "1");
      assert.match(stderr, /^satsuma: HAL_OPEN_FAILED: .* is in use by .*process \d+/);
    } finally {
      await daemon.shutDown();
    }
  }),
);

test.run();
