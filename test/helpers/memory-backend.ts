/**
 * A back end for the NBD server that keeps its content in memory, so that the protocol can be tried
 * without an array. It knows which bytes were written, which it tells as extents, and it can be
 * made slow, or made to fail.
 */
import type {
  BlockExtent,
  Completion,
  ExportBackend,
  ExportDirectory,
  ExportEntry,
  ExportNotice,
  ExtentsCompletion,
  MetadataContext,
} from "../../src/nbd/export-backend.ts";
import { NBD_ENOTSUP } from "../../src/nbd/export-backend.ts";

/** Extents are told in runs of this many bytes. */
const GRAIN_BYTES = 4096;
const HOLE_AND_ZERO = 3;
const DIRTY = 1;

export interface MemoryOptions {
  readonly sizeBytes: number;
  readonly readOnly?: boolean;
  /** `soon`: completes in the next turn of the event loop; `held`: when `release` is called. */
  readonly pace?: "at-once" | "soon" | "held";
  /** Error number of a call, 0 for none; asked before the call is carried out. */
  readonly fault?: (call: string, offset: number) => number;
}

export class MemoryBackend implements ExportBackend {
  readonly sizeBytes: number;
  readonly readOnly: boolean;
  readonly content: Uint8Array;
  /** The calls in order, as `write 0+512 fua`; for tests of a few requests. */
  readonly calls: string[] = [];
  #pace: "at-once" | "soon" | "held";
  readonly #fault: (call: string, offset: number) => number;
  readonly #allocated: Uint8Array;
  readonly #held: (() => void)[] = [];

  constructor(options: MemoryOptions) {
    this.sizeBytes = options.sizeBytes;
    this.readOnly = options.readOnly ?? false;
    this.content = new Uint8Array(options.sizeBytes);
    this.#pace = options.pace ?? "at-once";
    this.#fault = options.fault ?? (() => 0);
    this.#allocated = new Uint8Array(Math.ceil(options.sizeBytes / GRAIN_BYTES));
  }

  /** Calls held back now. */
  get heldCalls(): number {
    return this.#held.length;
  }

  /** Completes the held calls, oldest first, at most `count`. */
  release(count = Number.POSITIVE_INFINITY): void {
    for (const call of this.#held.splice(0, Math.min(count, this.#held.length))) call();
  }

  setPace(pace: "at-once" | "soon" | "held"): void {
    this.#pace = pace;
  }

  read(target: Uint8Array, offset: number, complete: Completion): void {
    this.#run("read", offset, target.length, "", complete, () => {
      target.set(this.content.subarray(offset, offset + target.length));
    });
  }

  write(source: readonly Uint8Array[], offset: number, fua: boolean, complete: Completion): void {
    const length = source.reduce((sum, piece) => sum + piece.length, 0);
    this.#run("write", offset, length, fua ? " fua" : "", complete, () => {
      let at = offset;
      for (const piece of source) {
        this.content.set(piece, at);
        at += piece.length;
      }
      this.#mark(offset, length, 1);
    });
  }

  flush(complete: Completion): void {
    this.#run("flush", 0, 0, "", complete, () => undefined);
  }

  trim(offset: number, lengthBytes: number, fua: boolean, complete: Completion): void {
    this.#run("trim", offset, lengthBytes, fua ? " fua" : "", complete, () => {
      this.#clear(offset, lengthBytes);
    });
  }

  writeZeroes(
    offset: number,
    lengthBytes: number,
    options: { readonly fua: boolean; readonly mayPunch: boolean; readonly fast: boolean },
    complete: Completion,
  ): void {
    const flags = `${options.fua ? " fua" : ""}${options.mayPunch ? " punch" : ""}`;
    if (options.fast && !options.mayPunch) {
      complete(NBD_ENOTSUP);
      return;
    }
    this.#run("zeroes", offset, lengthBytes, flags, complete, () => {
      this.content.fill(0, offset, offset + lengthBytes);
      if (options.mayPunch) this.#clear(offset, lengthBytes);
      else this.#mark(offset, lengthBytes, 1);
    });
  }

  cache(offset: number, lengthBytes: number, complete: Completion): void {
    this.#run("cache", offset, lengthBytes, "", complete, () => undefined);
  }

  /** Allocated grains are told as dirty too: the context's plumbing is what is tried here. */
  blockStatus(
    context: MetadataContext,
    offset: number,
    lengthBytes: number,
    extentsMax: number,
    complete: ExtentsCompletion,
  ): void {
    let extents: readonly BlockExtent[] = [];
    const finish: Completion = (errno) => complete(errno, extents);
    this.#run(`status of ${context}`, offset, lengthBytes, "", finish, () => {
      extents = this.#extents(context, offset, lengthBytes, extentsMax);
    });
  }

  #extents(
    context: MetadataContext,
    offset: number,
    lengthBytes: number,
    extentsMax: number,
  ): readonly BlockExtent[] {
    const extents: { lengthBytes: number; flags: number }[] = [];
    const end = offset + lengthBytes;
    for (let at = offset; at < end; ) {
      const next = Math.min(end, (Math.floor(at / GRAIN_BYTES) + 1) * GRAIN_BYTES);
      const isAllocated = this.#allocated[Math.floor(at / GRAIN_BYTES)] === 1;
      const flags = flagsOf(context, isAllocated);
      const last = extents.at(-1);
      if (last?.flags === flags) last.lengthBytes += next - at;
      else if (extents.length === extentsMax) break;
      else extents.push({ lengthBytes: next - at, flags });
      at = next;
    }
    return extents;
  }

  #run(
    call: string,
    offset: number,
    lengthBytes: number,
    suffix: string,
    complete: Completion,
    action: () => void,
  ): void {
    if (this.calls.length < 1000) this.calls.push(`${call} ${offset}+${lengthBytes}${suffix}`);
    const finish = (): void => {
      const errno = this.#fault(call, offset);
      if (errno === 0) action();
      complete(errno);
    };
    if (this.#pace === "at-once") finish();
    else if (this.#pace === "soon") setImmediate(finish);
    else this.#held.push(finish);
  }

  #clear(offset: number, lengthBytes: number): void {
    this.content.fill(0, offset, offset + lengthBytes);
    const first = Math.ceil(offset / GRAIN_BYTES);
    this.#allocated.fill(
      0,
      first,
      Math.max(first, Math.floor((offset + lengthBytes) / GRAIN_BYTES)),
    );
  }

  #mark(offset: number, lengthBytes: number, value: number): void {
    const end = Math.ceil((offset + lengthBytes) / GRAIN_BYTES);
    this.#allocated.fill(value, Math.floor(offset / GRAIN_BYTES), end);
  }
}

/** An export over `backend` with ordinary block sizes; fields can be replaced. */
export function exportEntry(
  backend: ExportBackend,
  replaced: Partial<ExportEntry> = {},
): ExportEntry {
  return {
    name: "md0",
    description: "",
    tlsRequired: false,
    minimumBlock: 1,
    preferredBlock: 4096,
    maximumPayload: 32 * 1024 * 1024,
    contexts: ["base:allocation", "satsuma:dirty"],
    backend,
    ...replaced,
  };
}

/** A directory of `entries`; "" finds the only one. The array may be changed afterwards. */
export function directoryOf(
  entries: readonly ExportEntry[],
  coming: readonly ExportNotice[] = [],
): ExportDirectory {
  return {
    list: () => [...entries, ...coming],
    isComing: (name) => coming.some((notice) => notice.name === name),
    find: (name) => {
      if (name === "" && entries.length === 1) return entries[0] ?? null;
      return entries.find((entry) => entry.name === name) ?? null;
    },
  };
}

function flagsOf(context: MetadataContext, isAllocated: boolean): number {
  if (context === "satsuma:dirty") return isAllocated ? DIRTY : 0;
  return isAllocated ? 0 : HOLE_AND_ZERO;
}
