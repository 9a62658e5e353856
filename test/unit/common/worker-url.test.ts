import { suite } from "uvu";
import * as assert from "uvu/assert";
import { workerUrl } from "../../../src/common/worker-url.ts";

const test = suite("common/worker-url");

test("finds the source beside a source and the build beside a build", () => {
  assert.is(
    workerUrl("io", "file:///s/src/workers/pool.ts").href,
    "file:///s/src/workers/io.worker.ts",
  );
  assert.is(
    workerUrl("io", "file:///s/dist/workers/pool.js").href,
    "file:///s/dist/workers/io.worker.js",
  );
});

test("follows a path to another folder", () => {
  assert.is(
    workerUrl("../workers/io", "file:///s/src/raid/array.ts").href,
    "file:///s/src/workers/io.worker.ts",
  );
});

test("refuses a base that is no module of ours", () => {
  assert.throws(() => workerUrl("io", "file:///s/src/readme.md"), /neither/);
});

test.run();
