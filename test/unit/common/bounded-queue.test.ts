import { suite } from "uvu";
import * as assert from "uvu/assert";
import { BoundedQueue } from "../../../src/common/bounded-queue.ts";
import { withSeeds } from "../../helpers/seed.ts";

const test = suite("common/bounded-queue");

test("gives items back in the order they came", () => {
  const queue = new BoundedQueue<string>(3);
  for (const item of ["a", "b", "c"]) assert.is(queue.push(item), true);
  assert.equal(
    [queue.shift(), queue.shift(), queue.shift(), queue.shift()],
    ["a", "b", "c", undefined],
  );
});

test("refuses an item when full and stays as it was", () => {
  const queue = new BoundedQueue<number>(2);
  queue.push(1);
  queue.push(2);
  assert.is(queue.isFull, true);
  assert.is(queue.push(3), false);
  assert.equal([...queue], [1, 2]);
});

test("clear empties it", () => {
  const queue = new BoundedQueue<number>(2);
  queue.push(1);
  queue.clear();
  assert.is(queue.isEmpty, true);
  assert.is(queue.peek(), undefined);
});

test("a queue without room is refused", () => {
  for (const capacity of [0, -1, 1.5, Number.NaN]) {
    assert.throws(() => new BoundedQueue(capacity), /holds nothing/);
  }
});

test("behaves like a list under random pushes and shifts", () =>
  withSeeds({ fixed: [1, 2], more: 1 }, (prng) => {
    const capacity = prng.between(1, 6);
    const queue = new BoundedQueue<number>(capacity);
    const model: number[] = [];
    for (let step = 0; step < 500; step += 1) {
      if (prng.chance(11, 20)) {
        const fits = model.length < capacity;
        if (fits) model.push(step);
        assert.is(queue.push(step), fits);
      } else {
        assert.is(queue.shift(), model.shift());
      }
      assert.is(queue.length, model.length);
      assert.is(queue.peek(), model[0]);
      assert.equal([...queue], model);
    }
  }));

test.run();
