/** The life of one client write inside an I/O worker, and what it writes to which leg. */

import { slicePieces } from "../common/pieces.ts";
import type { ArrayMap, Extent } from "./array-map.ts";
import type { BadRange } from "./bad-block-table.ts";
import {
  LEG_IN_SYNC,
  LEG_REBUILDING,
  LEG_WRITE_ERROR,
  type SharedArrayState,
} from "./shared-state.ts";

/** Linux errno values the I/O path reports, equal to NBD's. */
export const IO_OK = 0;
export const IO_EPERM = 1;
export const IO_EIO = 5;
export const IO_ESHUTDOWN = 108;

export type IoCompletion = (errno: number) => void;

/** Bytes to write, or a range to zero. */
export type WriteContent =
  | { readonly type: "data"; readonly pieces: readonly Uint8Array[] }
  /** `mayUnmap`: the members may give the space back. */
  | { readonly type: "zero"; readonly mayUnmap: boolean };

/** One I/O on one leg, on behalf of a write request. */
export interface LegWrite {
  readonly leg: number;
  readonly isInSync: boolean;
  /** Bytes behind the leg's data offset. */
  readonly position: number;
  length: number;
  /** The data; empty when zeroing. */
  readonly pieces: Uint8Array[];
  /** Indices of the request's extents that it stores whole. */
  readonly extents: number[];
  /** Bad blocks under it: a success makes them good. */
  readonly heals: boolean;
}

/** A leg write that failed, or that made bad blocks good: recorded BEFORE the acknowledgement. */
export interface LegReport {
  readonly write: LegWrite;
  readonly message: string;
}

/** What a write still has to do. One object per write, reused through all its steps. */
export interface WriteRequest {
  /** Place in the order of arrival at its worker. */
  readonly order: number;
  readonly content: WriteContent;
  readonly offset: number;
  readonly length: number;
  readonly fua: boolean;
  readonly complete: IoCompletion;
  /** Bitmap chunks [firstChunk, lastChunk] it touches. */
  readonly firstChunk: number;
  readonly lastChunk: number;
  readonly extents: readonly Extent[];
  /** In-sync legs that took each extent. */
  readonly written: number[];
  /** Leg writes under way. */
  legsPending: number;
  failures: LegReport[];
  healed: LegReport[];
  /** A failure could not be recorded: what succeeded elsewhere counts for nothing. */
  isUnrecorded: boolean;
  /**
   * While it waited for a failure to be recorded, or for a flush that then failed, another node
   * began to resync there, by a copy that may lack it: it is written again before it is
   * acknowledged.
   */
  isOvertaken: boolean;
}

export const makeWriteRequest = (
  content: WriteContent,
  place: { readonly offset: number; readonly length: number },
  fua: boolean,
  state: SharedArrayState,
  complete: IoCompletion,
  order = 0,
): WriteRequest => {
  const { offset, length } = place;
  const { chunkBytes } = state.shape;
  const extents = state.map.isMirror
    ? [{ offset, length, places: [] }]
    : state.map.extents(offset, length);
  return {
    order,
    content,
    offset,
    length,
    fua,
    complete,
    firstChunk: Math.floor(offset / chunkBytes),
    lastChunk: Math.floor((offset + Math.max(length, 1) - 1) / chunkBytes),
    extents,
    written: extents.map(() => 0),
    legsPending: 0,
    failures: [],
    healed: [],
    isUnrecorded: false,
    isOvertaken: false,
  };
};

/** As if no leg had been written yet. */
export const forgetLegs = (request: WriteRequest): void => {
  request.written.fill(0);
  request.failures = [];
  request.healed = [];
  request.isOvertaken = false;
};

/** True when the two writes share a byte. */
export const writesOverlap = (a: WriteRequest, b: WriteRequest): boolean =>
  a.offset < b.offset + b.length && b.offset < a.offset + a.length;

/** True when every extent is on an in-sync leg, and every failure is recorded. */
export const isWritten = (request: WriteRequest): boolean =>
  !request.isUnrecorded && request.written.every((count) => count > 0);

/**
 * What the request writes on each leg that is in sync or being rebuilt, neighbours merged. `seen`:
 * the state of each leg as it was when the write was permitted. Bad blocks of a leg that failed a
 * write are left out; elsewhere a write may make them good.
 * Source: drivers/md/raid1.c raid1_write_request; raid10.c raid10_write_request.
 */
export const planLegWrites = (
  state: SharedArrayState,
  request: WriteRequest,
  seen: Int32Array,
): LegWrite[] => {
  const { map } = state;
  const plan = new LegWritePlan(state, request);
  for (const [index, extent] of request.extents.entries()) {
    if (map.isMirror) {
      for (let leg = 0; leg < seen.length; leg++)
        plan.add(leg, seen[leg] ?? 0, index, extent.offset);
      continue;
    }
    for (const { slot, position } of extent.places) {
      plan.add(slot, seen[slot] ?? 0, index, position);
      const beside = slot + map.raidSlots;
      plan.add(beside, seen[beside] ?? 0, index, position);
    }
  }
  return plan.writes;
};

class LegWritePlan {
  readonly writes: LegWrite[] = [];
  readonly #state: SharedArrayState;
  readonly #request: WriteRequest;

  constructor(state: SharedArrayState, request: WriteRequest) {
    this.#state = state;
    this.#request = request;
  }

  add(leg: number, legState: number, index: number, position: number): void {
    if (legState !== LEG_IN_SYNC && legState !== LEG_REBUILDING) return;
    const isInSync = legState === LEG_IN_SYNC;
    const { content, extents, offset } = this.#request;
    const extent = extents[index];
    if (extent === undefined) return;
    const { length } = extent;
    const from = extent.offset - offset;
    const slice = (at: number, bytes: number): Uint8Array[] =>
      content.type === "zero" ? [] : slicePieces(content.pieces, from + at, bytes);
    const bad = this.#state.badBlocks(leg).within(position, length);
    if (bad.length === 0) {
      if (this.#extend(leg, index, position, length, slice)) return;
      const pieces =
        content.type === "data" && extents.length === 1 ? [...content.pieces] : slice(0, length);
      this.writes.push({ leg, isInSync, position, length, pieces, extents: [index], heals: false });
      return;
    }
    if ((this.#state.flags(leg) & LEG_WRITE_ERROR) === 0) {
      const pieces = slice(0, length);
      this.writes.push({ leg, isInSync, position, length, pieces, extents: [index], heals: true });
      return;
    }
    for (const [start, end] of goodParts(bad, position, length)) {
      const pieces = slice(start - position, end - start);
      const part = { leg, isInSync, position: start, length: end - start, pieces };
      this.writes.push({ ...part, extents: [], heals: false });
    }
  }

  /** Appends the extent to the write of the leg that ends where it begins, if there is one. */
  #extend(
    leg: number,
    index: number,
    position: number,
    length: number,
    slice: (at: number, bytes: number) => Uint8Array[],
  ): boolean {
    if (this.#request.extents.length === 1) return false;
    const before = this.writes.findLast(
      (write) => write.leg === leg && write.position + write.length === position,
    );
    if (before === undefined || before.heals || before.extents.length === 0) return false;
    before.length += length;
    before.pieces.push(...slice(0, length));
    before.extents.push(index);
    return true;
  }
}

const goodParts = (bad: readonly BadRange[], from: number, length: number): BadRange[] => {
  const parts: BadRange[] = [];
  let at = from;
  for (const [start, end] of bad) {
    if (start > at) parts.push([at, start]);
    at = Math.max(at, end);
  }
  if (at < from + length) parts.push([at, from + length]);
  return parts;
};

/** Extents of a leg write that touch none of these ranges of the leg. */
export const extentsOutside = (
  map: ArrayMap,
  request: WriteRequest,
  write: LegWrite,
  ranges: readonly BadRange[],
): number[] =>
  write.extents.filter((index) => {
    const extent = request.extents[index];
    if (extent === undefined) return false;
    const slot = write.leg % map.raidSlots;
    const position = map.isMirror
      ? extent.offset
      : (extent.places.find((place) => place.slot === slot)?.position ?? 0);
    return !ranges.some(([from, to]) => from < position + extent.length && position < to);
  });
