import { suite } from "uvu";
import * as assert from "uvu/assert";
import { ReplyQueue } from "../../../src/nbd/reply-queue.ts";
import { SLAB_BYTES, type Slab, SlabPool } from "../../../src/nbd/reply-slab.ts";

const test = suite("nbd/reply-queue");

function makeQueue(): { queue: ReplyQueue; made: () => number } {
  let count = 0;
  const pool = new SlabPool((size) => {
    count += 1;
    return new Uint8Array(size);
  });
  return { queue: new ReplyQueue(pool), made: () => count };
}

interface Placed {
  readonly slab: Slab;
  readonly at: number;
  readonly size: number;
}

function place(queue: ReplyQueue, size: number): Placed {
  const slab = queue.place(size);
  return { slab, at: queue.placedAt, size };
}

const commit = (queue: ReplyQueue, { slab, at, size }: Placed): void =>
  queue.commit(slab, at, at + size);

test("replies that became ready in order go out as one segment", () => {
  const { queue } = makeQueue();
  for (const size of [16, 4112, 16]) commit(queue, place(queue, size));
  const segments = queue.handOver();
  assert.equal(
    segments.map(({ start, end }) => [start, end]),
    [[0, 4144]],
  );
  assert.is(queue.unsentBytes, 4144);
  assert.is(queue.sent(), 4144);
  assert.is(queue.unsentBytes, 0);
});

test("replies that became ready out of order go out in the order they became so", () => {
  const { queue } = makeQueue();
  const [first, second, third] = [place(queue, 10), place(queue, 20), place(queue, 30)];
  for (const placed of [third, first, second]) commit(queue, placed);
  assert.equal(
    queue.handOver().map(({ start, end }) => [start, end]),
    [
      [30, 60],
      [0, 30],
    ],
  );
});

test("a slab is used again once all its replies are sent", () => {
  const { queue, made } = makeQueue();
  for (let turn = 0; turn < 1000; turn += 1) {
    commit(queue, place(queue, 4112));
    assert.is(queue.handOver().length, 1);
    queue.sent();
  }
  assert.is(made(), 1);
});

test("a slab is not used again while a reply in it is under way", () => {
  const { queue, made } = makeQueue();
  const slow = place(queue, 4112);
  for (let turn = 0; turn < 300; turn += 1) {
    const placed = place(queue, 4112);
    assert.ok(placed.slab !== slow.slab || placed.at >= slow.at + slow.size);
    commit(queue, placed);
    queue.handOver();
    queue.sent();
  }
  assert.is(made(), 2);
});

test("a reply given up frees its place and sends nothing", () => {
  const { queue } = makeQueue();
  const { slab } = place(queue, 4112);
  queue.cancel(slab);
  assert.is(queue.handOver().length, 0);
  assert.is(place(queue, 16).at, 0);
});

test("a reply above the slab's size gets memory of its own", () => {
  const { queue } = makeQueue();
  const placed = place(queue, SLAB_BYTES + 1);
  assert.is(placed.slab.bytes.length, SLAB_BYTES + 1);
  commit(queue, placed);
  queue.handOver();
  assert.is(queue.sent(), SLAB_BYTES + 1);
});

test("an abandoned queue forgets what was to be sent and keeps its slab from others", () => {
  const { queue, made } = makeQueue();
  const slow = place(queue, 100);
  commit(queue, place(queue, 100));
  queue.handOver();
  queue.abandon();
  assert.is(queue.unsentBytes, 0);
  queue.cancel(slow.slab);
  place(queue, 100);
  assert.is(made(), 2);
});

test("a slab that only the back end used returns from an abandoned queue", () => {
  const { queue, made } = makeQueue();
  const slow = place(queue, 100);
  queue.abandon();
  queue.cancel(slow.slab);
  place(queue, 100);
  assert.is(made(), 1);
});

test.run();
