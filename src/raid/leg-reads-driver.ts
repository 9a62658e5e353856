/**
 * Reads of one I/O worker: each extent from the leg that read-balance.ts picks; a leg that cannot
 * be read is passed over and reported once another one has answered, and where a leg does not
 * answer soon another one is asked as well: the first answer counts. What no single leg can give
 * is put together from small pieces of several; so is, where copies may differ, what the first copy
 * has but for a spot: a larger read must not show another copy than a smaller one.
 * Source: drivers/md/raid1.c raid1_read_request, handle_read_error.
 */

import type { BlockDevice } from "../hal/block-device.ts";
import type { Extent } from "./array-map.ts";
import type { IoClock } from "./io-gate-driver.ts";
import { type AwaitedRead, LateReads } from "./late-reads-driver.ts";
import type { LegHandles } from "./leg-handles-driver.ts";
import type { IoLink } from "./leg-reports.ts";
import { type LegChoice, ReadBalance } from "./read-balance.ts";
import { ReadBuffers } from "./read-buffers.ts";
import type { SharedArrayState } from "./shared-state.ts";
import { IO_EIO, IO_OK, type IoCompletion } from "./write-request.ts";

/** Pieces that a read falls apart into when no leg has all of it. Source: raid1.c, 4 KiB. */
const PIECE_BYTES = 4096;

interface Tried {
  readonly leg: number;
  readonly message: string;
}

/** A read that waits for a leg, or for two of them. */
interface SlowRead extends AwaitedRead {
  readonly target: Uint8Array;
  readonly offset: number;
  readonly extent: Extent | null;
  readonly complete: IoCompletion;
  /** The leg asked first. */
  readonly leg: number;
  tried: readonly Tried[];
  /** Legs that have not answered. */
  open: number;
  isOver: boolean;
}

const NOTHING_TRIED: readonly Tried[] = [];

const messageOf = (error: unknown): string =>
  error instanceof Error ? error.message : String(error);

export class LegReads {
  readonly #state: SharedArrayState;
  readonly #legs: LegHandles;
  readonly #link: IoLink;
  readonly #balance: ReadBalance;
  readonly #buffers = new ReadBuffers();
  readonly #late: LateReads<SlowRead>;
  /** The leg that `readNow` looked at last, -1 for none, and why it could not be read. */
  #looked = -1;
  #lookedError: string | null = null;

  constructor(state: SharedArrayState, legs: LegHandles, link: IoLink, clock: IoClock) {
    this.#state = state;
    this.#legs = legs;
    this.#link = link;
    this.#late = new LateReads(clock, (read) => this.#askAnother(read));
    this.#balance = new ReadBalance(
      state,
      (leg) => legs.device(leg)?.sync != null,
      (leg) => legs.device(leg)?.isSilent === true,
    );
  }

  /** True when it could be read at once, the common case of a mirror; else `read` does it. */
  readNow(target: Uint8Array, offset: number): boolean {
    this.#looked = -1;
    this.#lookedError = null;
    if (!this.#state.map.isMirror) return false;
    const leg = this.#balance.quickLeg(offset, target.length);
    const sync = leg < 0 ? null : (this.#legs.device(leg)?.sync ?? null);
    if (sync === null) return false;
    this.#looked = leg;
    try {
      return sync.read(target, this.#legs.position(leg, offset));
    } catch (error) {
      this.#lookedError = messageOf(error);
      return false;
    }
  }

  /** Right AFTER `readNow` of the same range gave false. */
  read(target: Uint8Array, offset: number, complete: IoCompletion): void {
    const { map } = this.#state;
    if (!map.isMirror) return this.#readExtents(target, offset, complete);
    const leg = this.#looked;
    const message = this.#lookedError;
    const device = this.#legs.device(leg);
    if (message !== null) this.#from(target, offset, null, [{ leg, message }], complete);
    else if (device === null) this.#from(target, offset, null, NOTHING_TRIED, complete);
    else
      this.#slowly(
        device,
        { leg, position: offset },
        target,
        offset,
        null,
        NOTHING_TRIED,
        complete,
      );
  }

  #readExtents(target: Uint8Array, offset: number, complete: IoCompletion): void {
    const extents = this.#state.map.extents(offset, target.length);
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
    let isDone = false;
    try {
      const position = this.#legs.position(choice.leg, choice.position);
      isDone = device.sync?.read(target, position) ?? false;
    } catch (error) {
      const failed = { leg: choice.leg, message: messageOf(error) };
      return this.#from(target, offset, extent, [...tried, failed], complete);
    }
    if (isDone) this.#done(target, offset, tried, complete);
    else this.#slowly(device, choice, target, offset, extent, tried, complete);
  }

  #slowly(
    device: BlockDevice,
    choice: LegChoice,
    target: Uint8Array,
    offset: number,
    extent: Extent | null,
    tried: readonly Tried[],
    complete: IoCompletion,
  ): void {
    // The choice object is used again by the next one.
    const { leg, position } = choice;
    const since = this.#late.now;
    const rest = { tried, open: 0, isOver: false };
    const read: SlowRead = { since, target, offset, extent, complete, leg, ...rest };
    this.#late.add(read);
    this.#ask(read, device, leg, position);
  }

  #ask(read: SlowRead, device: BlockDevice, leg: number, position: number): void {
    this.#legs.use(leg);
    read.open++;
    // A leg that is given up, or late, may still fill the buffer it was asked with: never the
    // client's own, which is theirs again once the read is answered.
    const own = this.#buffers.take(read.target.length);
    device.read(own, this.#legs.position(leg, position)).then(
      () => {
        if (!read.isOver) read.target.set(own);
        this.#buffers.give(own);
        this.#legs.free(leg);
        if (read.isOver) return;
        this.#end(read);
        this.#done(read.target, read.offset, read.tried, read.complete);
      },
      (error: unknown) => {
        this.#legs.free(leg);
        this.#failed(read, { leg, message: messageOf(error) });
      },
    );
  }

  #failed(read: SlowRead, failed: Tried): void {
    const { target, offset, extent, complete } = read;
    read.open--;
    // Another leg has answered: only the error is left to tell.
    if (read.isOver) return this.#link.readError(failed.leg, offset, target.length, failed.message);
    read.tried = [...read.tried, failed];
    if (read.open > 0) return;
    this.#end(read);
    this.#from(target, offset, extent, read.tried, complete);
  }

  #end(read: SlowRead): void {
    read.isOver = true;
    this.#late.delete(read);
  }

  /** A late one is asked of another leg, too, unless the copies may differ there. */
  #askAnother(read: SlowRead): void {
    const { target, offset, extent, tried } = read;
    const skip = (leg: number) => leg === read.leg || tried.some((one) => one.leg === leg);
    const choice = this.#balance.choose(offset, target.length, extent, skip);
    if (choice === null || this.#balance.isOrdered) return;
    const device = this.#legs.device(choice.leg);
    if (device !== null) this.#ask(read, device, choice.leg, choice.position);
  }

  /** One piece after the other, each from whichever leg has it; ends at the first that none has. */
  #inPieces(target: Uint8Array, offset: number, from: number, complete: IoCompletion): void {
    const upTo = Math.min(
      (Math.floor((offset + from) / PIECE_BYTES) + 1) * PIECE_BYTES - offset,
      target.length,
    );
    const done: IoCompletion = (errno) => {
      if (errno !== IO_OK || upTo === target.length) return complete(errno);
      queueMicrotask(() => this.#inPieces(target, offset, upTo, complete));
    };
    const piece = target.subarray(from, upTo);
    if (this.readNow(piece, offset + from)) done(IO_OK);
    else this.read(piece, offset + from, done);
  }

  #done(target: Uint8Array, offset: number, tried: readonly Tried[], complete: IoCompletion): void {
    for (const { leg, message } of tried) this.#link.readError(leg, offset, target.length, message);
    complete(IO_OK);
  }
}
