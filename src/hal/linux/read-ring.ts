/**
 * Reads that the kernel carries out while the thread goes on: io_uring, one ring per thread. All
 * reads that a turn of the event loop asks for go to the kernel in one call, and one thread of
 * Node's pool waits for whichever ends first. Cold reads cost a tenth of what the same reads cost
 * on the threads of the pool (3 us of CPU instead of 28, Linux 6.18, ext4, measured).
 * Source: io_uring(7), io_uring_setup(2), io_uring_enter(2).
 */

import { assert } from "../../common/assert.ts";
import type { NativeLibrary } from "./native-library.ts";
import { type MappedRing, mapRing } from "./ring-memory.ts";

/** Reads under way at once. Choice: two clients at their full depth; more wait or go elsewhere. */
const ENTRIES = 256;
/** Source: include/uapi/linux/io_uring.h. */
const IORING_OP_READ = 22;
const IORING_ENTER_GETEVENTS = 1;
const SYS_IO_URING_ENTER = 426;
/** Source: asm-generic/errno-base.h. */
const EINTR = 4;
const EAGAIN = 11;
const EBUSY = 16;

const SQE_WORDS = 16;
const CQE_WORDS = 4;
const WORD = 2 ** 32;

/** Gets how many bytes were read, or minus an errno. */
export type RingDone = (result: number) => void;

interface Slot {
  /** Kept, so that the memory stays while the kernel writes there. */
  target: Uint8Array | null;
  done: RingDone | null;
}

export class ReadRing {
  readonly #library: NativeLibrary;
  readonly #ring: MappedRing;
  readonly #enter: {
    (...args: readonly number[]): number;
    async: (...args: readonly unknown[]) => void;
  };
  readonly #slots: Slot[];
  readonly #free: number[];
  /** Filled in and not yet taken by the kernel. */
  #queued = 0;
  #isSubmitDue = false;
  #isWaiting = false;
  #isBroken = false;
  #isClosed = false;

  private constructor(library: NativeLibrary, ring: MappedRing) {
    this.#library = library;
    this.#ring = ring;
    this.#enter = library.program.func(
      "int64_t syscall(int64_t number, int fd, uint32_t submit, uint32_t least, " +
        "uint32_t flags, intptr_t signals, size_t size)",
    );
    this.#slots = Array.from({ length: ENTRIES }, () => ({ target: null, done: null }));
    this.#free = Array.from({ length: ENTRIES }, (_, slot) => slot);
  }

  /** A ring of this thread; null where the kernel has none or does not let us. */
  static make(library: NativeLibrary): ReadRing | null {
    const ring = mapRing(library, ENTRIES);
    return ring === null ? null : new ReadRing(library, ring);
  }

  /**
   * Starts to read into `target`, which is the ring's until `done` is called, never before this
   * returns. False when there is no room: nothing was started.
   */
  read(fd: number, target: Uint8Array, offset: number, done: RingDone): boolean {
    if (this.#isBroken || this.#isClosed) return false;
    const slot = this.#free.pop();
    if (slot === undefined) return false;
    const taken = this.#slots[slot];
    assert(taken !== undefined, "a ring has a slot for each entry");
    taken.target = target;
    taken.done = done;
    const { words, submissionTail, submissionMask, submissionArray, entries } = this.#ring;
    const tail = words[submissionTail] ?? 0;
    const index = tail & submissionMask;
    const at = index * SQE_WORDS;
    const address = this.#library.addressOf(target.buffer) + target.byteOffset;
    entries.fill(0, at, at + SQE_WORDS);
    entries[at] = IORING_OP_READ;
    entries[at + 1] = fd;
    entries[at + 2] = offset % WORD;
    entries[at + 3] = Math.floor(offset / WORD);
    entries[at + 4] = address % WORD;
    entries[at + 5] = Math.floor(address / WORD);
    entries[at + 6] = target.length;
    entries[at + 8] = slot;
    words[submissionArray + index] = index;
    Atomics.store(words, submissionTail, (tail + 1) | 0);
    this.#queued += 1;
    this.#submitSoon();
    return true;
  }

  /** Takes no more reads, and gives the memory back once the last one has ended. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#unmapWhenIdle();
  }

  #unmapWhenIdle(): void {
    if (this.#isClosed && !this.#isWaiting && this.#free.length === ENTRIES) this.#ring.unmap();
  }

  /** One call for all that the turn asks for. */
  #submitSoon(): void {
    if (this.#isSubmitDue) return;
    this.#isSubmitDue = true;
    queueMicrotask(() => {
      this.#isSubmitDue = false;
      this.#submit();
      // While a thread waits, what it would wait for must not be taken from under its eyes.
      if (!this.#isWaiting) this.#reap();
      this.#wait();
    });
  }

  #submit(): void {
    while (this.#queued > 0) {
      const taken = this.#enter(SYS_IO_URING_ENTER, this.#ring.fd, this.#queued, 0, 0, 0, 0);
      if (taken > 0) {
        this.#queued -= taken;
        continue;
      }
      const errno = taken < 0 ? this.#library.errno() : EAGAIN;
      if (errno === EINTR) continue;
      // The kernel is short of something: what is queued goes with the next call.
      if (errno === EAGAIN || errno === EBUSY) {
        setImmediate(() => this.#submitSoon());
        return;
      }
      return this.#break(errno);
    }
  }

  /** The kernel takes no more: what it did not take ends, and nobody asks the ring again. */
  #break(errno: number): void {
    this.#isBroken = true;
    const { words, entries, submissionTail, submissionMask } = this.#ring;
    const tail = words[submissionTail] ?? 0;
    const queued = this.#queued;
    this.#queued = 0;
    for (let back = queued; back > 0; back--) {
      const index = (tail - back) & submissionMask;
      this.#end(entries[index * SQE_WORDS + 8] ?? 0, -errno);
    }
  }

  /** Ends the reads whose completions the kernel has written. */
  #reap(): void {
    const { words, completionHead, completionTail, completionMask, completions } = this.#ring;
    for (;;) {
      const head = words[completionHead] ?? 0;
      if (head === Atomics.load(words, completionTail)) return;
      const at = completions + (head & completionMask) * CQE_WORDS;
      const slot = words[at] ?? 0;
      const result = words[at + 2] ?? 0;
      Atomics.store(words, completionHead, (head + 1) | 0);
      this.#end(slot, result);
    }
  }

  #end(slot: number, result: number): void {
    const taken = this.#slots[slot];
    assert(taken !== undefined && taken.done !== null, "a ring ended a read that nobody began");
    const { done } = taken;
    taken.target = null;
    taken.done = null;
    this.#free.push(slot);
    done(result);
  }

  /** Lets a thread of the pool wait until something ends, while anything is under way. */
  #wait(): void {
    const isIdle = this.#free.length + this.#queued === ENTRIES;
    if (this.#isWaiting || isIdle) return;
    this.#isWaiting = true;
    const { fd } = this.#ring;
    const done = (): void => {
      this.#isWaiting = false;
      this.#reap();
      this.#wait();
      this.#unmapWhenIdle();
    };
    this.#enter.async(SYS_IO_URING_ENTER, fd, 0, 1, IORING_ENTER_GETEVENTS, 0, 0, done);
  }
}
