/** Copy plans on the test's bench: members in memory with switchable faults, and region locks. */
import { assert } from "../../src/common/assert.ts";
import { FaultDevice, type FaultKind, FaultSwitch } from "../../src/hal/layers/fault-device.ts";
import { MemoryDevice } from "../../src/hal/sim/memory-device.ts";
import type { CopyExtent, CopyMode, CopyResult } from "../../src/raid/array-messages.ts";
import type { BadRange } from "../../src/raid/bad-block-table.ts";
import { CopyBuffers, runCopy } from "../../src/raid/copy-driver.ts";
import { REGION_SLOTS, RegionLocks } from "../../src/raid/region-lock.ts";
import { waitForRegion } from "../../src/raid/region-wait-driver.ts";

export const DATA_AT = 4096;

interface BenchMember {
  readonly bytes: Uint8Array;
  readonly faults: FaultSwitch;
  readonly device: FaultDevice;
}

export class CopyBench {
  /** Member n is full of the value n + 1. */
  readonly members: readonly BenchMember[];
  /** Bad blocks that are known by the time a copy runs. */
  readonly bad = new Map<number, readonly BadRange[]>();
  /** Members that have left. */
  readonly gone = new Set<number>();
  hasGivenUp = false;
  readonly words = new Int32Array(new SharedArrayBuffer(REGION_SLOTS * 4));
  /** Locks as another thread holds them. */
  readonly others = new RegionLocks(this.words, 0, true);
  readonly sizeBytes: number;
  readonly #locks = new RegionLocks(this.words, 1, false);
  readonly #buffers = new CopyBuffers();

  constructor(members: number, sizeBytes: number) {
    this.sizeBytes = sizeBytes;
    this.members = Array.from({ length: members }, (_, id) => {
      const bytes = new Uint8Array(DATA_AT + sizeBytes).fill(id + 1, DATA_AT);
      const faults = new FaultSwitch();
      const memory = new MemoryDevice(`m${id}`, bytes);
      return { bytes, faults, device: new FaultDevice(memory, faults, async () => undefined) };
    });
  }

  member(id: number): BenchMember {
    const member = this.members[id];
    assert(member !== undefined, "a member of the bench");
    return member;
  }

  /** A member's data. */
  data(id: number): Uint8Array {
    return this.member(id).bytes.subarray(DATA_AT);
  }

  /** One extent at the same place on every member; all are sources unless named. */
  run(
    mode: CopyMode,
    sources: readonly number[] = [...this.members.keys()],
    targets: readonly number[] = [],
    offset = 0,
    length = this.sizeBytes,
  ): Promise<CopyResult> {
    const place = (member: number) => ({ member, position: offset });
    const extent = { offset, length, sources: sources.map(place), targets: targets.map(place) };
    return this.runExtents(mode, [extent]);
  }

  runExtents(mode: CopyMode, extents: readonly CopyExtent[]): Promise<CopyResult> {
    return runCopy(
      { mode, from: 0, end: 0, extents },
      {
        locks: this.#locks,
        waitForRegion,
        buffers: this.#buffers,
        hasGivenUp: () => this.hasGivenUp,
        member: (id) =>
          this.gone.has(id) ? null : { device: this.member(id).device, dataOffset: DATA_AT },
        isBad: (id, position, length) =>
          this.bad.get(id)?.some(([from, to]) => from < position + length && position < to) ===
          true,
      },
    );
  }

  fault(id: number, kind: FaultKind, count: number | null = null): void {
    this.member(id).faults.arm({ kind, after: 0, count, range: null, stallMs: 0 });
  }

  /** From now on `[from, to)` of the member's data fails. */
  spoil(id: number, kind: FaultKind, [from, to]: BadRange): void {
    const range = { offset: DATA_AT + from, length: to - from };
    this.member(id).faults.arm({ kind, after: 0, count: null, range, stallMs: 0 });
  }

  /** The value each member has everywhere in `[from, to)`, -1 when it is not one. */
  values(from = 0, to = this.sizeBytes): number[] {
    return this.members.map((_, id) => {
      const bytes = this.data(id).subarray(from, to);
      const value = bytes[0] ?? -1;
      return bytes.every((byte) => byte === value) ? value : -1;
    });
  }
}
