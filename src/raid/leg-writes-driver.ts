/**
 * Puts one write request on its legs, and settles what failed: a leg with a bad-block list is
 * tried again in small pieces (zeroes as data) and the ones that fail are noted in its list; any
 * other leg is recorded faulty. Nothing is acknowledged before the array thread has recorded it.
 * Source: drivers/md/raid1.c narrow_write_error, handle_write_finished.
 */

import type { BlockDevice, SyncCalls } from "../hal/block-device.ts";
import type { BadRange } from "./bad-block-table.ts";
import type { LegHandles } from "./leg-handles-driver.ts";
import type { LegReports } from "./leg-reports.ts";
import { narrowWrite } from "./narrow-write-driver.ts";
import {
  LEG_FAILFAST,
  LEG_IN_SYNC,
  LEG_NOTES_BAD_BLOCKS,
  LEG_REBUILDING,
  RUN_BROKEN,
  type SharedArrayState,
} from "./shared-state.ts";
import {
  extentsOutside,
  type LegReport,
  type LegWrite,
  planLegWrites,
  type WriteContent,
  type WriteRequest,
} from "./write-request.ts";

/**
 * A leg's part of a write that is worth another core. Choice: at 64 KiB waking one costs more than
 * it saves (docs/performance.md).
 */
const BESIDE_BYTES = 256 * 1024;

const messageOf = (error: unknown): string =>
  error instanceof Error ? error.message : String(error);

/** Told when every leg has answered. */
export type LegsDone = (request: WriteRequest) => void;

const isWrittenTo = (legState: number | undefined): boolean =>
  legState === LEG_IN_SYNC || legState === LEG_REBUILDING;

export class LegWrites {
  readonly #state: SharedArrayState;
  readonly #legs: LegHandles;
  readonly #reports: LegReports;
  /** The synchronous calls of each leg that a plain write goes to, else null. */
  readonly #calls: (SyncCalls | null)[] = [];

  constructor(state: SharedArrayState, legs: LegHandles, reports: LegReports) {
    this.#state = state;
    this.#legs = legs;
    this.#reports = reports;
  }

  /**
   * Writes every leg that `seen` calls in sync or rebuilding. A leg that is blocked from here on
   * is written all the same: skipping it takes a record. Returns true when all have answered
   * already, else `done` runs once they have.
   */
  write(request: WriteRequest, seen: Int32Array, done: LegsDone): boolean {
    const isLong = request.length >= BESIDE_BYTES;
    if (!isLong && this.#isPlain(request, seen)) return this.#writePlain(request, seen);
    const plan = planLegWrites(this.#state, request, seen);
    for (const [index, write] of plan.entries()) {
      const device = this.#legs.device(write.leg);
      if (device === null) {
        request.failures.push({ write, message: "not open in this thread" });
        continue;
      }
      const sync = request.content.type === "data" ? device.sync : null;
      if (sync === null) {
        this.#writeSlowly(request, device, write, done);
        continue;
      }
      try {
        // The last one is this thread's own.
        const isBeside = index < plan.length - 1 && this.#beginBeside(request, device, write, done);
        if (isBeside) continue;
        sync.write(write.pieces, this.#legs.position(write.leg, write.position));
        took(request, write);
      } catch (error) {
        request.failures.push({ write, message: messageOf(error) });
      }
    }
    return request.legsPending === 0;
  }

  /** True when a long write was begun on another core. Throws the errors of `write`. */
  #beginBeside(
    request: WriteRequest,
    device: BlockDevice,
    write: LegWrite,
    done: LegsDone,
  ): boolean {
    if (write.length < BESIDE_BYTES) return false;
    const position = this.#legs.position(write.leg, write.position);
    const written = device.writeBeside?.(write.pieces, position) ?? null;
    if (written === null) return false;
    this.#await(request, write, written, done);
    return true;
  }

  /** True for data of a mirror whose legs all answer at once and have no bad blocks. */
  #isPlain(request: WriteRequest, seen: Int32Array): boolean {
    if (!this.#state.map.isMirror || request.content.type !== "data") return false;
    for (let leg = 0; leg < seen.length; leg++) {
      this.#calls[leg] = null;
      if (!isWrittenTo(seen[leg])) continue;
      const sync = this.#legs.device(leg)?.sync ?? null;
      if (sync === null || this.#state.badBlocks(leg).count > 0) return false;
      this.#calls[leg] = sync;
    }
    return true;
  }

  /** What `write` does in the common case, without a plan. AFTER `#isPlain` found the calls. */
  #writePlain(request: WriteRequest, seen: Int32Array): boolean {
    const { content, offset, length, written } = request;
    const pieces = content.type === "data" ? content.pieces : [];
    for (let leg = 0; leg < seen.length; leg++) {
      const calls = this.#calls[leg] ?? null;
      if (calls === null) continue;
      const isInSync = seen[leg] === LEG_IN_SYNC;
      try {
        calls.write(pieces, this.#legs.position(leg, offset));
        if (isInSync) written[0] = (written[0] ?? 0) + 1;
      } catch (error) {
        const place = { leg, isInSync, position: offset, length };
        const write = { ...place, pieces: [...pieces], extents: [0], heals: false };
        request.failures.push({ write, message: messageOf(error) });
      }
    }
    return true;
  }

  #writeSlowly(request: WriteRequest, device: BlockDevice, write: LegWrite, done: LegsDone): void {
    const position = this.#legs.position(write.leg, write.position);
    this.#await(request, write, put(device, request.content, write, position), done);
  }

  #await(request: WriteRequest, write: LegWrite, written: Promise<void>, done: LegsDone): void {
    request.legsPending++;
    this.#legs.use(write.leg);
    const settle = () => {
      this.#legs.free(write.leg);
      request.legsPending--;
      if (request.legsPending === 0) done(request);
    };
    written.then(
      () => {
        took(request, write);
        settle();
      },
      (error: unknown) => {
        request.failures.push({ write, message: messageOf(error) });
        settle();
      },
    );
  }

  /**
   * AFTER all legs have answered; `then` runs once every failure is dealt with, `retried` whenever
   * a leg is no longer tried again.
   */
  settle(request: WriteRequest, retried: () => void, then: () => void): void {
    const reports = [...request.failures, ...request.healed];
    let open = reports.length;
    const settled = (isRecorded: boolean): void => {
      if (!isRecorded || this.#state.run === RUN_BROKEN) request.isUnrecorded = true;
      open--;
      if (open === 0) then();
    };
    for (const { write, message } of request.healed) {
      const range: BadRange = [write.position, write.position + write.length];
      this.#reports.send(write.leg, "healed", message, [range], range, settled);
    }
    for (const failure of request.failures) this.#settleFailure(request, failure, retried, settled);
  }

  #settleFailure(
    request: WriteRequest,
    failure: LegReport,
    retried: () => void,
    settled: (isRecorded: boolean) => void,
  ): void {
    const { write, message } = failure;
    const flags = this.#state.flags(write.leg);
    const span: BadRange = [write.position, write.position + write.length];
    const mayNote = (flags & LEG_NOTES_BAD_BLOCKS) !== 0 && (flags & LEG_FAILFAST) === 0;
    if (!mayNote || this.#legs.device(write.leg) === null)
      return this.#reports.send(write.leg, "write", message, null, span, settled);
    request.legsPending++;
    void this.#retry(write, request.content).then((ranges) => {
      request.legsPending--;
      retried();
      if (ranges !== null && write.isInSync) {
        for (const index of extentsOutside(this.#state.map, request, write, ranges))
          request.written[index] = (request.written[index] ?? 0) + 1;
      }
      this.#reports.send(write.leg, "write", message, ranges, span, settled);
    });
  }

  async #retry(write: LegWrite, content: WriteContent): Promise<readonly BadRange[] | null> {
    const { leg, position, length } = write;
    const pieces = content.type === "zero" ? null : write.pieces;
    this.#legs.use(leg);
    const dataOffset = this.#legs.position(leg, 0);
    const device = () => this.#legs.device(leg);
    const ranges = await narrowWrite({ device, dataOffset, position, length, pieces });
    this.#legs.free(leg);
    return ranges;
  }
}

const put = (
  device: BlockDevice,
  content: WriteContent,
  write: LegWrite,
  position: number,
): Promise<void> =>
  content.type === "zero"
    ? device.zero(position, write.length, content.mayUnmap)
    : device.write(write.pieces, position);

const took = (request: WriteRequest, write: LegWrite): void => {
  if (write.heals) request.healed.push({ write, message: "written" });
  if (!write.isInSync) return;
  for (const index of write.extents) request.written[index] = (request.written[index] ?? 0) + 1;
};
