/**
 * Reads and writes that the kernel carries out while the thread goes on: io_uring, one ring per
 * thread. All that a turn of the event loop asks for goes to the kernel in one call. What ends soon
 * is met by the loop itself, which turns for a moment without sleeping; for what takes longer one
 * thread of Node's pool waits. Cold reads cost a tenth of what the same reads cost on the threads
 * of the pool (3 us of CPU instead of 28, Linux 6.18, ext4, measured).
 * Source: io_uring(7), io_uring_setup(2), io_uring_enter(2).
 */

// Imported: Node looks the global up anew, through a getter, at every use.
import { performance } from "node:perf_hooks";
import { assert } from "../../common/assert.ts";
import type { NativeLibrary } from "./native-library.ts";
import { type MappedRing, mapRing } from "./ring-memory.ts";

/** Calls under way at once. Choice: two clients at their full depth; more wait or go elsewhere. */
const ENTRIES = 256;
/** Source: include/uapi/linux/io_uring.h. */
const OPCODES = { read: 22, write: 23 } as const;
/** In the second byte of an entry: a kernel thread carries it out, whatever it needs. */
const IOSQE_ASYNC = 1 << (4 + 8);
const IORING_ENTER_GETEVENTS = 1;
const SYS_IO_URING_ENTER = 426;
/** Source: asm-generic/errno-base.h. */
const EINTR = 4;
const EAGAIN = 11;
const EBUSY = 16;

const SQE_WORDS = 16;
const CQE_WORDS = 4;
const WORD = 2 ** 32;

/**
 * The loop turns for so long after the last end before a thread of the pool waits instead: waking
 * two threads costs as much as a quick drive takes. Milliseconds. Choice: twice what such a drive
 * takes under load.
 */
const SPIN_MS = 0.2;
/** After turning in vain it is left out, at first once, then twice as often each time, at most: */
const SPINS_LEFT_OUT_MAX = 64;

/** What a ring does with a buffer. */
export type RingCall = keyof typeof OPCODES;
/** The result of a call that the kernel did not take: nothing was done. Source: ECANCELED. */
export const NOT_TAKEN = -125;
/** Gets how many bytes were moved, or minus an errno, or NOT_TAKEN. */
export type RingDone = (result: number) => void;

interface Slot {
  /** Kept, so that the memory stays while the kernel uses it. */
  buffer: Uint8Array | null;
  done: RingDone | null;
}

export class IoRing {
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
  #isSpinning = false;
  #spinUntil = 0;
  /** Spins to leave out, and how many there were to leave out after the last one in vain. */
  #spinsLeftOut = 0;
  #spinsToLeaveOut = 0;
  readonly #spin = (): void => this.#turn();
  #isBroken = false;
  #isClosed = false;
  #isUnmapped = false;

  private constructor(library: NativeLibrary, ring: MappedRing) {
    this.#library = library;
    this.#ring = ring;
    this.#enter = library.program.func(
      "int64_t syscall(int64_t number, int fd, uint32_t submit, uint32_t least, " +
        "uint32_t flags, intptr_t signals, size_t size)",
    );
    this.#slots = Array.from({ length: ENTRIES }, () => ({ buffer: null, done: null }));
    this.#free = Array.from({ length: ENTRIES }, (_, slot) => slot);
  }

  /** A ring of this thread; null where the kernel has none or does not let us. */
  static make(library: NativeLibrary): IoRing | null {
    const ring = mapRing(library, ENTRIES);
    return ring === null ? null : new IoRing(library, ring);
  }

  /**
   * Starts a call on `buffer`, which is the ring's until `done` is called, never before this
   * returns. `flags`: RWF_*. `isBeside`: the kernel does it on another thread, from `submitNow` on,
   * also what it could do at once. False when there is no room: nothing was started.
   */
  start(
    call: RingCall,
    fd: number,
    buffer: Uint8Array,
    offset: number,
    done: RingDone,
    flags = 0,
    isBeside = false,
  ): boolean {
    if (this.#isBroken || this.#isClosed) return false;
    const slot = this.#free.pop();
    if (slot === undefined) return false;
    const taken = this.#slots[slot];
    assert(taken !== undefined, "a ring has a slot for each entry");
    taken.buffer = buffer;
    taken.done = done;
    const { words, submissionTail, submissionMask, submissionArray, entries } = this.#ring;
    const tail = words[submissionTail] ?? 0;
    const index = tail & submissionMask;
    const at = index * SQE_WORDS;
    const address = this.#library.addressOf(buffer.buffer) + buffer.byteOffset;
    entries.fill(0, at, at + SQE_WORDS);
    entries[at] = OPCODES[call] | (isBeside ? IOSQE_ASYNC : 0);
    entries[at + 1] = fd;
    entries[at + 2] = offset % WORD;
    entries[at + 3] = Math.floor(offset / WORD);
    entries[at + 4] = address % WORD;
    entries[at + 5] = Math.floor(address / WORD);
    entries[at + 6] = buffer.length;
    entries[at + 7] = flags;
    entries[at + 8] = slot;
    words[submissionArray + index] = index;
    Atomics.store(words, submissionTail, (tail + 1) | 0);
    this.#queued += 1;
    this.#submitSoon();
    return true;
  }

  /** Gives what was started to the kernel now, not at the end of the turn. */
  submitNow(): void {
    if (!this.#isBroken && !this.#isClosed) this.#submit();
  }

  /** Takes no more calls, and gives the memory back once the last one has ended. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#unmapWhenIdle();
  }

  #unmapWhenIdle(): void {
    if (!this.#isClosed || this.#isWaiting || this.#free.length < ENTRIES) return;
    this.#isUnmapped = true;
    this.#ring.unmap();
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
      return this.#break();
    }
  }

  /** The kernel takes no more: what it did not take ends, and nobody asks the ring again. */
  #break(): void {
    this.#isBroken = true;
    const { words, entries, submissionTail, submissionMask } = this.#ring;
    const tail = words[submissionTail] ?? 0;
    const queued = this.#queued;
    this.#queued = 0;
    for (let back = queued; back > 0; back--) {
      const index = (tail - back) & submissionMask;
      this.#end(entries[index * SQE_WORDS + 8] ?? 0, NOT_TAKEN);
    }
  }

  /** Ends the calls whose completions the kernel has written; true if there were any. */
  #reap(): boolean {
    let hasEnded = false;
    const { words, completionHead, completionTail, completionMask, completions } = this.#ring;
    for (;;) {
      const head = words[completionHead] ?? 0;
      if (head === Atomics.load(words, completionTail)) return hasEnded;
      const at = completions + (head & completionMask) * CQE_WORDS;
      const slot = words[at] ?? 0;
      const result = words[at + 2] ?? 0;
      Atomics.store(words, completionHead, (head + 1) | 0);
      this.#end(slot, result);
      hasEnded = true;
    }
  }

  #end(slot: number, result: number): void {
    const taken = this.#slots[slot];
    assert(taken !== undefined && taken.done !== null, "a ring ended a call that nobody began");
    const { done } = taken;
    taken.buffer = null;
    taken.done = null;
    this.#free.push(slot);
    done(result);
  }

  get #isIdle(): boolean {
    return this.#free.length + this.#queued === ENTRIES;
  }

  /** Sees to it that ends are met, while anything is under way. */
  #wait(): void {
    if (this.#isWaiting || this.#isSpinning || this.#isIdle) return;
    if (this.#spinsLeftOut > 0) {
      this.#spinsLeftOut -= 1;
      return this.#waitInPool();
    }
    this.#isSpinning = true;
    this.#spinUntil = performance.now() + SPIN_MS;
    setImmediate(this.#spin);
  }

  #turn(): void {
    if (this.#isUnmapped) return;
    const hasEnded = this.#reap();
    const now = performance.now();
    if (hasEnded) {
      this.#spinsToLeaveOut = 0;
      this.#spinUntil = now + SPIN_MS;
    }
    if (!this.#isIdle && now < this.#spinUntil) {
      setImmediate(this.#spin);
      return;
    }
    this.#isSpinning = false;
    if (this.#isIdle) return this.#unmapWhenIdle();
    this.#spinsToLeaveOut = Math.min(2 * this.#spinsToLeaveOut + 1, SPINS_LEFT_OUT_MAX);
    this.#spinsLeftOut = this.#spinsToLeaveOut;
    this.#waitInPool();
  }

  /** A thread of the pool waits until something ends. */
  #waitInPool(): void {
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
