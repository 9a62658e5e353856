/**
 * The native reads of this thread, shared by all its files: made with the first handle, given back
 * with the last. Without the native library files are read through Node alone.
 */

import { loadNativeLibrary, type NativeLibrary } from "./native-library.ts";
import { ReadRing } from "./read-ring.ts";
import { ReadyReads } from "./ready-reads.ts";

export class NativeReads {
  readonly ready: ReadyReads;
  readonly #library: NativeLibrary;
  #ring: ReadRing | null | undefined;
  #users = 0;

  constructor(library: NativeLibrary) {
    this.#library = library;
    this.ready = new ReadyReads(library);
  }

  /** The ring, made with the first read that asks for it; null where there is none. */
  get ring(): ReadRing | null {
    if (this.#ring === undefined) this.#ring = ReadRing.make(this.#library);
    return this.#ring;
  }

  /** One more handle uses it. */
  use(): this {
    this.#users += 1;
    return this;
  }

  /** A handle is closed. AFTER its last read ended. */
  release(): void {
    this.#users -= 1;
    if (this.#users > 0) return;
    this.#ring?.close();
    this.#ring = undefined;
  }
}

let shared: Promise<NativeReads | null> | undefined;

/** The reads of this thread; null where the library cannot be loaded. Never rejects. */
export const loadNativeReads = (): Promise<NativeReads | null> => {
  shared ??= loadNativeLibrary().then((library) =>
    library === null ? null : new NativeReads(library),
  );
  return shared;
};
