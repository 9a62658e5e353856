/**
 * The queue of received chunks, by hand and against one flat array over random chunks and takes.
 */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type InputBlock, InputBlockPool } from "../../../src/nbd/input-block.ts";
import { ReceiveQueue } from "../../../src/nbd/receive-queue.ts";
import { concat } from "../../helpers/nbd-messages.ts";
import { withSeeds } from "../../helpers/seed.ts";

const test = suite("nbd/receive-queue");

const bytes = (...values: readonly number[]): Uint8Array => Uint8Array.from(values);

function located(queue: ReceiveQueue, length: number): Uint8Array {
  queue.locate(length);
  const { view, viewAt } = queue;
  return new Uint8Array(view.buffer, view.byteOffset + viewAt, length).slice();
}

test("takes a payload as views of the chunks, without a copy", () => {
  const queue = new ReceiveQueue();
  const chunks = [bytes(1, 2, 3), bytes(4, 5), bytes(6, 7)];
  for (const chunk of chunks) queue.push(chunk, null);
  const pieces: Uint8Array[] = [];
  assert.is(queue.drop(1), 1);
  queue.takePieces(5, pieces, []);
  assert.equal(pieces, [bytes(2, 3), bytes(4, 5), bytes(6)]);
  assert.ok(pieces.every((piece, index) => piece.buffer === chunks[index]?.buffer));
  assert.is(queue.available, 1);
});

test("locates a message inside one chunk or across several", () => {
  const queue = new ReceiveQueue();
  queue.push(bytes(1, 2, 3, 4), null);
  queue.push(bytes(5), null);
  queue.push(bytes(6, 7), null);
  assert.equal(located(queue, 3), bytes(1, 2, 3));
  assert.equal(located(queue, 6), bytes(1, 2, 3, 4, 5, 6));
  assert.is(queue.available, 7);
});

test("drops no more than there is", () => {
  const queue = new ReceiveQueue();
  queue.push(bytes(1, 2), null);
  assert.is(queue.drop(10), 2);
  assert.is(queue.drop(10), 0);
});

test("keeps a block until its chunk is consumed and its pieces are released", () => {
  const pool = new InputBlockPool((size) => new Uint8Array(size));
  const block = pool.makeSmall();
  const queue = new ReceiveQueue();
  queue.push(block.bytes.subarray(0, 10), block);
  queue.push(block.bytes.subarray(10, 20), block);
  assert.is(block.references, 2);
  const kept: InputBlock[] = [];
  queue.takePieces(15, [], kept);
  assert.is(kept.length, 2);
  assert.is(block.references, 3);
  queue.clear();
  assert.is(block.references, 2);
  for (const one of kept) one.release();
  assert.is(block.references, 0);
});

test("agrees with a flat array over random chunks and takes", async () => {
  await withSeeds({ fixed: [1, 2, 3], more: 20 }, (prng) => {
    const queue = new ReceiveQueue();
    let flat = bytes();
    let next = 0;
    for (let turn = 0; turn < 500; turn += 1) {
      const chunk = Uint8Array.from({ length: prng.below(40) }, () => {
        next = (next + 1) % 251;
        return next;
      });
      queue.push(chunk, null);
      flat = concat(flat, chunk);
      const length = prng.below(flat.length + 1);
      const expected = flat.subarray(0, length);
      const pieces: Uint8Array[] = [];
      if (length <= 32) assert.equal(located(queue, length), expected.slice());
      if (prng.below(2) === 0) queue.takePieces(length, pieces, []);
      else pieces.push(queue.take(length));
      assert.equal(concat(...pieces), expected.slice());
      flat = flat.slice(length);
      assert.is(queue.available, flat.length);
    }
  });
});

test.run();
