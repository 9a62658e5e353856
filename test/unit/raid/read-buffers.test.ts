/** Buffers are exactly as long as asked for, used again, and kept within a limit. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { ReadBuffers } from "../../../src/raid/read-buffers.ts";

const MIB = 1024 * 1024;

const test = suite("raid/read-buffers");

test("a buffer has the length asked for, whatever was given back", () => {
  const buffers = new ReadBuffers();
  for (const length of [1, 511, 4096, 4097, 65_536, MIB, MIB + 1, 3, 5000]) {
    const buffer = buffers.take(length);
    assert.is(buffer.length, length);
    buffers.give(buffer);
  }
});

test("what was given back is used again, what was not never is", () => {
  const buffers = new ReadBuffers();
  const first = buffers.take(4096);
  const kept = buffers.take(4096);
  assert.is.not(first.buffer, kept.buffer);
  buffers.give(first);
  assert.is(buffers.take(100).buffer, first.buffer);
  assert.is.not(buffers.take(100).buffer, kept.buffer);
});

test("two MiB of each size are kept at most", () => {
  const buffers = new ReadBuffers();
  const taken = Array.from({ length: 5 }, () => buffers.take(MIB));
  for (const buffer of taken) buffers.give(buffer);
  const again = Array.from({ length: 5 }, () => buffers.take(MIB).buffer);
  assert.is(again.filter((buffer) => taken.some((one) => one.buffer === buffer)).length, 2);
});

test.run();
