/** Arrays made and written by Linux, read by `satsuma read`: the same bytes, none changed. */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { labShare } from "../../helpers/lab-share.ts";
import { hashArray } from "../../helpers/satsuma-command.ts";
import { skipUnless } from "../../helpers/skip.ts";
import { inFolder } from "../../helpers/temporary-folder.ts";
import { kernelJudges } from "../../lab/judge.ts";
import { kernelMakes } from "../../lab/maker.ts";
import { needsKernel } from "../../lab/needs-kernel.ts";

const MIB = 1024 * 1024;
const FILL = "head -c 12M /dev/urandom >/dev/md0; sync /dev/md0";

interface Story {
  readonly name: string;
  /** In every test run, not only by `npm run lab`. */
  readonly everyRun?: boolean;
  readonly members: number;
  readonly create: readonly string[];
  readonly devices?: string;
  readonly steps: string;
}

/** The array is not marked clean after 200 ms without writes; to be said BEFORE the first one. */
const STAYS_DIRTY = "echo 0 >/sys/block/md0/md/safe_mode_delay";
const MIRROR = ["--level=1", "--raid-devices=2"];

const STORIES: readonly Story[] = [
  { name: "1.2, bitmap", members: 2, create: [...MIRROR, "--bitmap=internal"], steps: FILL },
  { name: "1.1, no bitmap", members: 2, create: [...MIRROR, "--metadata=1.1"], steps: FILL },
  { name: "1.0", members: 2, create: [...MIRROR, "--metadata=1.0"], steps: FILL },
  {
    name: "three members, the first write-mostly",
    members: 3,
    create: ["--level=1", "--raid-devices=3", "--bitmap=internal"],
    devices: "--write-mostly $D0 $D1 $D2",
    steps: FILL,
  },
  {
    name: "a missing member",
    members: 1,
    create: [...MIRROR, "--bitmap=internal"],
    devices: "missing $D0",
    steps: FILL,
  },
  {
    name: "a first member that failed and missed writes",
    everyRun: true,
    members: 2,
    create: [...MIRROR, "--bitmap=internal"],
    steps: `${FILL}; mdadm --fail /dev/md0 $D0; ${FILL}`,
  },
  {
    name: "raid10 of four, near copies, one member lost",
    members: 4,
    create: ["--level=10", "--layout=n2", "--raid-devices=4", "--bitmap=internal"],
    steps: `${FILL}; mdadm --fail /dev/md0 $D2; ${FILL}`,
  },
  {
    name: "raid10 of three, far copies",
    members: 3,
    create: ["--level=10", "--layout=f2", "--raid-devices=3", "--chunk=64"],
    steps: FILL,
  },
  {
    name: "raid10 of three, offset copies",
    members: 3,
    create: ["--level=10", "--layout=o2", "--raid-devices=3", "--chunk=64"],
    steps: FILL,
  },
  {
    name: "a spare that took over",
    members: 3,
    create: [...MIRROR, "--spare-devices=1"],
    steps: `${FILL}; mdadm --fail /dev/md0 $D0; wait_idle; ${FILL}`,
  },
];

const test = suite("ours reads linux");
const kernelTest = await needsKernel(skipUnless(["linux.uml", "mdadm"], test), test);

function digestsOf(paths: readonly string[]): readonly string[] {
  return paths.map((path) => createHash("sha256").update(readFileSync(path)).digest("hex"));
}

async function makeAndRead(folder: string, story: Story): Promise<void> {
  const made = await kernelMakes({
    folder,
    sizesBytes: Array.from({ length: story.members }, () => 48 * MIB),
    createArguments: story.create,
    steps: story.steps,
    ...(story.devices === undefined ? {} : { devices: story.devices }),
  });
  const before = digestsOf(made.images);
  assert.is(await hashArray(made.images), made.sha256);
  assert.is(await hashArray(made.images.toReversed()), made.sha256, "in the other order");
  assert.equal(digestsOf(made.images), before, "reading changed a member");
}

for (const story of labShare(STORIES)) {
  kernelTest(
    `we read an array Linux made and wrote: ${story.name}`,
    inFolder((folder) => makeAndRead(folder, story)),
  );
}

kernelTest(
  "we read an array as Linux does after a power cut under writes",
  inFolder(async (folder) => {
    const made = await kernelMakes({
      folder,
      sizesBytes: [48 * MIB, 48 * MIB],
      createArguments: [...MIRROR, "--bitmap=internal"],
      steps: `${STAYS_DIRTY}; ${FILL}; dd if=/dev/urandom of=/dev/md0 bs=64K count=32 oflag=direct; crash`,
    });
    const verdict = await kernelJudges(made.images);
    assert.match(verdict.examine[0] ?? "", "State : active");
    assert.is(await hashArray(made.images), verdict.sha256);
  }),
);

test.run();
