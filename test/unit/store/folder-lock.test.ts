/** One process has a folder at a time, and gives it back however it ends. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { lockFolder } from "../../../src/store/folder-lock.ts";
import { inFolder } from "../../helpers/temporary-folder.ts";
import { withTimeout } from "../../helpers/timeout.ts";

const test = suite("store/folder-lock");
const MODULE = join(import.meta.dirname, "../../../src/store/folder-lock.ts");

test(
  "a folder is refused while another process has it, and free once that is killed",
  withTimeout(
    30_000,
    inFolder(async (folder) => {
      const code = `import { lockFolder } from ${JSON.stringify(MODULE)};
        lockFolder(${JSON.stringify(folder)}, "a.lock");
        console.log("held");
        process.stdin.resume();`;
      const holder = spawn(process.execPath, ["--input-type=module", "-e", code], {
        stdio: ["pipe", "pipe", "inherit"],
      });
      await once(holder.stdout, "data");
      assert.throws(() => lockFolder(folder, "a.lock"), /a\.lock is held by another process/);
      lockFolder(folder, "b.lock").release();
      holder.kill("SIGKILL");
      await once(holder, "exit");
      lockFolder(folder, "a.lock").release();
      lockFolder(folder, "a.lock").release();
    }),
  ),
);

test(
  "a lock that cannot be made says so",
  inFolder(async (folder) => {
    mkdirSync(join(folder, "a.lock"));
    assert.throws(() => lockFolder(folder, "a.lock"), /a\.lock cannot be opened for writing/);
  }),
);

test.run();
