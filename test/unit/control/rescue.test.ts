/** The commands that read an array on a plain Linux PC: what they name, what they never do. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type RescueFacts, rescueGuide, rescueText } from "../../../src/control/rescue.ts";

const MEMBER = {
  raidSlot: 0,
  deviceId: "disk1",
  path: "/srv/disks/disk1.img",
  kind: "file" as const,
  sizeBytes: 8_388_608,
  deviceUuid: "d0d0d0d0:d0d0d0d0:d0d0d0d0:d0d0d0d0",
  dataOffset: 1_048_576,
  states: ["in_sync"],
};

const facts = (over: Partial<RescueFacts> = {}): RescueFacts => ({
  handle: over.name ?? "md0",
  arrayId: "1d70f103-4974-0ef1-af2a-fce5fcf6a489",
  name: "md0",
  uuid: "1d70f103:49740ef1:af2afce5:fcf6a489",
  level: "raid1",
  raidDevices: 2,
  sizeBytes: 7_340_032,
  isRunning: true,
  isClustered: false,
  members: [MEMBER, { ...MEMBER, raidSlot: 1, path: "/dev/sdb", kind: "block" }],
  faulty: [],
  ...over,
});

const commandsOf = (over: Partial<RescueFacts>, id: string): readonly string[] =>
  rescueGuide(facts(over)).steps.find((step) => step.id === id)?.commands ?? [];

const test = suite("control/rescue");

test("assembles read-only by UUID from every member; files become loop devices", () => {
  assert.equal(commandsOf({}, "devices"), [
    "M0=$(losetup --find --show /srv/disks/disk1.img)",
    "M1=/dev/sdb",
  ]);
  assert.equal(commandsOf({}, "assemble"), [
    'mdadm --assemble --readonly /dev/md/md0 --uuid=1d70f103:49740ef1:af2afce5:fcf6a489 "$M0" "$M1"',
  ]);
  assert.equal(commandsOf({}, "release"), [
    "umount /mnt",
    "mdadm --stop /dev/md/md0",
    'losetup --detach "$M0"',
  ]);
  assert.equal(commandsOf({}, "stop"), ["satsuma stop md0"]);
  assert.equal(commandsOf({ isRunning: false }, "stop"), []);
});

test("an array whose name others have is called by its uuid", () => {
  const handle = "1d70f103-4974-0ef1-af2a-fce5fcf6a489";
  assert.equal(commandsOf({ handle }, "stop"), [`satsuma stop ${handle}`]);
  assert.is(commandsOf({ handle }, "back")[0], `satsuma assemble ${handle}`);
});

test("a degraded array is started with --run, a faulty member is left out", () => {
  const over = { members: [MEMBER], faulty: ["/dev/sdb"] };
  assert.match(commandsOf(over, "assemble")[0] ?? "", / --run .*"\$M0"$/);
  assert.equal(commandsOf(over, "degraded"), []);
  assert.match(rescueText(rescueGuide(facts(over))), "/dev/sdb is faulty: leave it out");
  assert.match(commandsOf({}, "degraded")[0] ?? "", "--readonly --run");
});

test("one member of a raid1 is read without md at its data offset; raid10 has no such way", () => {
  assert.equal(commandsOf({}, "single"), [
    "losetup --find --show --read-only --offset 1048576 --sizelimit 7340032 /srv/disks/disk1.img",
  ]);
  assert.equal(commandsOf({ level: "raid10" }, "single"), []);
});

test("a clustered array loses its clustered bitmap on the PC and gets it back afterwards", () => {
  assert.match(commandsOf({ isClustered: true }, "assemble")[0] ?? "", "--update=no-bitmap");
  assert.ok(
    commandsOf({ isClustered: true }, "back").includes("satsuma grow md0 --bitmap clustered"),
  );
  assert.not.match(commandsOf({}, "assemble")[0] ?? "", "update");
});

test("names and paths that a shell would take apart are quoted", () => {
  const over = { name: "it's; rm -rf", members: [{ ...MEMBER, path: "/a b/$x.img" }] };
  const text = rescueText(rescueGuide(facts(over)));
  assert.match(text, "M0=$(losetup --find --show '/a b/$x.img')");
  assert.match(text, "satsuma stop 'it'\\''s; rm -rf'");
  assert.match(text, "/dev/md/rescued");
});

test("every line of the text is a command or a comment", () => {
  const lines = rescueText(rescueGuide(facts())).trimEnd().split("\n");
  assert.ok(
    lines.every((line) => /^($|# |M[0-9]+=|(satsuma|mdadm|mount|umount|losetup) )/.test(line)),
  );
});

test.run();
