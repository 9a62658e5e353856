/**
 * Disks that several nodes share: real bytes, with faults that one node sees and others do not.
 */
import { assert } from "../../src/common/assert.ts";
import type { CopyPlan, CopyResult, MemberOp } from "../../src/raid/array-messages.ts";

export class SharedDisk {
  readonly path: string;
  readonly bytes: Uint8Array;
  /** Nodes whose writes, or reads, fail here; nodes that cannot open it. */
  readonly failsWrites = new Set<number>();
  readonly failsReads = new Set<number>();
  /** Nodes whose flushes fail: what they wrote since their last one is lost. */
  readonly failsFlushes = new Set<number>();
  readonly hiddenFrom = new Set<number>();
  /** It answers a flush, and has stored nothing. */
  liesAboutFlushes = false;
  /** Every write: who, where, how long. */
  readonly writes: { readonly node: number; readonly offset: number; readonly length: number }[] =
    [];

  #unflushed: {
    readonly node: number;
    readonly offset: number;
    readonly data: Uint8Array;
    readonly before: Uint8Array;
  }[] = [];

  constructor(path: string, sizeBytes: number) {
    this.path = path;
    this.bytes = new Uint8Array(sizeBytes);
  }

  /** The node can neither read nor write nor open it any more. */
  breakFor(node: number): void {
    for (const faults of [this.failsWrites, this.failsReads, this.hiddenFrom]) faults.add(node);
  }

  healFor(node: number): void {
    for (const faults of [this.failsWrites, this.failsReads, this.hiddenFrom]) faults.delete(node);
  }

  /** The bytes, or null when this node cannot read here. */
  read(node: number, offset: number, length: number): Uint8Array | null {
    assert(offset + length <= this.bytes.length, "reads end within the disk");
    return this.failsReads.has(node) ? null : this.bytes.slice(offset, offset + length);
  }

  /** Null, or why it failed. */
  write(node: number, offset: number, data: Uint8Array): string | null {
    assert(offset + data.length <= this.bytes.length, "writes end within the disk");
    if (this.failsWrites.has(node)) return "EIO";
    const before = this.bytes.slice(offset, offset + data.length);
    this.#unflushed.push({ node, offset, data: data.slice(), before });
    this.bytes.set(data, offset);
    this.writes.push({ node, offset, length: data.length });
    return null;
  }

  /** What no flush has stored is gone, from here on. */
  losePower(from: number): void {
    for (const { offset, before } of this.#unflushed.reverse())
      if (offset >= from) this.bytes.set(before, offset);
    this.#unflushed = [];
  }

  /** Null, or why it failed: then the node's writes since its last flush are undone. */
  flush(node: number): string | null {
    if (this.liesAboutFlushes) return null;
    const isFailed = this.failsWrites.has(node) || this.failsFlushes.has(node);
    for (const write of this.#unflushed.filter((one) => one.node === node).reverse()) {
      const { offset, data, before } = write;
      const now = this.bytes.subarray(offset, offset + data.length);
      const isThere = Buffer.compare(now, data) === 0;
      if (this.failsFlushes.has(node) && isThere) this.bytes.set(before, offset);
    }
    this.#unflushed = this.#unflushed.filter((one) => one.node !== node);
    return isFailed ? "EIO" : null;
  }

  /** Metadata steps in order, up to the first failure. */
  run(node: number, ops: readonly MemberOp[]): string | null {
    for (const op of ops) {
      if (op.type === "if") {
        const found = this.read(node, op.offset, op.data.length);
        if (found === null || Buffer.compare(found, op.data) !== 0) return null;
        continue;
      }
      const error = op.type === "flush" ? this.flush(node) : this.write(node, op.offset, op.data);
      if (error !== null) return error;
    }
    return null;
  }
}

/** A member as the copy reaches it; null: it is gone. */
export type CopyMember = (
  id: number,
) => { readonly disk: SharedDisk; readonly dataOffset: number } | null;

type ReadFailed = CopyResult["readFailed"][number];

/** A copy in two steps: what its sources hold, then what it writes; others write in between. */
export class SharedCopy {
  readonly plan: CopyPlan;
  readonly #node: number;
  readonly #member: CopyMember;
  readonly #data = new Map<CopyPlan["extents"][number], Uint8Array | null>();
  readonly #readFailed: ReadFailed[] = [];

  constructor(plan: CopyPlan, node: number, member: CopyMember) {
    this.plan = plan;
    this.#node = node;
    this.#member = member;
  }

  covers(offset: number, length: number): boolean {
    return this.plan.extents.some(
      (extent) => extent.offset < offset + length && offset < extent.offset + extent.length,
    );
  }

  readSources(): void {
    for (const extent of this.plan.extents) {
      let data: Uint8Array | null = null;
      for (const { member, position } of extent.sources) {
        if (data !== null) break;
        data = this.#read(member, position, extent.length);
        const { offset, length } = extent;
        if (data === null) this.#readFailed.push({ member, offset, length, message: "EIO" });
      }
      this.#data.set(extent, data);
    }
  }

  writeTargets(): CopyResult {
    const writeFailed: CopyResult["writeFailed"][number][] = [];
    const mismatches: CopyResult["mismatches"][number][] = [];
    const unreadable: CopyResult["unreadable"][number][] = [];
    let writtenBytes = 0;
    for (const extent of this.plan.extents) {
      const { offset, length } = extent;
      const data = this.#data.get(extent) ?? null;
      if (data === null) {
        unreadable.push({ offset, length });
        continue;
      }
      // The copies of a sync, a check or a repair are all named as sources.
      const isCopy = this.plan.mode === "copy" || this.plan.mode === "rewrite";
      for (const { member, position } of isCopy ? extent.targets : extent.sources.slice(1)) {
        const there = this.#read(member, position, length);
        const differs = there === null || there.some((byte, at) => byte !== data[at]);
        if (differs && !isCopy) mismatches.push({ offset, length });
        if (!differs || this.plan.mode === "check") continue;
        const error = this.#write(member, position, data);
        if (error !== null) writeFailed.push({ member, message: error, ranges: null });
        else writtenBytes += length;
      }
    }
    const mismatchedBytes = mismatches.reduce((sum, { length }) => sum + length, 0);
    const readFailed = this.#readFailed;
    return { unreadable, readFailed, writeFailed, mismatches, mismatchedBytes, writtenBytes };
  }

  #read(id: number, position: number, length: number): Uint8Array | null {
    const member = this.#member(id);
    return member?.disk.read(this.#node, member.dataOffset + position, length) ?? null;
  }

  #write(id: number, position: number, data: Uint8Array): string | null {
    const member = this.#member(id);
    if (member === null) return "the member is gone";
    return member.disk.write(this.#node, member.dataOffset + position, data);
  }
}
