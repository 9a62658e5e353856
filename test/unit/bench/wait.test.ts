import { suite } from "uvu";
import * as assert from "uvu/assert";
import { waitUntil } from "../../../bench/wait.ts";

const test = suite("bench/wait");

test("it asks until the answer is true", async () => {
  let asked = 0;
  await waitUntil("it is so", { limitMs: 30_000 }, async () => ++asked === 3 || "not yet");
  assert.is(asked, 3);
});

test("past the limit the error names what for and how it stood", async () => {
  const outcome = waitUntil("it is so", { limitMs: 0 }, async () => "halfway").then(
    () => "",
    (error: unknown) => String(error),
  );
  assert.match(await outcome, "waited 0 s until it is so, in vain: halfway");
});

test("an error of the probe ends it at once", async () => {
  let asked = 0;
  const outcome = waitUntil("it is so", { limitMs: 30_000 }, async () => {
    asked++;
    throw new Error("it cannot be");
  }).then(
    () => "",
    (error: unknown) => String(error),
  );
  assert.match(await outcome, "it cannot be");
  assert.is(asked, 1);
});

test.run();
