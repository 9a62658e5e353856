/**
 * Carries out one copy plan of a sync action or read repair on the array thread: takes the
 * regions, reads, compares, writes, gives the regions back. Reports failures per member; deciding
 * what they mean is the machine's business.
 */

import type { BlockDevice } from "../hal/block-device.ts";
import type { ArrayRange, CopyExtent, CopyPlace, CopyPlan, CopyResult } from "./array-messages.ts";
import { joinRanges } from "./bad-block-list.ts";
import type { BadRange } from "./bad-block-table.ts";
import { CopyComparison } from "./copy-compare.ts";
import { narrowWrite } from "./narrow-write-driver.ts";
import { REGION_BYTES, type RegionLocks } from "./region-lock.ts";
import type { WaitForRegion } from "./region-wait-driver.ts";

/** What no source has whole is read in pieces of this size. Source: raid1.c, 4 KiB. */
const PIECE_BYTES = 4096;
/** Extents whose regions are held together. Choice: a raid10 stripe of 1 MiB on eight members. */
const SPAN_BYTES = 8 * REGION_BYTES;
/**
 * A member is written in steps of this size. Choice, measured on ext4: from the cache, steps of
 * 256 KiB cost a quarter of the speed; with nothing cached those of 1 MiB cost half of it, for the
 * kernel allocates one folio as large for each.
 */
const WRITE_BYTES = 512 * 1024;
/** A resync looks at so much of a copy before it reads the rest of it. Choice: one readahead. */
const PROBE_BYTES = 64 * 1024;
/** Choice: four plans under way, each on four members. */
const BUFFERS_KEPT = 16;

export interface CopyContext {
  /**
   * The member's handle on this thread and where its data starts, or null when it is gone or
   * failing; asked anew each time, with the regions held.
   */
  member(id: number): { readonly device: BlockDevice; readonly dataOffset: number } | null;
  /**
   * The member has bad blocks in `[position, position + length)` of its data; asked with the
   * regions held, for a write that had them before may have noted some AFTER the plan was made.
   */
  isBad(id: number, position: number, length: number): boolean;
  /**
   * Every member was given up, and this node leaves its cluster: no region is waited for. Writes
   * that hold one are answered when the node is out, and it goes out AFTER its copies have ended.
   */
  hasGivenUp(): boolean;
  readonly locks: RegionLocks;
  readonly waitForRegion: WaitForRegion;
  readonly buffers: CopyBuffers;
}

const messageOf = (error: unknown): string =>
  error instanceof Error ? error.message : String(error);

/** Buffers of finished pieces, for the next ones: a sync action would litter the heap otherwise. */
export class CopyBuffers {
  readonly #free: Uint8Array[] = [];
  #isRetired = false;

  /** Keeps nothing from now on: a call that was given up may still write into a buffer. */
  retire(): void {
    this.#isRetired = true;
    this.#free.length = 0;
  }

  take(length: number): Uint8Array {
    if (length < REGION_BYTES / 8) return new Uint8Array(length);
    const buffer = this.#free.pop() ?? new Uint8Array(REGION_BYTES);
    return buffer.length >= length ? buffer.subarray(0, length) : new Uint8Array(length);
  }

  give(buffer: Uint8Array): void {
    const whole = buffer.buffer;
    if (whole.byteLength !== REGION_BYTES || this.#isRetired) return;
    if (this.#free.length >= BUFFERS_KEPT) return;
    this.#free.push(new Uint8Array(whole));
  }
}

class Copy {
  readonly #mode: CopyPlan["mode"];
  readonly #context: CopyContext;
  readonly #taken: Uint8Array[] = [];
  readonly #unreadable: ArrayRange[] = [];
  #readFailed: CopyResult["readFailed"][number][] = [];
  readonly #writeFailed: CopyResult["writeFailed"][number][] = [];
  readonly #mismatches: ArrayRange[] = [];
  #mismatchedBytes = 0;
  #writtenBytes = 0;

  constructor(mode: CopyPlan["mode"], context: CopyContext) {
    this.#mode = mode;
    this.#context = context;
  }

  get result(): CopyResult {
    return {
      unreadable: this.#unreadable,
      readFailed: this.#readFailed,
      writeFailed: this.#writeFailed,
      mismatches: this.#mismatches,
      mismatchedBytes: this.#mismatchedBytes,
      writtenBytes: this.#writtenBytes,
    };
  }

  /** Gives the buffers back. AFTER every read and write is done. */
  end(): void {
    for (const buffer of this.#taken.splice(0)) this.#context.buffers.give(buffer);
  }

  /** Brings one extent in line, piece by piece where no source has all of it. */
  async extent(extent: CopyExtent): Promise<void> {
    if (await this.#whole(extent)) return;
    const { offset, length } = extent;
    for (let at = 0; at < length; at += PIECE_BYTES) {
      const piece = partOf(extent, at, Math.min(PIECE_BYTES, length - at));
      const isRead = length > PIECE_BYTES && (await this.#whole(piece));
      if (!isRead) this.#unreadable.push({ offset: offset + at, length: piece.length });
    }
  }

  /** Nothing of it is read or written. */
  passOver({ offset, length }: CopyExtent): void {
    this.#unreadable.push({ offset, length });
  }

  /** False when no source could be read. */
  #whole(extent: CopyExtent): Promise<boolean> {
    switch (this.#mode) {
      case "copy":
        return this.#copy(extent);
      case "rewrite":
        return this.#rewrite(extent);
      case "sync":
        return this.#sync(extent);
      case "check":
      case "repair":
        return this.#compare(extent);
    }
  }

  /** A buffer that `end` gives back. */
  #take(length: number): Uint8Array {
    const buffer = this.#context.buffers.take(length);
    this.#taken.push(buffer);
    return buffer;
  }

  /**
   * Fills the target with a source's bytes. False when it is gone or has bad blocks there by now;
   * otherwise rejects when it cannot be read.
   */
  async #load(place: CopyPlace, target: Uint8Array): Promise<boolean> {
    if (this.#context.isBad(place.member, place.position, target.length)) return false;
    const member = this.#context.member(place.member);
    if (member === null) return false;
    await member.device.read(target, member.dataOffset + place.position);
    return true;
  }

  /** A source's bytes; null when it is gone, has bad blocks there by now, or cannot be read. */
  async #source(place: CopyPlace, extent: CopyExtent): Promise<Uint8Array | null> {
    const target = this.#take(extent.length);
    try {
      return (await this.#load(place, target)) ? target : null;
    } catch (error) {
      const { offset, length } = extent;
      const message = messageOf(error);
      this.#readFailed.push({ member: place.member, offset, length, message });
      return null;
    }
  }

  /** Stores the bytes; what fails is tried again in small pieces. */
  async #write(place: CopyPlace, source: Uint8Array): Promise<void> {
    const member = this.#context.member(place.member);
    if (member === null) return;
    const { device, dataOffset } = member;
    try {
      for (let at = 0; at < source.length; at += WRITE_BYTES) {
        const step = source.subarray(at, at + WRITE_BYTES);
        await device.write([step], dataOffset + place.position + at);
      }
      this.#writtenBytes += source.length;
    } catch (error) {
      const ranges = await narrowWrite({
        device: () => this.#context.member(place.member)?.device ?? null,
        dataOffset,
        position: place.position,
        length: source.length,
        pieces: [source],
      });
      this.#writeFailed.push({ member: place.member, message: messageOf(error), ranges });
      if (ranges !== null) this.#writtenBytes += source.length - lengthOf(ranges);
    }
  }

  async #readAny(extent: CopyExtent): Promise<Uint8Array | null> {
    for (const source of extent.sources) {
      const content = await this.#source(source, extent);
      if (content !== null) return content;
    }
    return null;
  }

  async #copy(extent: CopyExtent): Promise<boolean> {
    const content = await this.#readAny(extent);
    if (content === null) return false;
    await Promise.all(extent.targets.map((target) => this.#write(target, content)));
    return true;
  }

  async #rewrite(extent: CopyExtent): Promise<boolean> {
    const content = await this.#readAny(extent);
    if (content === null) return false;
    for (const target of extent.targets) {
      await this.#write(target, content);
      const said = this.#writeFailed.some((failure) => failure.member === target.member);
      const ranges = said ? [] : await this.#notReadBack(target, content);
      if (ranges.length === 0) continue;
      const message = "could not be read back";
      this.#writeFailed.push({ member: target.member, message, ranges });
    }
    return true;
  }

  /** The pieces that do not read back as they were written; none of a member that is gone. */
  async #notReadBack(place: CopyPlace, content: Uint8Array): Promise<BadRange[]> {
    if (await this.#readsBack(place, content)) return [];
    const ranges: BadRange[] = [];
    for (let at = 0; at < content.length; at += PIECE_BYTES) {
      const piece = content.subarray(at, at + PIECE_BYTES);
      const position = place.position + at;
      const isStored = await this.#readsBack({ member: place.member, position }, piece);
      if (!isStored) ranges.push([position, position + piece.length]);
    }
    return this.#context.member(place.member) === null ? [] : joinRanges(ranges);
  }

  async #readsBack(place: CopyPlace, content: Uint8Array): Promise<boolean> {
    const member = this.#context.member(place.member);
    if (member === null) return false;
    const target = this.#take(content.length);
    return member.device.read(target, member.dataOffset + place.position).then(
      () => Buffer.compare(target, content) === 0,
      () => false,
    );
  }

  /**
   * Writes the first copy over those that differ from it. A copy that differs at its start is not
   * read further: where all of it must be written, that is half the reading.
   */
  async #sync(extent: CopyExtent): Promise<boolean> {
    const { sources, length } = extent;
    const head = Math.min(PROBE_BYTES, length);
    const copies = sources.map(() => this.#take(length));
    const [winner] = copies;
    if (winner === undefined) return false;
    const loadAll = async (from: number, wants: (copy: Uint8Array) => number): Promise<boolean> => {
      const loads = sources.map(({ member, position }, index) => {
        const copy = copies[index] ?? winner;
        const target = copy.subarray(from, wants(copy));
        const place = { member, position: position + from };
        return target.length === 0 || this.#load(place, target).catch(() => false);
      });
      return (await Promise.all(loads)).every((isLoaded) => isLoaded);
    };
    const isAlike = (copy: Uint8Array) => isEqual(copy.subarray(0, head), winner.subarray(0, head));
    const isWhole =
      (await loadAll(0, (copy) => (copy === winner ? length : head))) &&
      (await loadAll(head, (copy) => (copy !== winner && isAlike(copy) ? length : head)));
    // Who cannot be read, and what of it, is looked at there.
    if (!isWhole) return this.#compare(extent);
    const stale = sources.filter((_, index) => !isEqual(copies[index] ?? winner, winner));
    await Promise.all(stale.map((place) => this.#write(place, winner)));
    return true;
  }

  /**
   * Reads every copy, twice where they differ; what stands is written over the others. A member
   * that lacks a spot loses no more than that: the pieces around it are compared on their own.
   */
  async #compare(extent: CopyExtent): Promise<boolean> {
    const { sources } = extent;
    const readAll = () => Promise.all(sources.map((source) => this.#source(source, extent)));
    let contents = await readAll();
    let comparison = comparisonOf(contents);
    if (this.#mode !== "sync" && contents.every((c) => c !== null) && comparison.isDiffering) {
      contents = await readAll();
      comparison = comparisonOf(contents);
    }
    if (extent.length > PIECE_BYTES && this.#hasGap(extent, contents)) {
      this.#readFailed = this.#readFailed.filter((failure) => !isOf(extent, failure));
      return false;
    }
    const readable = contents.filter((content) => content !== null);
    const [first] = readable;
    if (first === undefined) return false;
    if (this.#mode !== "sync") this.#count(extent, comparison);
    const winner = this.#mode === "repair" ? comparison.majority() : first;
    const writes: Promise<void>[] = [];
    for (const [index, place] of sources.entries()) {
      const content = contents[index] ?? null;
      const isStale = content === null || (this.#mode !== "check" && !isEqual(content, winner));
      if (isStale) writes.push(this.#write(place, winner));
    }
    await Promise.all(writes);
    return true;
  }

  /** Some member that is there did not give the extent whole. */
  #hasGap({ sources }: CopyExtent, contents: readonly (Uint8Array | null)[]): boolean {
    return sources.some(
      ({ member }, index) =>
        (contents[index] ?? null) === null && this.#context.member(member) !== null,
    );
  }

  #count(extent: CopyExtent, comparison: CopyComparison): void {
    if (!comparison.isDiffering) return;
    this.#mismatchedBytes += comparison.differingBytes;
    for (const { offset, length } of comparison.differingRanges)
      this.#mismatches.push({ offset: extent.offset + offset, length });
  }
}

const lengthOf = (ranges: readonly BadRange[]): number =>
  ranges.reduce((sum, [from, to]) => sum + to - from, 0);

const isOf = (extent: CopyExtent, { offset, length }: ArrayRange): boolean =>
  offset === extent.offset && length === extent.length;

const isEqual = (a: Uint8Array, b: Uint8Array): boolean => a === b || Buffer.compare(a, b) === 0;

const comparisonOf = (contents: readonly (Uint8Array | null)[]): CopyComparison =>
  new CopyComparison(
    contents.filter((content) => content !== null),
    isEqual,
  );

const partOf = (extent: CopyExtent, from: number, length: number): CopyExtent => {
  const shift = (place: CopyPlace): CopyPlace => ({
    member: place.member,
    position: place.position + from,
  });
  return {
    offset: extent.offset + from,
    length,
    sources: extent.sources.map(shift),
    targets: extent.targets.map(shift),
  };
};

/** Extents in order whose regions are taken together. */
const spans = (extents: readonly CopyExtent[]): CopyExtent[][] => {
  const groups: CopyExtent[][] = [];
  let group: CopyExtent[] = [];
  for (const extent of extents) {
    const first = group[0];
    const last = group.at(-1);
    const fits =
      first !== undefined &&
      last !== undefined &&
      extent.offset >= last.offset &&
      extent.offset + extent.length - first.offset <= SPAN_BYTES;
    if (fits) group.push(extent);
    else {
      group = [extent];
      groups.push(group);
    }
  }
  return groups;
};

/** False when somebody else has one of them, and nothing is to be copied any more. */
const takeRegions = async (
  context: CopyContext,
  from: number,
  length: number,
): Promise<boolean> => {
  const { locks } = context;
  for (;;) {
    const contended = locks.tryAcquire(from, length);
    if (contended < 0) return true;
    if (context.hasGivenUp()) return false;
    await context.waitForRegion(locks.words, contended);
  }
};

/** Runs the plan. Never rejects for a member's I/O error: that is in the result. */
export const runCopy = async (plan: CopyPlan, context: CopyContext): Promise<CopyResult> => {
  const { locks } = context;
  const copy = new Copy(plan.mode, context);
  for (const group of spans(plan.extents)) {
    const from = group[0]?.offset ?? 0;
    const end = Math.max(...group.map(({ offset, length }) => offset + length));
    if (!(await takeRegions(context, from, end - from))) {
      for (const extent of group) copy.passOver(extent);
      continue;
    }
    try {
      await Promise.all(group.map((extent) => copy.extent(extent)));
    } finally {
      copy.end();
      locks.release(from, end - from);
    }
  }
  return copy.result;
};
