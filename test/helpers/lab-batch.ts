/**
 * Many arrays in one guest kernel: a boot costs more than an array. `makeArrays` has Linux make
 * them,
 * each on an md device of its own; `judgeArrays` has Linux take them over, one after the other.
 */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { mdComplaints } from "../lab/judge.ts";
import { runInKernel } from "../lab/kernel.ts";

/** Disks of one guest. Source: user-mode Linux, ubd devices a to p. */
const DISKS_MAX = 16;
const LIMIT_MS = 280_000;
const LETTERS = "abcdefghijklmnop";

/** An array that Linux is to make. */
export interface LinuxStory {
  readonly name: string;
  /** Told in every test run, not only by `npm run lab`. */
  readonly everyRun?: boolean;
  /** MiB of each disk. */
  readonly disks: readonly number[];
  /** Arguments of `mdadm --create`. */
  readonly create: string;
  /** Device words; default: all disks, `$D0 $D1` …. */
  readonly devices?: string;
  /**
   * Bash after the first sync: the array is `$MD`, its sysfs folder `$SYS`. `fill [MIB]` writes
   * random content, `patch KIB KIB` some at a place, `slow` and `fast` set the speed of syncs.
   */
  readonly steps?: string;
  /** Do not wait for the first sync. */
  readonly early?: boolean;
  /** What `mdadm --examine` must say of one member at least: the state the story is about. */
  readonly shows?: RegExp;
  /** `crash`: the power is cut while the array runs. */
  readonly end: "stop" | "crash";
}

/** What became of it. */
export interface LinuxArray {
  readonly story: LinuxStory;
  readonly images: readonly string[];
  /** Of the whole array, read by Linux after the steps. */
  readonly sha256: string;
}

/** An array for Linux to judge. */
export interface GivenArray {
  readonly name: string;
  readonly images: readonly string[];
  /** Linux writes to it after the check, and leaves that on the images. */
  readonly writes?: boolean;
}

/** What Linux says of an array. Hashes are of its whole content. */
export interface LinuxVerdict {
  readonly assembled: boolean;
  readonly degraded: number;
  readonly size: number;
  /** As found: read-only, before any sync. */
  readonly found: string;
  /** After resync and recovery. */
  readonly settled: string;
  readonly mismatchCnt: number;
  /** After `writes`. */
  readonly written: string;
  readonly examine: string;
  readonly dmesg: readonly string[];
  readonly complaints: readonly string[];
  /** What mdadm and the script printed: for the reader of a failed test. */
  readonly log: string;
}

const COMMON = `
settle() { # until $MD has nothing to sync
  local idle=0
  while ((idle < 3)); do
    if [ "$(<"$SYS/sync_action")" = idle ]; then idle=$((idle + 1)); else idle=0; fi
    sleep 0.1
  done
}
array() { MD=/dev/$1 SYS=/sys/block/$1/md; }
`;

const MAKE = `${COMMON}
fill() { dd if=/dev/urandom of=$MD bs=64K count=$((\${1:-64} * 16)) oflag=direct conv=notrunc,fsync 2>&1 | grep -v records; true; }
patch() { dd if=/dev/urandom of=$MD bs=4K seek=$(($1 / 4)) count=$(($2 / 4)) oflag=direct conv=notrunc,fsync 2>/dev/null; }
slow() { echo 64 >$SYS/sync_speed_max; echo 64 >$SYS/sync_speed_min; }
fast() { echo 900000 >$SYS/sync_speed_max; echo 900000 >$SYS/sync_speed_min; }
running() { while [ "$(<"$SYS/sync_action")" = idle ]; do sleep 0.05; done; sleep 0.5; }
set -e
`;

const JUDGE = `${COMMON}
judge() { # NAME WRITES DISK...
  local name=$1 writes=$2
  shift 2
  dmesg -C
  for disk; do mdadm --examine "$disk"; done >$OUT/$name.examine 2>&1
  if mdadm --assemble --readonly --run $MD "$@"; then
    sha256sum <$MD >$OUT/$name.found
    mdadm --stop $MD
  fi
  if mdadm --assemble --run $MD "$@"; then
    settle
    cat $SYS/degraded >$OUT/$name.degraded
    blockdev --getsize64 $MD >$OUT/$name.size
    sha256sum <$MD >$OUT/$name.settled
    echo check >$SYS/sync_action
    settle
    cat $SYS/mismatch_cnt >$OUT/$name.mismatch
    if [ "$writes" = 1 ]; then
      dd if=/dev/urandom of=$MD bs=64K seek=20 count=20 oflag=direct conv=notrunc 2>/dev/null
      sha256sum <$MD >$OUT/$name.written
    fi
    cat /proc/mdstat
    mdadm --stop $MD
  fi
  dmesg >$OUT/$name.dmesg
}
array md0
`;

/** Has Linux make the arrays, as many per boot as fit. Throws when it refuses one. */
export async function makeArrays(
  folder: string,
  stories: readonly LinuxStory[],
): Promise<readonly LinuxArray[]> {
  const made: LinuxArray[] = [];
  const arrays = stories.map((story, index) => ({
    story,
    images: story.disks.map((mib, disk) => blankImage(folder, `made${index}-${disk}`, mib)),
  }));
  for (const boot of bootsOf(arrays)) {
    const parts = boot.map(({ item, disks }, index) => makePart(item.story, disks, index));
    const crashes = boot.some(({ item }) => item.story.end === "crash");
    const result = await runInKernel({
      images: boot.flatMap(({ item }) => item.images),
      script: `${MAKE}${parts.join("")}${crashes ? "crash" : ""}`,
      timeoutMs: LIMIT_MS,
    });
    if (result.status !== 0) {
      throw new Error(`Linux made no array (${result.status}):\n${result.output}`);
    }
    for (const [index, { item }] of boot.entries()) {
      made.push({ ...item, sha256: hashIn(result.files.get(`${index}.sha256`)) });
    }
  }
  return made;
}

function makePart(story: LinuxStory, disks: readonly string[], index: number): string {
  const names = disks.map((disk, number) => `D${number}=${disk}`).join(" ");
  const devices = story.devices ?? disks.map((_, number) => `$D${number}`).join(" ");
  const end =
    story.end === "stop" ? "mdadm --stop $MD" : "echo 'it runs on until the power is cut'";
  return `
echo "--- ${story.name}"
${names}
array md${index}
mdadm --create $MD --run --homehost=lab ${story.create} ${devices} </dev/null
${story.early === true ? "" : "settle"}
${story.steps ?? "fill"}
sha256sum <$MD >$OUT/${index}.sha256
sync -f $OUT/${index}.sha256
${end}
`;
}

/** Has Linux judge the arrays on their own images: its resyncs and writes stay. */
export async function judgeArrays(
  arrays: readonly GivenArray[],
): Promise<ReadonlyMap<string, LinuxVerdict>> {
  const verdicts = new Map<string, LinuxVerdict>();
  for (const boot of bootsOf(arrays)) {
    const parts = boot.map(
      ({ item, disks }, index) =>
        `judge ${index} ${item.writes === true ? 1 : 0} ${disks.join(" ")} >$OUT/${index}.log 2>&1\n`,
    );
    const result = await runInKernel({
      images: boot.flatMap(({ item }) => item.images),
      script: `${JUDGE}${parts.join("")}true`,
      timeoutMs: LIMIT_MS,
    });
    if (result.status !== 0) {
      throw new Error(`the guest ended with ${result.status}:\n${result.output}${result.console}`);
    }
    for (const [index, { item }] of boot.entries()) {
      verdicts.set(item.name, verdictOf(result.files, index));
    }
  }
  return verdicts;
}

function verdictOf(files: ReadonlyMap<string, string>, index: number): LinuxVerdict {
  const text = (name: string): string => files.get(`${index}.${name}`)?.trim() ?? "";
  const number = (name: string): number => (text(name) === "" ? Number.NaN : Number(text(name)));
  const dmesg = text("dmesg")
    .split("\n")
    .map((line) => line.replace(/^\[\s*[\d.]+\] /, ""))
    .filter((line) => /\bmd\b|md\/|md\d|bitmap|ubd|I\/O error/i.test(line));
  return {
    assembled: text("size") !== "",
    degraded: number("degraded"),
    size: number("size"),
    found: hashIn(text("found")),
    settled: hashIn(text("settled")),
    mismatchCnt: number("mismatch"),
    written: hashIn(text("written")),
    examine: text("examine"),
    dmesg,
    complaints: mdComplaints(dmesg),
    log: `${text("log")}\n${dmesg.join("\n")}\n${text("examine")}`,
  };
}

const hashIn = (text: string | undefined): string => text?.split(" ")[0] ?? "";

function blankImage(folder: string, name: string, mib: number): string {
  const image = join(folder, `${name}.img`);
  if (spawnSync("truncate", ["-s", `${mib}M`, image]).status !== 0) {
    throw new Error(`cannot make ${image}`);
  }
  return image;
}

interface Placed<Item> {
  readonly item: Item;
  /** Devices in the guest. */
  readonly disks: readonly string[];
}

/** Boots of as many whole arrays as disks allow, in order. */
function bootsOf<Item extends { readonly images: readonly string[] }>(
  items: readonly Item[],
): readonly (readonly Placed<Item>[])[] {
  const boots: Placed<Item>[][] = [];
  let used = DISKS_MAX;
  for (const item of items) {
    if (used + item.images.length > DISKS_MAX) {
      boots.push([]);
      used = 0;
    }
    const first = used;
    const disks = item.images.map((_, index) => `/dev/ubd${LETTERS[first + index]}`);
    boots.at(-1)?.push({ item, disks });
    used += item.images.length;
  }
  return boots;
}
