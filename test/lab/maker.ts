/** Lets Linux make md members, for tests in which Satsuma reads what Linux wrote. */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { runInKernel } from "./kernel.ts";

export interface MakeOptions {
  /** Folder that gets the images. */
  readonly folder: string;
  /** Image sizes, in mdadm's device order. */
  readonly sizesBytes: readonly number[];
  /** Arguments of `mdadm --create /dev/md0` without the devices: `--level=1` ... */
  readonly createArguments: readonly string[];
  /** Device words, when not simply all images: `$D0 missing`, `$D0 --write-mostly $D1`. */
  readonly devices?: string;
  /** Bash after the initial sync; the array is /dev/md0. `crash` in it is a power cut. */
  readonly steps?: string;
  readonly timeoutMs?: number;
}

export interface MadeArray {
  readonly images: readonly string[];
  /** Bytes of the array. */
  readonly size: number;
  /** Of the whole array, read by Linux after `steps`; empty when they crashed the kernel. */
  readonly sha256: string;
  readonly output: string;
}

const SCRIPT = `
set -e
index=0
for disk in $DISKS; do export "D$index=$disk"; index=$((index + 1)); done
eval "mdadm --create /dev/md0 --run --homehost=lab $CREATE $DEVICES" </dev/null
wait_idle
blockdev --getsize64 /dev/md0 >$OUT/size
sync -f $OUT/size
eval "$STEPS"
wait_idle
sha256sum </dev/md0 >$OUT/sha256
mdadm --stop /dev/md0
`;

/** Creates the images and an array on them with the guest's mdadm. Throws when Linux refuses. */
export async function kernelMakes(options: MakeOptions): Promise<MadeArray> {
  const images = options.sizesBytes.map((_, index) => join(options.folder, `made-${index}.img`));
  images.forEach((image, index) => {
    const size = String(options.sizesBytes[index]);
    if (spawnSync("truncate", ["-s", size, image]).status !== 0) {
      throw new Error(`cannot make ${image}`);
    }
  });
  const result = await runInKernel({
    images,
    script: SCRIPT,
    env: {
      CREATE: options.createArguments.join(" "),
      DEVICES: options.devices ?? "$DISKS",
      STEPS: options.steps ?? ":",
    },
    timeoutMs: options.timeoutMs ?? 120_000,
  });
  if (result.status !== 0) throw new Error(`Linux made no array:\n${result.output}`);
  return {
    images,
    size: Number(result.files.get("size")),
    sha256: result.files.get("sha256")?.split(" ")[0] ?? "",
    output: result.output,
  };
}
