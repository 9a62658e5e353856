/**
 * A medium that all nodes of a simulated cluster share, as they would share a disk: what one node
 * wrote the others read. Fault model, the worst that such a disk does without power protection:
 *
 * - A call takes effect at a moment between its begin and its answer; several calls under way do so
 *   in any order, also those of a node that has died or hangs meanwhile: of a write whose sender
 *   died all, some or none of its sectors are stored, late.
 * - A completed write lives in a volatile cache; a flush stores what completed before it began.
 * - When the power of everything goes, each sector of every write that is not stored, also of
 *   those under way, is kept or lost on its own.
 */

import type { Prng } from "../../../src/common/prng.ts";
import type { SharedArrayState } from "../../../src/raid/shared-state.ts";
import type { Life, NodeClock } from "./timeline.ts";

const SECTOR = 512;

/** The start of a node, as its calls and the checks see it. */
export interface CallerLife extends Life {
  readonly node: number;
  /** Number of its bitmap; -1 before it has one. */
  readonly slot: number;
  /** Its life's number, as its member key has it. */
  readonly number: string;
  readonly clock: NodeClock;
  readonly isCutOff: boolean;
  readonly isExpelled: boolean;
  /** It has joined, and asks its gate before each call. */
  readonly isGated: boolean;
  /** As SharedArrayState.gateUntil. */
  readonly gateUntil: number;
  /** Of the simulation, when it was started; milliseconds. */
  readonly bornAt: number;
  /** It takes part: what it is told from now on are messages. */
  readonly isEntered: boolean;
  /** It has begun to leave: its array is stopped. */
  readonly isLeaving: boolean;
  /** It was told last that a node is being recovered. */
  readonly isBalancingSuspended: boolean;
  /** Array bytes that each slot resyncs, from the answer to its notice to its next one. */
  readonly suspended: ReadonlyMap<number, readonly [number, number]>;
  /** The medium of each leg. */
  readonly legs: ReadonlyMap<number, SharedMedium>;
  /** Null before the array runs. */
  readonly shared: SharedArrayState | null;
}

/** Whose call it is. `isClient`: of an I/O worker. */
export interface Caller {
  readonly node: number;
  /** 0: the array thread, then its I/O workers. */
  readonly thread: number;
  readonly isClient: boolean;
  readonly life: CallerLife;
  /** By whom a board that has the medium carries it out; left out: the node does it itself. */
  readonly via?: Server;
}

/** One life of a board's member exports. */
export interface Server {
  readonly board: string;
  readonly epoch: number;
  /** It may submit requests now. */
  readonly isOpen: boolean;
}

export interface MediumWrite {
  readonly caller: Caller;
  readonly offset: number;
  readonly data: Uint8Array;
  /** The power went, or a fault hit it: it has no effect any more. */
  isOver: boolean;
}

/** Looks at what happens, and notes what is violated; must not throw. */
export interface MediumWatch {
  /** BEFORE a read is on its way. */
  reads(medium: SharedMedium, caller: Caller, offset: number): void;
  /** BEFORE a write is on its way. */
  begins(medium: SharedMedium, caller: Caller, offset: number, length: number): void;
  /** BEFORE its effect. */
  takesEffect(medium: SharedMedium, write: MediumWrite): void;
}

export interface MediumFault {
  readonly kind: "read" | "write" | "flush";
  /** Only calls of this node; null: of all. */
  readonly node: number | null;
  /** Calls that it lets pass first, then calls that it hits. */
  after: number;
  left: number;
}

/** Buffers of media that are gone, by size: giving memory back costs more than a story does. */
const spare = new Map<number, Uint8Array[]>();

const blankBuffer = (sizeBytes: number): Uint8Array =>
  spare.get(sizeBytes)?.pop()?.fill(0) ?? new Uint8Array(sizeBytes);

export class SharedMedium {
  readonly path: string;
  /** What a power cut leaves for sure. */
  readonly durable: Uint8Array;
  readonly current: Uint8Array;
  faults: MediumFault[] = [];
  /** No call has its effect before. */
  hangsUntil = 0;
  watch: MediumWatch | null = null;
  /** In the order they took effect. */
  #volatile: MediumWrite[] = [];
  /** Writes that flushes have stored so far: they came before those in `#volatile`. */
  #stored = 0;
  readonly #underWay = new Set<MediumWrite>();

  constructor(path: string, sizeBytes: number) {
    this.path = path;
    this.durable = blankBuffer(sizeBytes);
    this.current = blankBuffer(sizeBytes);
  }

  /** Nobody uses it any more. */
  discard(): void {
    const known = spare.get(this.durable.length) ?? [];
    known.push(this.durable, this.current);
    spare.set(this.durable.length, known);
  }

  /** Content put there before the simulation starts; durable at once. */
  preset(offset: number, data: Uint8Array): void {
    this.durable.set(data, offset);
    this.current.set(data, offset);
  }

  /** Whether this call is hit by a fault, counting it. */
  fails(kind: MediumFault["kind"], { node }: Caller): boolean {
    for (const fault of this.faults) {
      if (fault.kind !== kind || (fault.node !== null && fault.node !== node)) continue;
      if (fault.after > 0) fault.after--;
      else if (fault.left > 0) {
        fault.left--;
        return true;
      }
    }
    return false;
  }

  begin(caller: Caller, offset: number, data: Uint8Array): MediumWrite {
    this.watch?.begins(this, caller, offset, data.length);
    const write = { caller, offset, data, isOver: false };
    this.#underWay.add(write);
    return write;
  }

  /** The write takes effect, in the cache. */
  complete(write: MediumWrite): void {
    if (write.isOver) return;
    this.#underWay.delete(write);
    this.watch?.takesEffect(this, write);
    this.current.set(write.data, write.offset);
    this.#volatile.push(write);
  }

  /** It will have no effect. */
  drop(write: MediumWrite): void {
    write.isOver = true;
    this.#underWay.delete(write);
  }

  /** Some of its sectors take effect, the rest never does. */
  tear(write: MediumWrite, prng: Prng): void {
    if (write.isOver) return;
    this.drop(write);
    for (const [from, to] of sectorsOf(write)) {
      if (prng.below(2) === 0) continue;
      const data = write.data.subarray(from, to);
      this.complete({ ...write, offset: write.offset + from, data, isOver: false });
    }
  }

  /** Writes whose effect is still to come. */
  get underWay(): ReadonlySet<MediumWrite> {
    return this.#underWay;
  }

  /** What a flush that begins now stores: so many of the writes that took effect so far. */
  flushable(): number {
    return this.#stored + this.#volatile.length;
  }

  /** `upTo`: as `flushable` told when the flush began. */
  store(upTo: number): void {
    const count = upTo - this.#stored;
    if (count <= 0) return;
    for (const write of this.#volatile.splice(0, count)) this.durable.set(write.data, write.offset);
    this.#stored = upTo;
  }

  /** The power of everything goes; all senders are dead. */
  cutPower(prng: Prng): void {
    for (const write of [...this.#volatile, ...this.#underWay]) {
      write.isOver = true;
      for (const [from, to] of sectorsOf(write))
        if (prng.below(2) === 0)
          this.durable.set(write.data.subarray(from, to), write.offset + from);
    }
    this.hangsUntil = 0;
    this.#stored += this.#volatile.length;
    this.#volatile = [];
    this.#underWay.clear();
    this.current.set(this.durable);
  }
}

const sectorsOf = function* ({ offset, data }: MediumWrite): Generator<readonly [number, number]> {
  for (let at = 0; at < data.length; ) {
    const end = Math.min(data.length, at + SECTOR - ((offset + at) % SECTOR));
    yield [at, end];
    at = end;
  }
};
