/**
 * Carries out one copy plan of a sync action or read repair on the array thread: takes the
 * piece's regions, reads, compares, writes, gives the regions back. Reports failures per member;
 * deciding what they mean is the machine's business.
 */

import type { BlockDevice } from "../hal/block-device.ts";
import type { CopyPlan, CopyResult } from "./array-messages.ts";
import { REGION_BYTES, type RegionLocks } from "./region-lock.ts";
import type { WaitForRegion } from "./region-wait-driver.ts";

/** Differences are counted in whole units of this size. Source: md counts 64 KiB sync requests. */
const COMPARE_BYTES = 64 * 1024;

export interface CopyContext {
  /**
   * The member's handle on this thread and where its data starts, or null when it is gone or
   * failing; asked anew each time, with the regions held.
   */
  member(id: number): { readonly device: BlockDevice; readonly dataOffset: number } | null;
  readonly locks: RegionLocks;
  readonly waitForRegion: WaitForRegion;
  readonly buffers: CopyBuffers;
}

type Failure = { readonly member: number; readonly message: string };

const messageOf = (error: unknown): string =>
  error instanceof Error ? error.message : String(error);

/** Buffers of finished pieces, for the next ones: a sync action would litter the heap otherwise. */
export class CopyBuffers {
  readonly #free: Uint8Array[] = [];

  take(length: number): Uint8Array {
    const buffer = this.#free.pop() ?? new Uint8Array(REGION_BYTES);
    return buffer.length >= length ? buffer.subarray(0, length) : new Uint8Array(length);
  }

  give(buffer: Uint8Array): void {
    const whole = buffer.buffer;
    if (whole.byteLength !== REGION_BYTES || this.#free.length >= BUFFERS_KEPT) return;
    this.#free.push(new Uint8Array(whole));
  }
}

/** Choice: four pieces under way, each on four members. */
const BUFFERS_KEPT = 16;

class Copy {
  readonly #plan: CopyPlan;
  readonly #context: CopyContext;
  readonly #taken: Uint8Array[] = [];
  readonly readFailed: Failure[] = [];
  readonly writeFailed: Failure[] = [];
  mismatchedBytes = 0;
  writtenBytes = 0;

  constructor(plan: CopyPlan, context: CopyContext) {
    this.#plan = plan;
    this.#context = context;
  }

  /** Gives the buffers back. AFTER every read and write of the plan is done. */
  end(): void {
    for (const buffer of this.#taken) this.#context.buffers.give(buffer);
  }

  async read(id: number): Promise<Uint8Array | null> {
    const member = this.#context.member(id);
    if (member === null) return null;
    const target = this.#context.buffers.take(this.#plan.length);
    this.#taken.push(target);
    try {
      await member.device.read(target, member.dataOffset + this.#plan.offset);
      return target;
    } catch (error) {
      this.readFailed.push({ member: id, message: messageOf(error) });
      return null;
    }
  }

  async write(id: number, source: Uint8Array): Promise<void> {
    const member = this.#context.member(id);
    if (member === null) return;
    try {
      await member.device.write([source], member.dataOffset + this.#plan.offset);
      this.writtenBytes += source.length;
    } catch (error) {
      this.writeFailed.push({ member: id, message: messageOf(error) });
    }
  }

  /** The first source that can be read. */
  async readAny(): Promise<Uint8Array | null> {
    for (const id of this.#plan.sources) {
      const content = await this.read(id);
      if (content !== null) return content;
    }
    return null;
  }

  async copy(): Promise<boolean> {
    const content = await this.readAny();
    if (content === null) return false;
    await Promise.all(this.#plan.targets.map((id) => this.write(id, content)));
    return true;
  }

  async rewrite(): Promise<boolean> {
    const content = await this.readAny();
    if (content === null) return false;
    for (const id of this.#plan.targets) {
      await this.write(id, content);
      const back = await this.read(id);
      if (back !== null && Buffer.compare(back, content) === 0) continue;
      const said = this.writeFailed.some((failure) => failure.member === id);
      if (!said) this.writeFailed.push({ member: id, message: "could not be read back" });
    }
    return true;
  }

  /** Reads every member; the first readable one in order of `sources` is what the others become. */
  async compare(): Promise<boolean> {
    const { mode, sources } = this.#plan;
    const contents = await Promise.all(sources.map((id) => this.read(id)));
    const winner = contents.find((content) => content !== null);
    if (winner === undefined || winner === null) return false;
    const writes: Promise<void>[] = [];
    for (const [index, id] of sources.entries()) {
      const content = contents[index] ?? null;
      const differing = content === null ? 0 : differingBytes(winner, content);
      this.mismatchedBytes += differing;
      if (content === null || (differing > 0 && mode !== "check"))
        writes.push(this.write(id, winner));
    }
    await Promise.all(writes);
    return true;
  }
}

const differingBytes = (a: Uint8Array, b: Uint8Array): number => {
  if (Buffer.compare(a, b) === 0) return 0;
  let differing = 0;
  for (let at = 0; at < a.length; at += COMPARE_BYTES) {
    const end = Math.min(at + COMPARE_BYTES, a.length);
    if (Buffer.compare(a.subarray(at, end), b.subarray(at, end)) !== 0) differing += end - at;
  }
  return differing;
};

/** Runs the plan. Never rejects for a member's I/O error: that is in the result. */
export const runCopy = async (plan: CopyPlan, context: CopyContext): Promise<CopyResult> => {
  const { locks } = context;
  for (;;) {
    const contended = locks.tryAcquire(plan.offset, plan.length);
    if (contended < 0) break;
    await context.waitForRegion(locks.words, contended);
  }
  const copy = new Copy(plan, context);
  try {
    const readable =
      plan.mode === "copy"
        ? await copy.copy()
        : plan.mode === "rewrite"
          ? await copy.rewrite()
          : await copy.compare();
    const { readFailed, writeFailed, mismatchedBytes, writtenBytes } = copy;
    return { readable, readFailed, writeFailed, mismatchedBytes, writtenBytes };
  } finally {
    copy.end();
    locks.release(plan.offset, plan.length);
  }
};
