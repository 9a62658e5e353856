/**
 * Memory for replies. A slab is one large array in which the replies of a batch lie one behind the
 * other, header and data, so that a batch goes to the socket as one piece and no reply needs an
 * array of its own. Slabs are shared by the connections of a server through a pool.
 */

/** Allocates without a promise about the content; replies overwrite it before it is sent. */
export type AllocateBytes = (size: number) => Uint8Array;

/** Holds a read of 1 MiB with its header, and batches of smaller ones. */
export const SLAB_BYTES = 1024 * 1024 + 64 * 1024;
/** Slabs kept for later use; more are left to the garbage collector. */
const IDLE_SLABS_MAX = 8;

export class Slab {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  /** First byte that no reply uses. */
  cursor = 0;
  /** Replies placed and not yet sent or given up, a run of adjacent ready ones counted once. */
  references = 0;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }
}

export class SlabPool {
  readonly #allocate: AllocateBytes;
  readonly #idle: Slab[] = [];

  constructor(allocate: AllocateBytes) {
    this.#allocate = allocate;
  }

  /** A slab with room for `size` bytes; an oversize one is made for this use only. */
  take(size: number): Slab {
    if (size > SLAB_BYTES) return new Slab(this.#allocate(size));
    return this.#idle.pop() ?? new Slab(this.#allocate(SLAB_BYTES));
  }

  /** Takes back a slab that nothing refers to, neither a back end nor a socket. */
  give(slab: Slab): void {
    if (slab.bytes.length !== SLAB_BYTES || this.#idle.length >= IDLE_SLABS_MAX) return;
    slab.cursor = 0;
    this.#idle.push(slab);
  }
}
