/** The range in a bitmap lock's value block, and the names of locks. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { bitmapLockName } from "../../../../src/cluster/md/lock-names.ts";
import { decodeResyncRange, encodeResyncRange } from "../../../../src/cluster/md/resync-range.ts";
import { blockOf } from "../../../helpers/md-messages.ts";

const test = suite("cluster/md/resync-range");

test("2.1 'records the range of sectors that are being re-synced': the kernel's bytes", () => {
  const bytes = encodeResyncRange({ lo: 65_408, hi: 130_944 });
  assert.equal(bytes, blockOf("80ff000000000000 80ff010000000000"));
  assert.equal(decodeResyncRange(bytes), { lo: 65_408, hi: 130_944 });
});

test("6.4 'resync_finish reports none of it'", () => {
  assert.equal(encodeResyncRange(null), new Uint8Array(64));
  assert.is(decodeResyncRange(new Uint8Array(64)), null);
});

test("a range from sector 0 is a range: bit 0 of a bitmap is a bit like any other", () => {
  assert.equal(decodeResyncRange(encodeResyncRange({ lo: 0, hi: 128 })), { lo: 0, hi: 128 });
});

test("what nobody can have written is malformed, not none", () => {
  for (const text of ["02 00000000000000 02", "05", `${"00".repeat(14)}20`, "ff".repeat(16)])
    assert.is(decodeResyncRange(blockOf(text)), "malformed", text);
  assert.is(decodeResyncRange(new Uint8Array(15)), "malformed");
});

test("2.1 'bitmap000 for node 1': four digits as the kernel has it, by bitmap slot", () => {
  assert.is(bitmapLockName(0), "bitmap0000");
  assert.is(bitmapLockName(63), "bitmap0063");
  assert.throws(() => bitmapLockName(-1));
  assert.throws(() => bitmapLockName(64));
});

test.run();
