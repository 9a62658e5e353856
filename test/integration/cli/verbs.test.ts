// wall-limit: 300 s
/**
 * mdadm's verbs on a real board, as their users type them: replace, flags, grow, rename, bitmap,
 * raid10, import of arrays that Linux made, and the rescue commands as mdadm understands them.
 */
import { createHash } from "node:crypto";
import { copyFileSync, readFileSync, renameSync, statSync, truncateSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { ArrayResource } from "../../../src/api/schemas/array.ts";
import type { ArrayCandidateResource } from "../../../src/api/schemas/array-candidate.ts";
import type { RescueResource } from "../../../src/api/schemas/rescue.ts";
import { type Board, startBoard, waitForSync } from "../../helpers/board.ts";
import { type CommandResult, runCommand, tryCommand } from "../../helpers/command.ts";
import { linuxFixtures, unpackFixture } from "../../helpers/linux-fixtures.ts";
import { trySatsuma } from "../../helpers/satsuma-command.ts";
import { skipUnless } from "../../helpers/skip.ts";
import { inFolder } from "../../helpers/temporary-folder.ts";
import { eventually, withTimeout } from "../../helpers/timeout.ts";

const MIB = 2 ** 20;
const LIMIT_MS = 120_000;

const shared = {} as { board: Board };
const test = suite("cli/verbs");
const qemuTest = skipUnless("qemu-io", test);
const fixtureTest = skipUnless(["xz", "qemu-img"], test);
const mdadmTest = skipUnless("mdadm", test);

const online = (verb: string, ...args: string[]): Promise<CommandResult> =>
  trySatsuma(...verb.split(" "), ...args, "--data", shared.board.dataDir);

/** Runs a verb that must succeed and returns what it printed as JSON. */
async function asJson<Value>(verb: string, ...args: string[]): Promise<Value> {
  const { ending, stdout, stderr } = await online(verb, ...args, "--json");
  assert.is(ending, "0", `${verb}: ${stderr}`);
  return JSON.parse(stdout) as Value;
}

/** The code that a verb was refused with, and what it said. */
async function refusal(verb: string, ...args: string[]): Promise<string> {
  const { ending, stderr } = await online(verb, ...args);
  assert.is(ending, "1", stderr);
  return stderr;
}

const states = ({ status }: ArrayResource): string[] =>
  status.members.map(({ device_id, slot, states: words }) => `${device_id} ${slot} ${words}`);

const makeDisk = (name: string, size: number): Promise<unknown> =>
  shared.board.request("POST", "/devices", { name, size });

/** Runs qemu-io commands on an export; a pattern that differs is a failure. */
const qemuIo = async (name: string, ...commands: readonly string[]): Promise<void> => {
  const uri = `nbd+unix:///${name}?socket=${shared.board.socket}`;
  const args = ["-f", "raw", ...commands.flatMap((command) => ["-c", command]), uri];
  const { stdout } = await runCommand("qemu-io", args);
  assert.not.match(stdout, /failed|verification/i);
};

test.before(
  withTimeout(LIMIT_MS, async () => {
    shared.board = await startBoard({ args: ["--size", "64M"] });
    await waitForSync(shared.board);
  }),
);

test.after(
  withTimeout(LIMIT_MS, async () => {
    await shared.board.stop();
  }),
);

test(
  "a member is replaced by a spare without losing redundancy, then removed",
  withTimeout(LIMIT_MS, async () => {
    await makeDisk("disk3", 80 * MIB);
    assert.match(await refusal("replace", "md0", "disk2", "--with", "disk3"), "RAID_NOT_A_SPARE");
    const added = await asJson<ArrayResource>("add", "md0", "disk3", "--write-mostly");
    assert.ok(states(added).includes("disk3 null spare,writemostly"));
    const args = ["md0", "disk2", "--with", "disk3", "--wait"];
    await asJson<ArrayResource>("replace", ...args);
    const replaced = await eventually("the spare has taken over", 60_000, async () => {
      const array = await asJson<ArrayResource>("detail", "md0");
      return states(array).some((line) => line.startsWith("disk3 1 in_sync")) && array;
    });
    assert.equal([replaced.status.degraded, replaced.status.health], [0, "optimal"]);
    await asJson("update-member", "md0", "disk3", "--readwrite", "--failfast");
    const removed = await asJson<ArrayResource>("remove", "md0", "disk2");
    assert.equal(states(removed), ["disk1 0 in_sync", "disk3 1 in_sync,failfast"]);
  }),
);

test(
  "an array grows by a leg, changes its bitmap and its name; shrinking is refused",
  withTimeout(LIMIT_MS, async () => {
    await makeDisk("disk4", 80 * MIB);
    const args = ["md0", "--raid-devices", "3", "--add", "disk4", "--wait"];
    await asJson<ArrayResource>("grow", ...args);
    await waitForSync(shared.board);
    const grown = await asJson<ArrayResource>("detail", "md0");
    assert.equal([grown.config.raid_devices, grown.status.survives.devices], [3, 2]);
    assert.match(await refusal("grow", "md0", "--size", "1M"), "RAID_SHRINK_REFUSED");
    assert.match(await refusal("grow", "md0", "--raid-devices", "2"), "RAID_SLOTS_IN_USE");
    const bare = await asJson<ArrayResource>("grow", "md0", "--bitmap", "none");
    assert.is(bare.config.bitmap.type, "none");
    const chunked = await asJson<ArrayResource>(
      "grow",
      "md0",
      ...["--bitmap", "internal", "--bitmap-chunk", "64K"],
    );
    assert.equal(
      [chunked.config.bitmap.type, chunked.config.bitmap.chunk_size],
      ["internal", 65536],
    );
    const renamed = await asJson<ArrayResource>("rename", "md0", "media");
    assert.equal([renamed.name, renamed.id, renamed.status.health], ["media", grown.id, "optimal"]);
    await asJson("rename", "media", "md0");
  }),
);

test(
  "size max takes what larger members have, under the array's export",
  withTimeout(LIMIT_MS, async () => {
    const before = await asJson<ArrayResource>("detail", "md0");
    await asJson("fail", "md0", "disk1");
    await asJson("remove", "md0", "disk1");
    await asJson("grow", "md0", "--raid-devices", "2");
    const after = await asJson<ArrayResource>("grow", "md0", "--size", "max", "--wait");
    assert.ok(after.config.size > before.config.size + 8 * MIB, `${after.config.size} bytes`);
    assert.equal(after.config.size, after.config.member_size);
    // Their files grow under the running array: the command takes their sizes anew.
    for (const { device_id } of after.status.members) {
      const path = join(shared.board.dataDir, "disks", `${device_id}.img`);
      truncateSync(path, statSync(path).size + 8 * MIB);
    }
    const grown = await asJson<ArrayResource>("grow", "md0", "--size", "max", "--wait");
    assert.is(grown.config.size, after.config.size + 8 * MIB);
    await waitForSync(shared.board);
    assert.is((await asJson<ArrayResource>("detail", "md0")).status.health, "optimal");
  }),
);

qemuTest(
  "a raid10 is made, told in mdstat's words, checked, and survives what its layout allows",
  withTimeout(LIMIT_MS, async () => {
    for (const name of ["ten1", "ten2", "ten3"]) await makeDisk(name, 32 * MIB);
    const body = {
      name: "ten",
      level: "raid10",
      layout: "o2",
      chunk_size: 65536,
      device_ids: ["ten1", "ten2", "ten3"],
    };
    await shared.board.request("POST", "/arrays", body);
    await shared.board.request("POST", "/exports", { name: "ten", array: "ten" });
    await waitForSync(shared.board);
    await qemuIo("ten", "write -P 0xa5 1M 8M", "flush");
    const { stdout } = await online("status", "ten");
    assert.match(stdout, /super 1\.2 64K chunks 2 offset-copies \[3\/3\] \[UUU\]/);
    await asJson("check", "ten", "--wait");
    const mismatches = await online("mismatches", "ten");
    assert.is(mismatches.stdout, "0 sectors differ\n");
    const failed = await asJson<ArrayResource>("fail", "ten", "ten2");
    assert.equal([failed.status.degraded, failed.status.survives.devices], [1, 0]);
    assert.match(await refusal("fail", "ten", "ten3"), "RAID_LAST_IN_SYNC_MEMBER");
    await qemuIo("ten", "read -P 0xa5 1M 8M", "read -P 0 9M 8M");
    await asJson("stop", "ten", "--force");
  }),
);

const UNSUPPORTED = { "r5-3": "RAID_UNSUPPORTED_LEVEL", "r1-meta090": "RAID_UNSUPPORTED_METADATA" };

/** Puts a fixture's members among the board's devices; returns their paths. */
const bringFixture = async (name: string, folder: string): Promise<readonly string[]> => {
  const fixture = linuxFixtures().find((candidate) => candidate.name === name);
  if (fixture === undefined) throw new Error(`no fixture ${name}`);
  const unpacked = await unpackFixture(fixture, folder);
  const paths = unpacked.map((_, index) =>
    join(shared.board.dataDir, `disks/${name}-${index}.img`),
  );
  for (const [index, from] of unpacked.entries()) {
    const path = paths[index] ?? "";
    // A board that looks meanwhile would read half of it.
    copyFileSync(from, `${path}.part`);
    renameSync(`${path}.part`, path);
  }
  await eventually("the board knows the devices", 30_000, async () => {
    const { stdout } = await online("devices");
    return paths.every((path) => stdout.includes(path));
  });
  return paths;
};

for (const name of ["r1-name", "r10-f2-4", "r10-n2-3"]) {
  fixtureTest(
    `${name}, made by Linux on another host, is taken over in place with its content`,
    withTimeout(
      LIMIT_MS,
      inFolder(async (folder) => {
        const fixture = linuxFixtures().find((candidate) => candidate.name === name);
        const paths = await bringFixture(name, folder);
        const found = await asJson<ArrayCandidateResource[]>("import");
        const candidate = found.find(({ members }) => members[0]?.path === paths[0]);
        assert.equal([candidate?.startable, candidate?.complete], [true, true]);
        assert.is(candidate?.homehost, name === "r1-name" ? "nas1.example" : "lab");
        const [first = "", ...rest] = paths;
        assert.match(await refusal("import", ...rest), "CONTROL_ARRAY_INCOMPLETE");
        const array = await asJson<ArrayResource>("import", first, ...rest, "--export", name);
        assert.is(array.config.size, fixture?.array.size);
        const copy = join(folder, "copy.img");
        const uri = `nbd+unix:///${name}?socket=${shared.board.socket}`;
        await runCommand("qemu-img", ["convert", "-f", "raw", "-O", "raw", uri, copy]);
        const hash = createHash("sha256").update(readFileSync(copy)).digest("hex");
        assert.is(hash, fixture?.array.sha256_readonly);
        await asJson("stop", array.id, "--forget", "--force");
      }),
    ),
  );
}

for (const [name, code] of Object.entries(UNSUPPORTED)) {
  fixtureTest(
    `${name} is found and refused with ${code} and what to do`,
    withTimeout(
      LIMIT_MS,
      inFolder(async (folder) => {
        const paths = await bringFixture(name, folder);
        const found = await asJson<ArrayCandidateResource[]>("import");
        const candidate = found.find(({ members }) => members[0]?.path === paths[0]);
        assert.equal([candidate?.startable, candidate?.refusal?.code], [false, code]);
        const printed = await refusal("import", ...paths);
        assert.match(printed, `satsuma: ${code}: `);
        assert.match(printed, "Linux md");
      }),
    ),
  );
}

mdadmTest(
  "mdadm understands the rescue commands and finds the array's UUID on the members",
  withTimeout(LIMIT_MS, async () => {
    const rescue = await asJson<RescueResource>("rescue", "md0");
    const text = await online("rescue", "md0");
    assert.is(text.stdout, rescue.text);
    for (const { path, device_uuid, data_offset } of rescue.members) {
      const { stdout } = await runCommand("mdadm", ["--examine", path]);
      assert.match(stdout, `Array UUID : ${rescue.uuid}`);
      assert.match(stdout, `Device UUID : ${device_uuid}`);
      assert.match(stdout, `Data Offset : ${Number(data_offset) / 512} sectors`);
    }
    const assembles = rescue.steps
      .flatMap(({ commands }) => commands)
      .filter((command) => command.startsWith("mdadm --assemble"));
    assert.is(assembles.length, 3);
    for (const command of assembles) {
      // No such members: mdadm reads its options, then finds nothing to open.
      const [program = "", ...args] = command.replaceAll(/"\$M\d+"/g, "/nonexistent").split(" ");
      const { ending, stderr } = await tryCommand(program, args);
      assert.is.not(ending, "0");
      assert.match(stderr, /cannot open device \/nonexistent/);
    }
  }),
);

test.run();
