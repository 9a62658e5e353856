import { statSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { makeFolder } from "../../../src/hal/linux/make-folder.ts";
import { inFolder } from "../../helpers/temporary-folder.ts";

const test = suite("hal/make-folder");

test(
  "makes a folder with its parents, once and again",
  inFolder(async (folder) => {
    const deep = join(folder, "a", "b");
    makeFolder(deep);
    makeFolder(deep);
    assert.ok(statSync(deep).isDirectory());
    assert.is(statSync(deep).mode & 0o777, 0o700);
  }),
);

test("fails at once where no folder can be made", () => {
  assert.throws(
    () => makeFolder("/proc/satsuma/data"),
    (error: Error) => "code" in error && error.code === "ENOENT",
  );
});

test.run();
