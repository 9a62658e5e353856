/**
 * The native reads and writes of this thread, shared by all its files: made with the first handle,
 * given back with the last. Without the native library files are used through Node alone.
 */

import { AlignedBuffers } from "./aligned-buffers.ts";
import { BesideWrites } from "./beside-writes.ts";
import { IoRing } from "./io-ring.ts";
import { loadNativeLibrary, type NativeLibrary } from "./native-library.ts";
import { ReadyReads } from "./ready-reads.ts";

export class NativeIo {
  readonly ready: ReadyReads;
  /** Memory that direct I/O takes. */
  readonly buffers: AlignedBuffers;
  /** Long writes that a thread of the kernel makes. */
  readonly beside = new BesideWrites(() => this.ring);
  readonly #library: NativeLibrary;
  #ring: IoRing | null | undefined;
  #users = 0;

  constructor(library: NativeLibrary) {
    this.#library = library;
    this.ready = new ReadyReads(library);
    this.buffers = new AlignedBuffers(library);
  }

  /** The ring, made with the first call that asks for it; null where there is none. */
  get ring(): IoRing | null {
    if (this.#ring === undefined) this.#ring = IoRing.make(this.#library);
    return this.#ring;
  }

  /** One more handle uses it. */
  use(): this {
    this.#users += 1;
    return this;
  }

  /** A handle is closed. AFTER its last call ended. */
  release(): void {
    this.#users -= 1;
    if (this.#users > 0) return;
    this.#ring?.close();
    this.#ring = undefined;
  }
}

let shared: Promise<NativeIo | null> | undefined;

/** Those of this thread; null where the library cannot be loaded. Never rejects. */
export const loadNativeIo = (): Promise<NativeIo | null> => {
  shared ??= loadNativeLibrary().then((library) =>
    library === null ? null : new NativeIo(library),
  );
  return shared;
};
