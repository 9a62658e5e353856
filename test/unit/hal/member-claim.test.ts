/** Who may open a member beside whom: real files and locks, in two processes' worth of handles. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { FileBlockDevice } from "../../../src/hal/linux/file-block-device.ts";
import type { MemberClaim } from "../../../src/hal/linux/member-claim.ts";
import { attachLoop, detachLoop, noLoopDevice } from "../../helpers/loop-device.ts";
import { skipWhen } from "../../helpers/skip.ts";
import { inFolder } from "../../helpers/temporary-folder.ts";
import { withTimeout } from "../../helpers/timeout.ts";

const test = suite("hal/member-claim");
const loopTest = skipWhen(noLoopDevice(), test);

const open = (path: string, claim: MemberClaim | null): Promise<FileBlockDevice> =>
  FileBlockDevice.open(path, { mode: "write", ...(claim === null ? {} : { claim }) });

/** Which second claim goes with which first one. */
const PAIRS: readonly (readonly [MemberClaim, MemberClaim | null, boolean])[] = [
  ["cluster", "cluster", true],
  ["cluster", "alone", false],
  ["alone", "cluster", false],
  ["alone", "alone", false],
  ["alone", null, true],
  ["cluster", null, true],
];

const goTogether = async (
  path: string,
  first: MemberClaim,
  second: MemberClaim | null,
): Promise<boolean> => {
  const held = await open(path, first);
  try {
    await (await open(path, second)).close();
    return true;
  } catch (error) {
    assert.match((error as { code: string }).code, /^HAL_(DEVICE_CLAIMED|OPEN_FAILED)$/);
    return false;
  } finally {
    await held.close();
  }
};

for (const [first, second, isFine] of PAIRS) {
  const verdict = isFine ? "goes with" : "is refused beside";
  test(
    `a handle with claim ${second} ${verdict} one with claim ${first}; a closed one counts no more`,
    withTimeout(
      20_000,
      inFolder(async (folder) => {
        const path = join(folder, "m.img");
        writeFileSync(path, new Uint8Array(4096));
        assert.is(await goTogether(path, first, second), isFine);
        await (await open(path, "alone")).close();
      }),
    ),
  );

  loopTest(
    `the same of a block device: claim ${second} ${verdict} claim ${first}`,
    withTimeout(
      20_000,
      inFolder(async (folder) => {
        const file = join(folder, "loop.img");
        writeFileSync(file, new Uint8Array(1024 * 1024));
        const loop = attachLoop(file);
        if (loop === null) throw new Error("no loop device could be made");
        try {
          assert.is(await goTogether(loop, first, second), isFine);
          await (await open(loop, "alone")).close();
        } finally {
          detachLoop(loop);
        }
      }),
    ),
  );
}

test.run();
