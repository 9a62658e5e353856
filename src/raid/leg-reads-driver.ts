/**
 * Reads of one I/O worker: each extent from the leg that read-balance.ts picks; a leg that cannot
 * be read is passed over and reported once another one has answered. What no single leg can give
 * is put together from small pieces of several; so is, where copies may differ, what the first copy
 * has but for a spot: a larger read must not show another copy than a smaller one.
 * Source: drivers/md/raid1.c raid1_read_request, handle_read_error.
 */

import type { BlockDevice } from "../hal/block-device.ts";
import type { Extent } from "./array-map.ts";
import type { LegHandles } from "./leg-handles-driver.ts";
import type { IoLink } from "./leg-reports.ts";
import { type LegChoice, ReadBalance } from "./read-balance.ts";
import type { SharedArrayState } from "./shared-state.ts";
import { IO_EIO, IO_OK, type IoCompletion } from "./write-request.ts";

/** Pieces that a read falls apart into when no leg has all of it. Source: raid1.c, 4 KiB. */
const PIECE_BYTES = 4096;

/** A leg that could not be read. */
export interface Tried {
  readonly leg: number;
  readonly message: string;
}

const NOTHING_TRIED: readonly Tried[] = [];

const messageOf = (error: unknown): string =>
  error instanceof Error ? error.message : String(error);

export class LegReads {
  readonly #state: SharedArrayState;
  readonly #legs: LegHandles;
  readonly #link: IoLink;
  readonly #balance: ReadBalance;

  constructor(state: SharedArrayState, legs: LegHandles, link: IoLink) {
    this.#state = state;
    this.#legs = legs;
    this.#link = link;
    this.#balance = new ReadBalance(state, (leg) => legs.device(leg)?.sync != null);
  }

  /**
   * Reads at once if a mirror's leg can be: null. Else what was tried in vain, for `read` to go on
   * from.
   */
  readNow(target: Uint8Array, offset: number): readonly Tried[] | null {
    if (!this.#state.map.isMirror) return NOTHING_TRIED;
    const leg = this.#balance.quickLeg(offset, target.length);
    const sync = leg < 0 ? null : (this.#legs.device(leg)?.sync ?? null);
    if (sync === null) return NOTHING_TRIED;
    try {
      sync.read(target, this.#legs.position(leg, offset));
      return null;
    } catch (error) {
      return [{ leg, message: messageOf(error) }];
    }
  }

  /** `tried`: what `readNow` gave for a mirror. */
  read(target: Uint8Array, offset: number, tried: readonly Tried[], complete: IoCompletion): void {
    const { map } = this.#state;
    if (map.isMirror) return this.#from(target, offset, null, tried, complete);
    const extents = map.extents(offset, target.length);
    let open = extents.length;
    let worst = IO_OK;
    if (open === 0) return complete(IO_OK);
    const done: IoCompletion = (errno) => {
      if (errno !== IO_OK) worst = errno;
      open--;
      if (open === 0) complete(worst);
    };
    for (const extent of extents) {
      const from = extent.offset - offset;
      const part = target.subarray(from, from + extent.length);
      this.#from(part, extent.offset, extent, NOTHING_TRIED, done);
    }
  }

  /** Reads one extent (null: a mirror's, at the array's own offset) from the best leg untried. */
  #from(
    target: Uint8Array,
    offset: number,
    extent: Extent | null,
    tried: readonly Tried[],
    complete: IoCompletion,
  ): void {
    const skip = tried === NOTHING_TRIED ? null : (leg: number) => tried.some((t) => t.leg === leg);
    const choice = this.#balance.choose(offset, target.length, extent, skip);
    const device = choice === null ? null : this.#legs.device(choice.leg);
    const isWhole = target.length > PIECE_BYTES;
    const lacksSpot = tried.length > 0 || this.#balance.isHeldBack;
    if (choice === null || device === null || (isWhole && lacksSpot && this.#balance.isOrdered)) {
      if (isWhole && lacksSpot) return this.#inPieces(target, offset, 0, complete);
      return complete(IO_EIO);
    }
    const position = this.#legs.position(choice.leg, choice.position);
    const { sync } = device;
    if (sync === null)
      return this.#slowly(device, choice, position, target, offset, extent, tried, complete);
    try {
      sync.read(target, position);
    } catch (error) {
      const failed = { leg: choice.leg, message: messageOf(error) };
      return this.#from(target, offset, extent, [...tried, failed], complete);
    }
    this.#done(target, offset, tried, complete);
  }

  #slowly(
    device: BlockDevice,
    choice: LegChoice,
    position: number,
    target: Uint8Array,
    offset: number,
    extent: Extent | null,
    tried: readonly Tried[],
    complete: IoCompletion,
  ): void {
    // The choice object is used again by the next one.
    const { leg } = choice;
    this.#legs.use(leg);
    device.read(target, position).then(
      () => {
        this.#legs.free(leg);
        this.#done(target, offset, tried, complete);
      },
      (error: unknown) => {
        this.#legs.free(leg);
        const failed = { leg, message: messageOf(error) };
        this.#from(target, offset, extent, [...tried, failed], complete);
      },
    );
  }

  /** One piece after the other, each from whichever leg has it; ends at the first that none has. */
  #inPieces(target: Uint8Array, offset: number, from: number, complete: IoCompletion): void {
    const upTo = Math.min(
      (Math.floor((offset + from) / PIECE_BYTES) + 1) * PIECE_BYTES - offset,
      target.length,
    );
    this.read(target.subarray(from, upTo), offset + from, NOTHING_TRIED, (errno) => {
      if (errno !== IO_OK || upTo === target.length) return complete(errno);
      queueMicrotask(() => this.#inPieces(target, offset, upTo, complete));
    });
  }

  #done(target: Uint8Array, offset: number, tried: readonly Tried[], complete: IoCompletion): void {
    for (const { leg, message } of tried) this.#link.readError(leg, offset, target.length, message);
    complete(IO_OK);
  }
}
