/** The start of an array's thread that fails while nobody waits for its next step. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { ThreadStart } from "../../../src/workers/thread-start.ts";

const test = suite("workers/thread-start");

test("a failure while nobody waits is kept for who does, and ends no process", async () => {
  let unhandled = 0;
  const count = (): void => {
    unhandled += 1;
  };
  process.on("unhandledRejection", count);
  const start = new ThreadStart<string>();
  start.assembled("md0");
  assert.is(await start.whenAssembled, "md0");
  start.fail(new Error("the others have gone on"));
  await new Promise(setImmediate);
  await new Promise(setImmediate);
  process.off("unhandledRejection", count);
  assert.is(unhandled, 0);
  const said = await start.whenRunning.then(
    () => "it runs",
    (error: Error) => error.message,
  );
  assert.is(said, "the others have gone on");
});

test("what fails before it is assembled runs no more", async () => {
  const start = new ThreadStart<string>();
  start.fail(new Error("refused"));
  start.assembled("md0");
  start.running();
  for (const step of [start.whenAssembled, start.whenRunning])
    assert.is(await step.then(String, (error: Error) => error.message), "refused");
});

test.run();
