/** Lets Linux judge md members: is this an array to it, what is in it, are its copies equal? */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type KernelResult, runInKernel } from "./kernel.ts";

export interface JudgeOptions {
  /** Also make an ext4 on the array, fill it and check it. */
  readonly writes?: boolean;
  /** Work on the images themselves: what Linux writes stays. Default: on sparse copies. */
  readonly inPlace?: boolean;
  readonly timeoutMs?: number;
}

export interface KernelVerdict {
  /** Linux assembled the array read-write; if not, `output` says why. */
  readonly assembled: boolean;
  readonly level: string;
  readonly metadata: string;
  /** `array_state` after assembly and resync. */
  readonly state: string;
  /** Members missing. */
  readonly degraded: number;
  /** Bytes of the array. */
  readonly size: number;
  /** Of the whole array as found: assembled read-only, before any resync. */
  readonly sha256: string;
  /** Of the whole array after its resync. Equal to `sha256` whenever the copies were equal. */
  readonly sha256AfterResync: string;
  /** Of the whole array after `writes`. */
  readonly sha256Written: string;
  /** Sectors that `check` found different; NaN when it did not run. */
  readonly mismatchCnt: number;
  /** `mdadm --examine` of each image, as found. */
  readonly examine: readonly string[];
  /** `mdadm --examine-bitmap` of each image, as found. */
  readonly examineBitmap: readonly string[];
  readonly detail: string;
  /** Outcome of `writes`. */
  readonly filesystem: { readonly ok: boolean; readonly output: string };
  /** The kernel's lines about md and its disks, without time stamps. */
  readonly dmesg: readonly string[];
  /** What mdadm printed. */
  readonly output: string;
}

/** Has the guest kernel examine, assemble, read, resync and check the array of these images. */
export async function kernelJudges(
  images: readonly string[],
  options: JudgeOptions = {},
): Promise<KernelVerdict> {
  const result = await runInKernel({
    images,
    script: readFileSync(join(import.meta.dirname, "judge.sh"), "utf8"),
    env: { WRITES: options.writes === true ? "1" : "0" },
    onCopies: options.inPlace !== true,
    timeoutMs: options.timeoutMs ?? 180_000,
  });
  if (result.status > 1) {
    throw new Error(`the guest ended with ${result.status}:\n${result.output}${result.console}`);
  }
  return readVerdict(result, images.length);
}

const COMPLAINTS = [
  /error|fail|invalid|wrong|bad |corrupt|mismatch|cannot|can't|too (small|big)/i,
  /kicking|non-fresh|out of date|WARN|BUG/,
];

/** The lines in which md complains: none for an array that is as Linux would have made it. */
export function mdComplaints(dmesg: readonly string[]): readonly string[] {
  return dmesg.filter((line) => COMPLAINTS.some((pattern) => pattern.test(line)));
}

function readVerdict(result: KernelResult, members: number): KernelVerdict {
  const text = (name: string): string => result.files.get(name)?.trim() ?? "";
  const sha256 = (name: string): string => text(name).split(" ")[0] ?? "";
  const perMember = (name: string) =>
    Array.from({ length: members }, (_, index) => text(`${name}.${index}`));
  const attributes = new Map(
    text("assembled")
      .split("\n")
      .map((line) => line.split("=", 2) as [string, string]),
  );
  return {
    assembled: result.status === 0,
    level: attributes.get("level") ?? "",
    metadata: attributes.get("metadata_version") ?? "",
    state: attributes.get("array_state") ?? "",
    degraded: Number(attributes.get("degraded")),
    size: Number(text("size")),
    sha256: sha256("sha256.readonly"),
    sha256AfterResync: sha256("sha256"),
    sha256Written: sha256("sha256.written"),
    mismatchCnt: text("mismatch_cnt") === "" ? Number.NaN : Number(text("mismatch_cnt")),
    examine: perMember("examine"),
    examineBitmap: perMember("bitmap"),
    detail: text("detail"),
    filesystem: { ok: text("filesystem.status") === "0", output: text("filesystem.log") },
    dmesg: mdLines(text("dmesg")),
    output: result.output,
  };
}

function mdLines(dmesg: string): readonly string[] {
  return dmesg
    .split("\n")
    .map((line) => line.replace(/^\[\s*[\d.]+\] /, ""))
    .filter((line) => /\bmd\b|md\/|md\d|raid1|bitmap|ubd|I\/O error/i.test(line))
    .filter((line) => !/raid6|Kernel command line|personality registered/.test(line));
}
