/**
 * What may be read of blocks that several clients write through several boards: every write, flush,
 * read and error is told here in the order in which it happened, and held against these rules.
 *
 * - A block has one owner at a time, which has one write of it under way at a time and passes on
 *   only what is acknowledged and flushed. So the writes of a block have an order.
 * - A read returns nothing older than what was acknowledged before the read began.
 * - A read returns nothing that nobody wrote, and nothing of another block.
 * - A write that was not acknowledged may show or not. Which of its copies shows may change until
 *   the boards have come to rest (`settled`); from then on it neither comes nor goes.
 * - A write that was asked for again by another way (an attempt) after its first way's session was
 *   fenced never shows the first attempt again: a fenced session writes no more.
 *
 * Pure: values in, problems out.
 */
import { assert } from "../../../src/common/assert.ts";
import type { BlockValue } from "./block-value.ts";

/** A way by which an attempt went: a connection to a board, opened at a time. */
export interface AttemptWay {
  readonly board: string;
  /** When the connection was opened, on the run's clock. */
  readonly openedAt: number;
}

interface Attempt extends AttemptWay {
  readonly begunAt: number;
  /** The client no longer waits for it, and it was not refused: it may still be carried out. */
  isAbandoned: boolean;
}

interface Write {
  readonly number: number;
  readonly client: number;
  readonly attempts: Attempt[];
  state: "open" | "acknowledged" | "failed";
  /** The attempt that was acknowledged, from 0. */
  acknowledged: number;
  isFlushed: boolean;
}

interface Block {
  owner: number;
  /** Oldest first: the newest acknowledged one, and what came after it. */
  writes: Write[];
  /** Numbers of all writes there were. */
  readonly known: Set<number>;
  /** What was read since the boards came to rest, while a write is unfinished. */
  pinned: string | null;
  isSettled: boolean;
}

/** More of one write are not looked for in a sector that is of two values. */
const ATTEMPTS_MAX = 8;

/** A read under way: what had been acknowledged when it began. */
export interface OpenRead {
  readonly block: number;
  readonly floor: number;
  readonly isSettled: boolean;
  readonly newest: number;
}

/** A session that was fenced: its connections were opened before `until`. */
interface Fence {
  readonly board: string;
  readonly until: number;
  readonly provenAt: number;
}

export interface HistoryCounts {
  writes: number;
  failed: number;
  flushes: number;
  reads: number;
  moves: number;
  /** Reads that saw another copy of an unfinished write than the read before. */
  changes: number;
}

export class BlockHistory {
  readonly counts: HistoryCounts = {
    writes: 0,
    failed: 0,
    flushes: 0,
    reads: 0,
    moves: 0,
    changes: 0,
  };
  readonly #blocks: Block[];
  readonly #fences: Fence[] = [];
  #writes = 0;

  constructor(owners: readonly number[]) {
    this.#blocks = owners.map((owner) => ({
      owner,
      writes: [],
      known: new Set<number>(),
      pinned: null,
      isSettled: true,
    }));
  }

  get size(): number {
    return this.#blocks.length;
  }

  owner(block: number): number {
    return this.#block(block).owner;
  }

  /**
   * True when the owner may begin a write: none is under way, and no attempt of one was given up
   * since all rested. A board that has such an attempt could carry it out after the new write.
   */
  isFree(block: number): boolean {
    const { writes, isSettled } = this.#block(block);
    return writes.every(({ state, attempts }) =>
      state === "acknowledged" ? isSettled || attempts.length === 1 : isSettled && state !== "open",
    );
  }

  /** Begins a write; its number goes into the block. */
  beginWrite(block: number, client: number): number {
    const state = this.#block(block);
    assert(state.owner === client, `block ${block} belongs to client ${state.owner}`);
    assert(
      state.writes.every(({ state }) => state !== "open"),
      `block ${block} is being written`,
    );
    this.#writes += 1;
    const number = this.#writes;
    state.writes.push({
      number,
      client,
      attempts: [],
      state: "open",
      acknowledged: -1,
      isFlushed: false,
    });
    state.known.add(number);
    state.pinned = null;
    state.isSettled = false;
    return number;
  }

  /** One attempt of a write goes out. Returns its number, from 0. */
  attempt(block: number, number: number, way: AttemptWay, at: number): number {
    const write = this.#write(block, number);
    return write.attempts.push({ ...way, begunAt: at, isAbandoned: false }) - 1;
  }

  /** The client waits no longer for the answer of an attempt. */
  abandon(block: number, number: number, attempt: number): void {
    const found = this.#write(block, number).attempts[attempt];
    if (found !== undefined) found.isAbandoned = true;
  }

  acknowledge(block: number, number: number, attempt: number): void {
    const state = this.#block(block);
    const write = this.#write(block, number);
    write.state = "acknowledged";
    write.acknowledged = attempt;
    state.writes = state.writes.filter((other) => other.number >= number);
    this.counts.writes += 1;
  }

  /** The client gives it up: it may show or not. */
  fail(block: number, number: number): void {
    this.#write(block, number).state = "failed";
    this.counts.failed += 1;
  }

  /** Blocks whose write of this client is acknowledged and not flushed: what a flush will cover. */
  beginFlush(client: number): readonly (readonly [block: number, number: number])[] {
    return this.#blocks.flatMap(({ writes }, block) => {
      const last = writes.at(-1);
      const isDue = last?.client === client && last.state === "acknowledged" && !last.isFlushed;
      return isDue ? [[block, last.number] as const] : [];
    });
  }

  endFlush(covered: readonly (readonly [block: number, number: number])[]): void {
    for (const [block, number] of covered) {
      const write = this.#block(block).writes.find((other) => other.number === number);
      if (write !== undefined) write.isFlushed = true;
    }
    this.counts.flushes += 1;
  }

  /** Whether the block may get another owner: its newest write is acknowledged and flushed. */
  mayMove(block: number): boolean {
    return this.#block(block).writes.every(
      ({ state, isFlushed }) => state === "acknowledged" && isFlushed,
    );
  }

  move(block: number, owner: number): void {
    assert(this.mayMove(block), `block ${block} has a write that is not flushed`);
    this.#block(block).owner = owner;
    this.counts.moves += 1;
  }

  /**
   * Every session of a board whose connections were opened before `until` is over, and all have
   * acknowledged its fence.
   */
  fenced(board: string, until: number, provenAt: number): void {
    this.#fences.push({ board, until, provenAt });
  }

  /** The boards are at rest: copies of unfinished writes are equal from now on. */
  settled(): void {
    for (const block of this.#blocks) {
      block.isSettled = block.writes.every(({ state }) => state !== "open");
      block.pinned = null;
    }
  }

  /**
   * True when a board that was never fenced may still have had an attempt of the block's last
   * write: two boards wrote it at once, which clients must not ask for, and copies may differ.
   */
  mayDiffer(block: number): boolean {
    return this.#block(block).writes.some(({ attempts }) =>
      attempts.some((attempt) => attempt.isAbandoned && this.#fenceOf(attempt) === undefined),
    );
  }

  beginRead(block: number): OpenRead {
    const { writes, isSettled } = this.#block(block);
    const floor = newestAcknowledged(writes)?.number ?? 0;
    return { block, floor, isSettled, newest: writes.at(-1)?.number ?? 0 };
  }

  /** What may have been written while this was read: values that may share a sector. */
  torn({ block, floor }: OpenRead): BlockValue[] {
    const numbers = [...this.#block(block).known].filter((number) => number >= floor);
    if (floor === 0) numbers.push(0);
    if (numbers.length < 2) return [];
    return numbers.flatMap((write) =>
      Array.from({ length: write === 0 ? 1 : ATTEMPTS_MAX }, (_, attempt) => ({
        block,
        write,
        attempt,
      })),
    );
  }

  /** What is wrong with what was read, or null. `values`: of decodeBlock. */
  endRead(read: OpenRead, values: readonly BlockValue[] | null): string | null {
    this.counts.reads += 1;
    const where = `block ${read.block}`;
    if (values === null) return `${where}: bytes that nobody wrote`;
    for (const value of values) {
      const problem = this.#problemOf(read, value);
      if (problem !== null) return `${where}: ${problem}`;
    }
    return this.#pin(read, values, where);
  }

  #problemOf(read: OpenRead, value: BlockValue): string | null {
    if (value.write === 0)
      return read.floor === 0 ? null : `nothing, though write ${read.floor} was acknowledged`;
    if (value.block !== read.block) return `write ${value.write} of block ${value.block}`;
    if (value.write < read.floor)
      return `write ${value.write}, though ${read.floor} was acknowledged before the read`;
    const { writes, known } = this.#block(read.block);
    if (!known.has(value.write)) return `write ${value.write}, which nobody made`;
    const write = writes.find(({ number }) => number === value.write);
    // A newer one was acknowledged while the read went on.
    if (write === undefined) return null;
    if (write.attempts[value.attempt] === undefined)
      return `attempt ${value.attempt} of write ${value.write}, which nobody made`;
    return this.#lateAttempt(read, write, value.attempt);
  }

  #lateAttempt(read: OpenRead, write: Write, seen: number): string | null {
    if (read.floor !== write.number || seen === write.acknowledged) return null;
    const late = write.attempts[seen];
    const last = write.attempts[write.acknowledged];
    if (late === undefined || last === undefined) return null;
    const fence = this.#fenceOf(late);
    if (fence === undefined || fence.provenAt >= last.begunAt) return null;
    const what = `attempt ${seen} of write ${write.number} through ${late.board}`;
    return `${what}, which was fenced before attempt ${write.acknowledged} began`;
  }

  #fenceOf({ board, openedAt }: AttemptWay): Fence | undefined {
    return this.#fences.find((fence) => fence.board === board && openedAt < fence.until);
  }

  #pin(read: OpenRead, values: readonly BlockValue[], where: string): string | null {
    const block = this.#block(read.block);
    // A write that began meanwhile may show.
    if ((block.writes.at(-1)?.number ?? 0) !== read.newest) return null;
    const text = values.map(({ write, attempt }) => `${write}.${attempt}`).join("+");
    const before = block.pinned;
    block.pinned = text;
    if (before === null || before === text) return null;
    if (!(read.isSettled && block.isSettled) || this.mayDiffer(read.block)) {
      this.counts.changes += 1;
      return null;
    }
    return `${where}: ${text}, though ${before} was read at rest`;
  }

  #block(block: number): Block {
    const state = this.#blocks[block];
    assert(state !== undefined, `there is no block ${block}`);
    return state;
  }

  #write(block: number, number: number): Write {
    const write = this.#block(block).writes.find((other) => other.number === number);
    assert(write !== undefined, `block ${block} has no write ${number}`);
    return write;
  }
}

const newestAcknowledged = (writes: readonly Write[]): Write | undefined =>
  writes.findLast(({ state }) => state === "acknowledged");
