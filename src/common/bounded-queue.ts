/**
 * A first-in-first-out queue of fixed capacity. A full queue refuses: `push` returns false and the
 * caller decides what that means (stop reading, fail the request, drop the sample). No growth, no
 * allocation after construction.
 */
import { assert } from "./assert.ts";

export class BoundedQueue<T> {
  readonly capacity: number;
  readonly #slots: (T | undefined)[];
  #head = 0;
  #length = 0;

  /** `capacity` is the number of items it can hold, at least 1. */
  constructor(capacity: number) {
    assert(Number.isInteger(capacity) && capacity >= 1, `capacity ${capacity} holds nothing`);
    this.capacity = capacity;
    this.#slots = new Array<T | undefined>(capacity).fill(undefined);
  }

  get length(): number {
    return this.#length;
  }

  get isEmpty(): boolean {
    return this.#length === 0;
  }

  get isFull(): boolean {
    return this.#length === this.capacity;
  }

  /** Appends `item`; false, with the queue unchanged, when it is full. */
  push(item: T): boolean {
    if (this.#length === this.capacity) return false;
    this.#slots[this.#wrap(this.#head + this.#length)] = item;
    this.#length += 1;
    return true;
  }

  /** Takes the oldest item; undefined when the queue is empty. */
  shift(): T | undefined {
    if (this.#length === 0) return undefined;
    const item = this.#slots[this.#head];
    this.#slots[this.#head] = undefined;
    this.#head = this.#wrap(this.#head + 1);
    this.#length -= 1;
    return item;
  }

  /** The oldest item, left in place; undefined when the queue is empty. */
  peek(): T | undefined {
    return this.#slots[this.#head];
  }

  clear(): void {
    this.#slots.fill(undefined);
    this.#head = 0;
    this.#length = 0;
  }

  /** The items, oldest first. The queue must not change during the walk. */
  *[Symbol.iterator](): Iterator<T> {
    for (let at = 0; at < this.#length; at += 1) {
      yield this.#slots[this.#wrap(this.#head + at)] as T;
    }
  }

  #wrap(index: number): number {
    return index < this.capacity ? index : index - this.capacity;
  }
}
