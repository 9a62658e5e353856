/**
 * The C library of this process through `koffi`, a native addon. The product does without when the
 * addon cannot be loaded: whoever uses it says what is lost then.
 */

import type { LibraryHandle } from "koffi";

/**
 * Calls of one thread under way at once; one more throws. Choice: far above what the handles of a
 * thread let through together, each a few.
 */
const CALLS_MAX = 4096;

export interface NativeLibrary {
  /** Functions of this process, by their C prototypes. */
  readonly program: LibraryHandle;
  /** The errno of the last synchronous call that failed. */
  readonly errno: () => number;
  /** `length` bytes of memory that is not Node's, as long as whoever made it keeps it. */
  readonly view: (pointer: unknown, length: number) => ArrayBuffer;
  /**
   * Where a buffer lies in memory. It stays there as long as something refers to it, which is the
   * duty of whoever gives the address to the kernel.
   */
  readonly addressOf: (buffer: ArrayBufferLike) => number;
  /** Bytes of a page of this kernel. */
  readonly pageBytes: number;
}

/** Kept on the buffer itself: a weak map of a million short-lived buffers outgrows its table. */
const ADDRESS = Symbol("address");

async function load(): Promise<NativeLibrary> {
  const { default: koffi } = await import("koffi");
  koffi.config({ max_async_calls: CALLS_MAX });
  const program = koffi.load(null);
  // Returns its first argument: the address of the array that is passed.
  const memmove = program.func("uintptr_t memmove(void *to, void *from, size_t length)");
  const addressOf = (buffer: ArrayBufferLike & { [ADDRESS]?: number }): number => {
    const known = buffer[ADDRESS];
    if (known !== undefined) return known;
    const bytes = new Uint8Array(buffer);
    const address = Number(memmove(bytes, bytes, 0));
    buffer[ADDRESS] = address;
    return address;
  };
  const pageBytes = Number(program.func("int getpagesize()")());
  return { program, errno: () => koffi.errno(), view: koffi.view, addressOf, pageBytes };
}

let loaded: Promise<NativeLibrary | null> | undefined;

/** The library, loaded once per thread (10 ms); null where it cannot be. Never rejects. */
export const loadNativeLibrary = (): Promise<NativeLibrary | null> => {
  loaded ??= load().catch(() => null);
  return loaded;
};
