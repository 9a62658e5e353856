import { suite } from "uvu";
import * as assert from "uvu/assert";
import { CORE_STEPS } from "../../../../bench/bitmap/bitmap-core.ts";

const test = suite("bench/bitmap-core");

const ARRAY_BYTES = 2 ** 40;
const CHUNKS = ARRAY_BYTES / (64 * 2 ** 20);

test("every step can be taken over and over, past every chunk", () => {
  for (const [name, make] of Object.entries(CORE_STEPS)) {
    const step = make(ARRAY_BYTES);
    const times = step.units === CHUNKS ? 3 : CHUNKS + 1;
    for (let index = 0; index < times; index++) step.take();
    assert.ok(step.units > 0, name);
  }
});

test("scans are counted in the bits of the array, commits in the bits they set", () => {
  const units = (name: keyof typeof CORE_STEPS) => CORE_STEPS[name](ARRAY_BYTES).units;
  for (const name of ["sweep.clear", "sweep.set", "load.clear", "load.set", "merge"] as const) {
    assert.is(units(name), CHUNKS, name);
  }
  assert.equal([units("touch"), units("commit1"), units("commit32")], [1, 1, 32]);
});

test.run();
