/** The etcd of a demo ends with the demo, also when that is killed. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { skipUnless } from "../../helpers/skip.ts";
import { inFolder } from "../../helpers/temporary-folder.ts";
import { eventually, withTimeout } from "../../helpers/timeout.ts";

const test = suite("cli/etcd-process");
const MODULE = join(import.meta.dirname, "../../../src/cli/etcd-process.ts");

skipUnless(["etcd", "setpriv"], test)(
  "a demo that is killed leaves no etcd behind",
  withTimeout(
    40_000,
    inFolder(async (folder) => {
      const code = `import { startEtcd } from ${JSON.stringify(MODULE)};
        const { credentials } = await startEtcd(${JSON.stringify(folder)}, null);
        console.log(credentials.pid);`;
      const demo = spawn(process.execPath, ["--input-type=module", "-e", code], {
        stdio: ["ignore", "pipe", "inherit"],
      });
      const [line] = await once(demo.stdout, "data");
      const pid = Number(String(line));
      assert.ok(existsSync(`/proc/${pid}`), "etcd runs");
      demo.kill("SIGKILL");
      await eventually("etcd has ended", 10_000, () => !existsSync(`/proc/${pid}`));
    }),
  ),
);

test.run();
