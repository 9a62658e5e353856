/**
 * The memory that a thread and the kernel share for io_uring, and where in it things lie.
 * Source: io_uring_setup(2); include/uapi/linux/io_uring.h, struct io_uring_params.
 */

import type { NativeLibrary } from "./native-library.ts";

/** The same on every machine there is a pinned Node.js for. */
const SYS_IO_URING_SETUP = 425;
const IORING_OFF_SQ_RING = 0;
const IORING_OFF_SQES = 0x10000000;
/** One mapping holds both rings: Linux 5.4. */
const IORING_FEAT_SINGLE_MMAP = 1;
const PROT_READ_WRITE = 3;
const MAP_SHARED_POPULATE = 0x8001;
const MAP_FAILED = -1n;

const PARAMS_BYTES = 120;
const SQE_BYTES = 64;
const CQE_BYTES = 16;
/** Offsets in struct io_uring_params. */
const FEATURES = 20;
const SQ_OFFSETS = 40;
const CQ_OFFSETS = 80;

/** A ring's memory. Indices count words of 32 bits in `words`. */
export interface MappedRing {
  readonly fd: number;
  readonly words: Int32Array;
  readonly submissionTail: number;
  readonly submissionMask: number;
  readonly submissionArray: number;
  /** Submission queue entries, 16 words each. */
  readonly entries: Uint32Array;
  readonly completionHead: number;
  readonly completionTail: number;
  readonly completionMask: number;
  /** The first completion queue entry, 4 words each. */
  readonly completions: number;
  /** Gives everything back; nothing above may be touched AFTER. */
  readonly unmap: () => void;
}

/** A ring of `entries`; null where the kernel has none, an old one, or does not let us. */
export const mapRing = (library: NativeLibrary, entries: number): MappedRing | null => {
  const { program } = library;
  const setup = program.func("int64_t syscall(int64_t number, uint32_t entries, void *params)");
  const mmap = program.func(
    "intptr_t mmap(intptr_t at, size_t length, int protection, int flags, int fd, int64_t offset)",
  );
  const munmap = program.func("int munmap(intptr_t at, size_t length)");
  // Not Node's: it warns when a thread closes what it has not seen opened.
  const close = program.func("int close(int fd)");
  const params = new Uint8Array(PARAMS_BYTES);
  const fd = Number(setup(SYS_IO_URING_SETUP, entries, params));
  if (fd < 0) return null;
  const view = new DataView(params.buffer);
  const at = (offset: number): number => view.getUint32(offset, true);
  if ((at(FEATURES) & IORING_FEAT_SINGLE_MMAP) === 0) {
    close(fd);
    return null;
  }
  const submissions = at(SQ_OFFSETS + 24) + at(0) * 4;
  const ringBytes = Math.max(submissions, at(CQ_OFFSETS + 20) + at(4) * CQE_BYTES);
  const entryBytes = at(0) * SQE_BYTES;
  const map = (length: number, offset: number): bigint =>
    BigInt(mmap(0, length, PROT_READ_WRITE, MAP_SHARED_POPULATE, fd, offset));
  const ringAt = map(ringBytes, IORING_OFF_SQ_RING);
  const entriesAt = map(entryBytes, IORING_OFF_SQES);
  const unmap = (): void => {
    if (ringAt !== MAP_FAILED) munmap(ringAt, ringBytes);
    if (entriesAt !== MAP_FAILED) munmap(entriesAt, entryBytes);
    close(fd);
  };
  if (ringAt === MAP_FAILED || entriesAt === MAP_FAILED) {
    unmap();
    return null;
  }
  const words = new Int32Array(library.view(ringAt, ringBytes));
  return {
    fd,
    words,
    submissionTail: at(SQ_OFFSETS + 4) / 4,
    submissionMask: words[at(SQ_OFFSETS + 8) / 4] ?? 0,
    submissionArray: at(SQ_OFFSETS + 24) / 4,
    entries: new Uint32Array(library.view(entriesAt, entryBytes)),
    completionHead: at(CQ_OFFSETS) / 4,
    completionTail: at(CQ_OFFSETS + 4) / 4,
    completionMask: words[at(CQ_OFFSETS + 8) / 4] ?? 0,
    completions: at(CQ_OFFSETS + 20) / 4,
    unmap,
  };
};
