/**
 * A change of ours beside the same change by mdadm and Linux, on copies of one array that Linux
 * made and wrote: mdadm examines the same in both, and Linux runs ours: the content is there, the
 * resync it asks for is made, the copies are equal.
 */
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { FileBlockDevice } from "../../../src/hal/linux/file-block-device.ts";
import type { ArrayChange } from "../../../src/raid/array-change.ts";
import { changeArray } from "../../../src/raid/change-array-driver.ts";
import { parseUuid } from "../../../src/raid/uuid.ts";
import { labShare } from "../../helpers/lab-share.ts";
import { hashArray } from "../../helpers/satsuma-command.ts";
import { skipUnless } from "../../helpers/skip.ts";
import { inFolder } from "../../helpers/temporary-folder.ts";
import { mdComplaints } from "../../lab/judge.ts";
import { copySparse, runInKernel } from "../../lab/kernel.ts";
import { kernelMakes, type MadeArray } from "../../lab/maker.ts";
import { needsKernel } from "../../lab/needs-kernel.ts";

const MIB = 2 ** 20;
const UUID = "00112233:44556677:8899aabb:ccddeeff";
const FILL = "head -c 8M /dev/urandom >/dev/md0; sync /dev/md0";

interface Pair {
  readonly name: string;
  /** In every test run, not only by `npm run lab`. */
  readonly everyRun?: boolean;
  readonly create: string;
  /** Device words for `mdadm --create`; default: all. */
  readonly devices?: string;
  readonly members?: number;
  readonly ours: ArrayChange;
  /** Bash: the array is stopped before, and stopped after it. */
  readonly theirs: string;
  /** A line of `mdadm --examine` or `--examine-bitmap` after both. */
  readonly shows?: RegExp;
}

const GROW = (words: string): string => `assemble; mdadm --grow $MD ${words}; wait_idle; stop`;
const UPDATE = (words: string): string => `assemble --readonly --update=${words}; stop`;
const MIRROR = "--level=1 --raid-devices=2";
const WITH_BITMAP = `${MIRROR} --bitmap=internal`;
const size = { type: "size", sizeBytes: "max" } as const;
const bitmap = (kind: "none" | "internal", chunkBytes: number | null = null): ArrayChange => ({
  type: "bitmap",
  bitmap: kind,
  chunkBytes,
  nodes: 4,
  clusterName: "x",
});

const PAIRS: readonly Pair[] = [
  {
    name: "grow a mirror",
    create: `${WITH_BITMAP} --size=20480`,
    ours: size,
    theirs: GROW("--size=max"),
  },
  {
    name: "grow a mirror until its bitmap chunks double",
    create: `${WITH_BITMAP} --size=8192 --bitmap-chunk=4K`,
    ours: size,
    theirs: GROW("--size=max"),
    shows: /Chunksize : 32 KB/,
  },
  {
    name: "grow a mirror with metadata 1.0",
    create: `${MIRROR} --bitmap=none --metadata=1.0 --size=20480`,
    ours: size,
    theirs: GROW("--size=max"),
  },
  {
    name: "grow raid10 with near copies on three members",
    everyRun: true,
    create: "--level=10 --layout=n2 --raid-devices=3 --chunk=64 --bitmap=internal --size=20480",
    members: 3,
    ours: size,
    theirs: GROW("--size=max"),
  },
  {
    name: "grow raid10 with offset copies",
    create: "--level=10 --layout=o2 --raid-devices=3 --chunk=64 --bitmap=internal --size=20480",
    members: 3,
    ours: size,
    theirs: GROW("--size=max"),
  },
  {
    name: "add a bitmap",
    create: `${MIRROR} --bitmap=none`,
    ours: bitmap("internal"),
    theirs: GROW("--bitmap=internal"),
  },
  {
    name: "add a bitmap of small chunks, metadata 1.0",
    create: `${MIRROR} --bitmap=none --metadata=1.0`,
    ours: bitmap("internal", 4096),
    theirs: GROW("--bitmap=internal --bitmap-chunk=4K"),
  },
  {
    name: "take the bitmap away",
    create: WITH_BITMAP,
    ours: bitmap("none"),
    theirs: GROW("--bitmap=none"),
  },
  {
    name: "give the bitmap other chunks, metadata 1.1",
    everyRun: true,
    create: `${WITH_BITMAP} --metadata=1.1`,
    ours: bitmap("internal", 16384),
    theirs: GROW("--bitmap=none; mdadm --grow $MD --bitmap=internal --bitmap-chunk=16K"),
  },
  {
    name: "more raid devices",
    create: WITH_BITMAP,
    ours: { type: "raid-devices", count: 3 },
    theirs: GROW("--raid-devices=3 --force"),
  },
  {
    name: "fewer raid devices, the first one missing",
    create: "--level=1 --raid-devices=3 --bitmap=internal",
    devices: "missing $D0 $D1",
    ours: { type: "raid-devices", count: 2 },
    theirs: GROW("--raid-devices=2"),
    shows: /Array State : AA /,
  },
  {
    name: "another name",
    create: WITH_BITMAP,
    ours: { type: "name", name: "attic" },
    theirs: UPDATE("name --name=attic --homehost=lab"),
    shows: /Name : lab:attic/,
  },
  {
    name: "another UUID",
    create: WITH_BITMAP,
    ours: { type: "uuid", setUuid: parseUuid(UUID) ?? new Uint8Array(16) },
    theirs: UPDATE(`uuid --uuid=${UUID}`),
    shows: new RegExp(`Array UUID : ${UUID}[^]* UUID : ${UUID}`),
  },
  {
    name: "a resync",
    create: WITH_BITMAP,
    ours: { type: "resync" },
    theirs: UPDATE("resync"),
    shows: /State : active/,
  },
  {
    name: "no bad-block lists",
    create: WITH_BITMAP,
    ours: { type: "bad-block-list", enabled: false },
    theirs: UPDATE("no-bbl"),
  },
];

const SCRIPT = `
MD=/dev/md0
assemble() { mdadm --assemble --run "$@" $MD $THEIRS; }
stop() { mdadm --stop $MD; }
set -e
eval "$CHANGE"
for disk in $DISKS; do
  { mdadm --examine $disk; mdadm --examine-bitmap $disk 2>/dev/null || true; } \\
    >$OUT/\${disk#/dev/}
done
dmesg -C
mdadm --assemble --run /dev/md1 $OURS
wait_idle md1
head -c $BYTES /dev/md1 | sha256sum >$OUT/sha256
echo check >/sys/block/md1/md/sync_action
wait_idle md1
cat /sys/block/md1/md/mismatch_cnt >$OUT/mismatch_cnt
mdadm --stop /dev/md1
dmesg >$OUT/dmesg
`;

/** What differs between two arrays with the same history, and what counts updates. */
const OWN_WORDS = /^(.*:|)$|UUID|Time|Checksum|Events|[Nn]ame|State : (clean|active|OK)|^\/dev/;

function comparable(examine: string): readonly string[] {
  return examine
    .split("\n")
    .map((line) => line.trim().replace(/, \d+ dirty.*$/, ""))
    .filter((line) => !OWN_WORDS.test(line));
}

async function changeOurs(paths: readonly string[], change: ArrayChange): Promise<void> {
  const open: { path: string; device: FileBlockDevice }[] = [];
  for (const path of paths) {
    open.push({ path, device: await FileBlockDevice.open(path, { mode: "write" }) });
  }
  const { isChanged, failed } = await changeArray(open, change, Date.now());
  assert.equal([isChanged, failed], [true, []]);
  for (const { device } of open) await device.close();
}

const madeBefore = new Map<string, MadeArray>();

/** The array that Linux made for these words, made once. */
async function makeOnce(pair: Pair): Promise<MadeArray> {
  const key = `${pair.create} ${pair.devices ?? ""}`;
  const known = madeBefore.get(key);
  if (known !== undefined) return known;
  const folder = join(made, String(madeBefore.size));
  mkdirSync(folder);
  const array = await kernelMakes({
    folder,
    sizesBytes: Array.from({ length: pair.members ?? 2 }, () => 48 * MIB),
    createArguments: pair.create.split(" "),
    steps: FILL,
    ...(pair.devices === undefined ? {} : { devices: pair.devices }),
  });
  madeBefore.set(key, array);
  return array;
}

async function changeBoth(folder: string, pair: Pair): Promise<void> {
  const { images, size: bytes, sha256 } = await makeOnce(pair);
  const members = images.length;
  const copies = (prefix: string): readonly string[] =>
    images.map((image) => {
      const copy = join(folder, `${prefix}-${basename(image)}`);
      copySparse(image, copy);
      return copy;
    });
  const [theirs, ours] = [copies("theirs"), copies("ours")];
  await changeOurs(ours, pair.ours);
  const names = "abcdef".split("").map((letter) => `ubd${letter}`);
  const devices = (from: number): string =>
    names
      .slice(from, from + members)
      .map((name) => `/dev/${name}`)
      .join(" ");
  const result = await runInKernel({
    images: [...theirs, ...ours],
    env: {
      THEIRS: devices(0),
      OURS: devices(members),
      CHANGE: pair.theirs,
      BYTES: String(bytes),
    },
    script: SCRIPT,
  });
  const text = (name: string): string => result.files.get(name) ?? "";
  assert.is(result.status, 0, `${result.output}${text("dmesg")}`);
  for (let index = 0; index < members; index++) {
    const [their, our] = [text(`${names[index]}`), text(`${names[members + index]}`)];
    assert.ok(comparable(their).length > 8, their);
    assert.equal(comparable(our), comparable(their));
    if (pair.shows !== undefined) assert.match(our, pair.shows);
  }
  assert.is(text("mismatch_cnt").trim(), "0");
  assert.is(text("sha256").split(" ")[0], sha256);
  const dmesg = text("dmesg").split("\n");
  assert.equal(mdComplaints(dmesg.filter((line) => /md1/.test(line))), []);
  assert.is(await hashArray(ours), await hashArray([...ours].reverse()));
}

const made = mkdtempSync(join(tmpdir(), "t-"));
const test = suite("same change");
test.after(() => rmSync(made, { recursive: true, force: true, maxRetries: 5 }));
const kernelTest = await needsKernel(skipUnless(["linux.uml", "mdadm"], test), test);

for (const pair of labShare(PAIRS)) {
  kernelTest(
    `mdadm finds our change as it would make it: ${pair.name}`,
    inFolder((folder) => changeBoth(folder, pair)),
  );
}

test.run();
