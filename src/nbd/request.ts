/**
 * One request between its header and its reply. Requests are reused: each has its completion
 * function made once, so that dispatching one allocates nothing.
 */
import { assert } from "../common/assert.ts";
import type { BlockExtent, Completion } from "./export-backend.ts";
import type { InputBlock } from "./input-block.ts";
import type { Slab } from "./reply-slab.ts";
import type { RequestFields } from "./request-codec.ts";
import type { Refusal } from "./request-rules.ts";

const NO_EXTENTS: readonly (readonly BlockExtent[])[] = [];

/** Told when the back end has completed a request. */
export interface RequestOwner {
  onRequestDone(request: NbdRequest, errno: number): void;
}

export class NbdRequest implements RequestFields {
  flags = 0;
  command = 0;
  cookieHigh = 0;
  cookieLow = 0;
  offset = 0;
  lengthBytes = 0;
  /** When it was received, in milliseconds of the connection's clock. */
  startedAt = 0;
  /** Where the data of a read goes: its slab and the position of the reply in it. */
  slab: Slab | null = null;
  placedAt = 0;
  /** Why a write is refused once its payload has been skipped. */
  refusal: Refusal | null = null;
  /** The extents that answer BLOCK_STATUS, one list per metadata context of the session. */
  extents: readonly (readonly BlockExtent[])[] = NO_EXTENTS;
  /** The payload of a write. */
  readonly pieces: Uint8Array[] = [];
  /** The blocks that the pieces lie in. */
  readonly blocks: InputBlock[] = [];
  /** Given to the back end; called exactly once per dispatch. */
  readonly complete: Completion;
  #withBackend = false;

  constructor(owner: RequestOwner) {
    this.complete = (errno) => {
      assert(this.#withBackend, "the back end completed a request twice");
      this.#withBackend = false;
      owner.onRequestDone(this, errno);
    };
  }

  /** BEFORE the back end gets it. */
  handToBackend(): void {
    this.#withBackend = true;
  }

  /** Lets go of the memory of the last use. */
  reset(): void {
    this.slab = null;
    this.refusal = null;
    this.extents = NO_EXTENTS;
    if (this.pieces.length === 0) return;
    this.pieces.length = 0;
    for (const block of this.blocks) block.release();
    this.blocks.length = 0;
  }
}
