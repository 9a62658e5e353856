/**
 * `satsuma create` beside `mdadm --create` with the same words on devices of the same size: mdadm
 * examines the same sizes, offsets, bitmaps and roles in both.
 */
import { truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { labShare } from "../../helpers/lab-share.ts";
import { runSatsuma } from "../../helpers/satsuma-command.ts";
import { skipUnless } from "../../helpers/skip.ts";
import { inFolder } from "../../helpers/temporary-folder.ts";
import { runInKernel } from "../../lab/kernel.ts";
import { needsKernel } from "../../lab/needs-kernel.ts";

const MIB = 2 ** 20;

/** Sizes in bytes of the devices, and the words after `create`, ours and mdadm's. */
interface Pair {
  /** In every test run, not only by `npm run lab`. */
  readonly everyRun?: boolean;
  readonly sizes: readonly number[];
  readonly ours: readonly string[];
  readonly mdadm: readonly string[];
}

const PAIRS: readonly Pair[] = [
  {
    sizes: [32 * MIB, 32 * MIB],
    ours: ["--level", "raid1", "--bitmap", "internal"],
    mdadm: ["--level=1", "--bitmap=internal"],
  },
  {
    sizes: [1000 * MIB, 1024 * MIB],
    ours: ["--level", "raid1", "--bitmap", "internal", "--metadata", "1.1"],
    mdadm: ["--level=1", "--bitmap=internal", "--metadata=1.1"],
  },
  {
    sizes: [3 * 1024 * MIB + 4096, 3 * 1024 * MIB],
    ours: ["--level", "raid1", "--bitmap", "internal", "--metadata", "1.0"],
    mdadm: ["--level=1", "--bitmap=internal", "--metadata=1.0"],
  },
  {
    sizes: [300 * 1024 * MIB, 300 * 1024 * MIB],
    ours: ["--level", "raid1", "--bitmap", "internal"],
    mdadm: ["--level=1", "--bitmap=internal"],
  },
  {
    sizes: [64 * MIB, 64 * MIB, 64 * MIB],
    ours: ["--level", "raid1", "--bitmap", "none"],
    mdadm: ["--level=1", "--bitmap=none"],
  },
  {
    sizes: [256 * MIB, 256 * MIB],
    ours: ["--level", "raid1", "--bitmap", "internal", "--bitmap-chunk", "128K"],
    mdadm: ["--level=1", "--bitmap=internal", "--bitmap-chunk=128K"],
  },
  {
    everyRun: true,
    sizes: [100 * MIB, 101 * MIB, 102 * MIB],
    ours: ["--level", "raid10", "--layout", "o2", "--chunk", "64K", "--bitmap", "internal"],
    mdadm: ["--level=10", "--layout=o2", "--chunk=64", "--bitmap=internal"],
  },
];

/** What differs between two arrays made the same way. */
const OWN_WORDS = /^(.*:|)$|UUID|Time|Checksum|Events|Name|State :|^\/dev|Filename/i;

function comparable(examine: string): readonly string[] {
  return examine
    .split("\n")
    .map((line) => line.trim().replace(/, \d+ dirty.*$/, "")) // Starting an array clears bits.
    .filter((line) => !OWN_WORDS.test(line));
}

const test = suite("same geometry");
const kernelTest = await needsKernel(skipUnless(["linux.uml", "mdadm"], test), test);

function makeDevices(folder: string, prefix: string, pair: Pair): readonly string[] {
  return pair.sizes.map((size, index) => {
    const device = join(folder, `${prefix}${index}.img`);
    writeFileSync(device, "");
    truncateSync(device, size);
    return device;
  });
}

const SCRIPT = `
mdadm --create /dev/md0 --run --assume-clean $CREATE $THEIRS </dev/null || exit 1
mdadm --stop /dev/md0
for disk in $DISKS; do
  mdadm --examine $disk >$OUT/\${disk#/dev/}
  mdadm --examine-bitmap $disk >>$OUT/\${disk#/dev/} 2>/dev/null
done
true`;

for (const pair of labShare(PAIRS)) {
  kernelTest(
    `mdadm examines the same in ours as in its own: ${pair.mdadm.join(" ")} on ${pair.sizes}`,
    inFolder(async (folder) => {
      const count = String(pair.sizes.length);
      const ours = makeDevices(folder, "ours", pair);
      const theirs = makeDevices(folder, "theirs", pair);
      const words = [...pair.ours, "--raid-devices", count, "--assume-clean"];
      await runSatsuma("create", ...words, ...ours);
      const letters = "abcdefgh".split("");
      const names = [...ours, ...theirs].map((_, index) => `ubd${letters[index]}`);
      const result = await runInKernel({
        images: [...ours, ...theirs],
        env: {
          CREATE: [...pair.mdadm, `--raid-devices=${count}`].join(" "),
          THEIRS: names
            .slice(ours.length)
            .map((name) => `/dev/${name}`)
            .join(" "),
        },
        script: SCRIPT,
      });
      assert.is(result.status, 0, result.output);
      for (const index of pair.sizes.keys()) {
        const [our = "", their = ""] = [names[index], names[index + ours.length]].map((name) =>
          result.files.get(String(name)),
        );
        assert.ok(comparable(their).length > 10, their);
        assert.equal(comparable(our), comparable(their));
      }
    }),
  );
}

test.run();
