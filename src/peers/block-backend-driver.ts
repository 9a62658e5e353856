/**
 * A disk as the NBD server's back end, for one connection of a peer. Each request asks for its
 * permission in the very turn in which it is given to the device, and is counted there until the
 * device has answered. Reads are answered from the page cache where they can be; writes never hold
 * the thread: it also keeps the board in its cluster, and a drive that hangs must not end that.
 */
import { CodedError } from "../common/errors.ts";
import type { BlockDevice } from "../hal/block-device.ts";
import { NBD_STATE_HOLE, NBD_STATE_ZERO } from "../nbd/constants.ts";
import {
  type Completion,
  type ExportBackend,
  type ExtentsCompletion,
  type MetadataContext,
  NBD_EIO,
  NBD_ENOSPC,
  NBD_ENOTSUP,
  NBD_ESHUTDOWN,
} from "../nbd/export-backend.ts";
import { ExtentList } from "../nbd/extent-list.ts";
import type { Permission } from "./fence-ledger.ts";

/** Whether the connection's requests may reach the device. */
export interface RequestPermit {
  /** Right BEFORE a request is given to the device, in the same turn. `go` counts it there. */
  begin(): Permission;
  /** A request that was let go has ended. */
  end(): void;
  /** After the answer `wait`: calls once when it may be another one. */
  park(again: () => void): void;
}

/** Durable writes up to this length go to the device as one call. Choice: superblocks, journals. */
const DURABLE_BYTES_MAX = 64 * 1024;
/** Ranges are zeroed in pieces that meet at multiples of this, each with its own permission. */
const ZERO_PIECE_BYTES = 32 * 1024 * 1024;

export class BlockBackend implements ExportBackend {
  readonly sizeBytes: number;
  readonly readOnly: boolean;
  readonly #device: BlockDevice;
  readonly #permit: RequestPermit;

  constructor(device: BlockDevice, permit: RequestPermit, options: { readonly readOnly: boolean }) {
    this.#device = device;
    this.#permit = permit;
    this.sizeBytes = device.sizeBytes;
    this.readOnly = options.readOnly || device.readOnly;
  }

  read(target: Uint8Array, offset: number, complete: Completion): void {
    const device = this.#device;
    this.#submit(() => {
      const isDone = device.sync?.read(target, offset) ?? false;
      return isDone ? null : device.read(target, offset);
    }, complete);
  }

  write(source: readonly Uint8Array[], offset: number, fua: boolean, complete: Completion): void {
    this.#submit(
      () => (fua ? this.#writeDurable(source, offset) : this.#device.write(source, offset)),
      complete,
    );
  }

  flush(complete: Completion): void {
    this.#submit(() => this.#device.flush(), complete);
  }

  /** The range reads as zeroes afterwards where the disk gives space back; else nothing is done. */
  trim(offset: number, lengthBytes: number, fua: boolean, complete: Completion): void {
    if (this.#device.punches) this.#zero(offset, lengthBytes, { mayUnmap: true, fua }, complete);
    else if (fua) this.flush(complete);
    else complete(0);
  }

  writeZeroes(
    offset: number,
    lengthBytes: number,
    options: { readonly fua: boolean; readonly mayPunch: boolean; readonly fast: boolean },
    complete: Completion,
  ): void {
    const { fua, mayPunch, fast } = options;
    const isFast = (mayPunch && this.#device.punches) || this.#device.zeroesFast;
    if (fast && !isFast) complete(NBD_ENOTSUP);
    else this.#zero(offset, lengthBytes, { mayUnmap: mayPunch, fua }, complete);
  }

  /** Peers have no use for the hint. */
  cache(_offset: number, _lengthBytes: number, complete: Completion): void {
    complete(0);
  }

  blockStatus(
    context: MetadataContext,
    offset: number,
    lengthBytes: number,
    extentsMax: number,
    complete: ExtentsCompletion,
  ): void {
    // A disk has no bitmap of its own.
    if (context !== "base:allocation") return complete(0, [{ lengthBytes, flags: 0 }]);
    const extents = new ExtentList(extentsMax);
    this.#submit(
      async () => {
        for (const run of await this.#device.allocation(offset, lengthBytes)) {
          const flags = run.isHole ? NBD_STATE_HOLE | NBD_STATE_ZERO : 0;
          if (!extents.add(run.length, flags)) return;
        }
      },
      (errno) => complete(errno, errno === 0 ? extents.list : []),
    );
  }

  /** One piece after the other; the flush after the last one covers them all. */
  #zero(
    offset: number,
    lengthBytes: number,
    options: { readonly mayUnmap: boolean; readonly fua: boolean },
    complete: Completion,
  ): void {
    const end = offset + lengthBytes;
    const step = (at: number): void => {
      const length = Math.min(ZERO_PIECE_BYTES - (at % ZERO_PIECE_BYTES), end - at);
      const isLast = at + length === end;
      const act = async (): Promise<void> => {
        await this.#device.zero(at, length, options.mayUnmap);
        if (options.fua && isLast) await this.#device.flush();
      };
      this.#submit(act, (errno) => {
        if (errno !== 0 || isLast) complete(errno);
        else step(at + length);
      });
    };
    step(offset);
  }

  async #writeDurable(source: readonly Uint8Array[], offset: number): Promise<void> {
    const length = source.reduce((sum, piece) => sum + piece.length, 0);
    if (length <= DURABLE_BYTES_MAX && this.#device.writeDurable !== undefined) {
      const [only] = source;
      const whole = source.length === 1 && only !== undefined ? only : Buffer.concat(source);
      const written = this.#device.writeDurable(whole, offset);
      if (written !== null) return written;
    }
    await this.#device.write(source, offset);
    await this.#device.flush();
  }

  /** `act` begins in this turn, or when the permission is there; null: it is done. */
  #submit(act: () => Promise<void> | null, complete: Completion): void {
    const permission = this.#permit.begin();
    if (permission === "never") return complete(NBD_ESHUTDOWN);
    if (permission === "wait") return this.#permit.park(() => this.#submit(act, complete));
    const ended = (errno: number): void => {
      this.#permit.end();
      complete(errno);
    };
    let running: Promise<void> | null;
    try {
      running = act();
    } catch (error) {
      return ended(errnoOf(error));
    }
    if (running === null) return ended(0);
    running.then(
      () => ended(0),
      (error: unknown) => ended(errnoOf(error)),
    );
  }
}

/** Throws what no device may answer. */
const errnoOf = (error: unknown): number => {
  if (!(error instanceof CodedError)) throw error;
  return error.code === "HAL_NO_SPACE" ? NBD_ENOSPC : NBD_EIO;
};
