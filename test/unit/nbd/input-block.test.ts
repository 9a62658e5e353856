import { suite } from "uvu";
import * as assert from "uvu/assert";
import { InputBlockPool, InputBuffer } from "../../../src/nbd/input-block.ts";

const test = suite("nbd/input-block");

const KIB = 1024;

function makeBuffer(): { buffer: InputBuffer; made: number[] } {
  const made: number[] = [];
  const pool = new InputBlockPool((size) => {
    made.push(size);
    return new Uint8Array(size);
  });
  return { buffer: new InputBuffer(pool), made };
}

test("chunks that are consumed at once reuse the same small block from its start", () => {
  const { buffer, made } = makeBuffer();
  const first = buffer.nextRegion();
  for (let turn = 0; turn < 1000; turn += 1) {
    assert.is(buffer.nextRegion(), first);
    assert.is(buffer.take(28).byteOffset, 0);
  }
  assert.equal(made, [64 * KIB]);
});

test("a chunk that is kept is not read over", () => {
  const { buffer } = makeBuffer();
  buffer.nextRegion();
  const { block } = buffer;
  block.retain();
  const kept = buffer.take(100);
  const region = buffer.nextRegion();
  assert.is(region.byteOffset, 100);
  block.release();
  assert.is(buffer.nextRegion().byteOffset, kept.byteOffset);
});

test("a chunk read after its block became free is not read over either", () => {
  const { buffer } = makeBuffer();
  buffer.nextRegion();
  buffer.block.retain();
  buffer.take(100);
  // The socket holds this region already when the first chunk is let go.
  buffer.nextRegion();
  buffer.block.release();
  const kept = buffer.take(200);
  buffer.block.retain();
  assert.is(buffer.nextRegion().byteOffset, kept.byteOffset + 200);
});

test("a socket that fills its region gets a large block, and gives it up when quiet again", () => {
  const { buffer, made } = makeBuffer();
  buffer.take(buffer.nextRegion().length);
  assert.is(buffer.nextRegion().length, 256 * KIB);
  buffer.take(100);
  assert.is(buffer.nextRegion().length, 64 * KIB);
  assert.equal(made, [64 * KIB, 1024 * KIB]);
  // The large block waits in the pool for whoever needs it next.
  buffer.take(64 * KIB);
  buffer.nextRegion();
  assert.equal(made.length, 2);
});

test("a full block with kept chunks is left for another, and comes back when they are let go", () => {
  const { buffer, made } = makeBuffer();
  const blocks = new Set([buffer.block]);
  for (let turn = 0; turn < 20; turn += 1) {
    const region = buffer.nextRegion();
    blocks.add(buffer.block);
    buffer.block.retain();
    buffer.take(region.length);
  }
  assert.ok(made.length >= 5);
  for (const block of blocks) while (block.references > 0) block.release();
  const before = made.length;
  for (let turn = 0; turn < 12; turn += 1) {
    const region = buffer.nextRegion();
    buffer.block.retain();
    buffer.take(region.length);
  }
  assert.is(made.length, before);
});

test("never offers less than 16 KiB to read into", () => {
  const { buffer } = makeBuffer();
  for (let turn = 0; turn < 200; turn += 1) {
    const region = buffer.nextRegion();
    assert.ok(region.length >= 16 * KIB);
    buffer.block.retain();
    buffer.take(Math.min(region.length, 5_000 + turn));
  }
});

test.run();
