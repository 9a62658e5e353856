/** The pool outlasts hung members; compiled code is kept for this release alone. */
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { prepareProcess, threadPoolSize } from "../../../src/cli/process-settings.ts";
import { POOL_CALLS_MAX } from "../../../src/hal/linux/turnstile.ts";
import { trySatsuma } from "../../helpers/satsuma-command.ts";
import { inFolder } from "../../helpers/temporary-folder.ts";
import { withTimeout } from "../../helpers/timeout.ts";

const test = suite("cli/process-settings");

test("two members that hang in every thread leave threads for the others", () => {
  for (const workers of [1, 2, 4, 16]) {
    const held = 2 * (workers + 1) * POOL_CALLS_MAX;
    assert.ok(threadPoolSize(workers) >= held + POOL_CALLS_MAX, `${workers} workers`);
  }
});

test(
  "compiled code of other releases goes",
  inFolder(async (folder) => {
    const old = join(folder, "compile-cache", "0.0.1");
    mkdirSync(old, { recursive: true });
    const { UV_THREADPOOL_SIZE: threads, NODE_COMPILE_CACHE: cache } = process.env;
    prepareProcess({ dataDirectory: folder, ioWorkers: 2 }, "0.0.2");
    Object.assign(process.env, {
      UV_THREADPOOL_SIZE: threads ?? "",
      NODE_COMPILE_CACHE: cache ?? "",
    });
    if (threads === undefined) delete process.env["UV_THREADPOOL_SIZE"];
    if (cache === undefined) delete process.env["NODE_COMPILE_CACHE"];
    assert.not.ok(existsSync(old));
    assert.ok(existsSync(join(folder, "compile-cache", "0.0.2")));
  }),
);

test(
  "a data directory that cannot be made ends the start with a code, whoever asks",
  withTimeout(60_000, async () => {
    // Node's recursive mkdir never returns below /proc, and takes no signal meanwhile.
    const { ending, stderr } = await trySatsuma("serve", "--data", "/proc/satsuma");
    assert.is(ending, "1", stderr);
    assert.match(stderr, /^satsuma: STORE_NOT_WRITABLE: \/proc\/satsuma/);
  }),
);

test.run();
