/** The lab itself: a judge that errs or leaks guests would spoil every test that relies on it. */
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { skipUnless } from "../../helpers/skip.ts";
import { inFolder } from "../../helpers/temporary-folder.ts";
import { eventually } from "../../helpers/timeout.ts";
import { kernelJudges, mdComplaints } from "../../lab/judge.ts";
import { runInKernel } from "../../lab/kernel.ts";
import { kernelMakes } from "../../lab/maker.ts";
import { needsKernel } from "../../lab/needs-kernel.ts";

const MIB = 1024 * 1024;
const MIRROR = ["--level=1", "--raid-devices=2", "--bitmap=internal"];

/** The array is not marked clean after 200 ms without writes; to be said BEFORE the first one. */
const STAYS_DIRTY = "echo 0 >/sys/block/md0/md/safe_mode_delay";

const test = suite("lab");
const kernelTest = await needsKernel(skipUnless(["linux.uml", "mdadm"], test), test);

function sha256Of(path: string): string {
  return createHash("sha256").update(readFileSync(path)).digest("hex");
}

/** Command lines of running processes that mention `text`. */
function processesNaming(text: string): readonly string[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, "latin1");
      } catch {
        return "";
      }
    })
    .filter((line) => line.includes(text));
}

kernelTest("a script's output, status and files come back", async () => {
  const result = await runInKernel({
    images: [],
    env: { WORD: "it's" },
    script: `uname -r; echo "$WORD" >&2; echo kept >$OUT/note; exit 7`,
  });
  assert.is(result.status, 7, result.console);
  assert.match(result.output, /^\d+\.\d+\.\d+/);
  assert.match(result.output, "it's");
  assert.equal([...result.files], [["note", "kept\n"]]);
});

kernelTest(
  "an array that Linux made assembles after a reboot with the same content",
  inFolder(async (folder) => {
    const made = await kernelMakes({
      folder,
      sizesBytes: [40 * MIB, 40 * MIB],
      createArguments: MIRROR,
      steps: "head -c 8M /dev/urandom >/dev/md0",
    });
    const before = made.images.map(sha256Of);
    const verdict = await kernelJudges(made.images, { writes: true });
    assert.ok(verdict.assembled, verdict.output);
    assert.equal(
      {
        level: verdict.level,
        metadata: verdict.metadata,
        degraded: verdict.degraded,
        size: verdict.size,
        mismatchCnt: verdict.mismatchCnt,
        complaints: mdComplaints(verdict.dmesg),
      },
      {
        level: "raid1",
        metadata: "1.2",
        degraded: 0,
        size: made.size,
        mismatchCnt: 0,
        complaints: [],
      },
    );
    assert.is(verdict.sha256, made.sha256);
    assert.is(verdict.sha256AfterResync, made.sha256);
    assert.ok(verdict.filesystem.ok, verdict.filesystem.output);
    assert.is.not(verdict.sha256Written, made.sha256);
    assert.match(verdict.examine[1] ?? "", "Device Role : Active device 1");
    assert.match(verdict.examineBitmap[0] ?? "", "0 dirty");
    assert.equal(made.images.map(sha256Of), before, "judging changed the images");
  }),
);

kernelTest(
  "a crash in the guest is a power cut: the array is found unclean and resynced",
  inFolder(async (folder) => {
    const made = await kernelMakes({
      folder,
      sizesBytes: [40 * MIB, 40 * MIB],
      createArguments: MIRROR,
      steps: `${STAYS_DIRTY}; dd if=/dev/urandom of=/dev/md0 bs=1M count=4 oflag=direct; crash`,
    });
    const verdict = await kernelJudges(made.images);
    assert.match(verdict.examine[0] ?? "", "State : active");
    assert.match(verdict.dmesg.join("\n"), "not clean -- starting background reconstruction");
    assert.match(verdict.dmesg.join("\n"), "md0: resync done");
    assert.is(verdict.mismatchCnt, 0);
  }),
);

kernelTest(
  "copies that differ are counted, and told from copies that are equal",
  inFolder(async (folder) => {
    const made = await kernelMakes({
      folder,
      sizesBytes: [40 * MIB, 40 * MIB],
      createArguments: MIRROR,
    });
    const [, second = ""] = made.images;
    const bytes = readFileSync(second);
    bytes.fill(0xa5, 20 * MIB, 20 * MIB + 4096);
    writeFileSync(second, bytes);
    const verdict = await kernelJudges(made.images);
    assert.ok(verdict.assembled, verdict.output);
    assert.ok(verdict.mismatchCnt > 0, `mismatch_cnt ${verdict.mismatchCnt}`);
  }),
);

kernelTest(
  "images that are no members are refused, with mdadm's reason",
  inFolder(async (folder) => {
    const image = join(folder, "empty.img");
    writeFileSync(image, Buffer.alloc(MIB));
    const verdict = await kernelJudges([image]);
    assert.not.ok(verdict.assembled);
    assert.match(verdict.output, "no superblock");
    assert.ok(Number.isNaN(verdict.mismatchCnt));
  }),
);

kernelTest("a guest that hangs is killed at its limit and leaves nothing behind", async () => {
  const result = await runInKernel({
    images: [],
    script: "echo $$ begun; while :; do :; done & sleep 1000",
    timeoutMs: 5_000,
  });
  assert.is(result.status, 124);
  assert.match(result.output, "begun");
  const folder = /initialized on (\S+)\/lab\/mconsole/.exec(result.console)?.[1];
  assert.type(folder, "string");
  assert.not.ok(existsSync(String(folder)));
  assert.equal(processesNaming(String(folder)), []);
});

kernelTest(
  "a guest whose caller is killed goes too, with its folder",
  inFolder(async (folder) => {
    const module = join(import.meta.dirname, "../../lab/kernel.ts");
    const caller = spawn(
      process.execPath,
      [
        "--input-type=module",
        "--eval",
        `const { runInKernel } = await import(${JSON.stringify(module)});
         await runInKernel({ images: [], script: "sleep 1000" });`,
      ],
      { env: { ...process.env, TMPDIR: folder }, stdio: "ignore" },
    );
    await eventually(
      "the guest starts",
      60_000,
      () => processesNaming(`labdir=${folder}`).length > 4,
    );
    caller.kill("SIGKILL");
    await eventually("the guest ends", 10_000, () => processesNaming(folder).length === 0);
    await eventually("its folder goes", 10_000, () => readdirSync(folder).length === 0);
  }),
);

test.run();
