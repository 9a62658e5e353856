/**
 * A client's write on a node of the cluster bench: the rules of an I/O worker (permission,
 * suspended ranges, legs, failures that are recorded first), one step at a time.
 */
import type { ArrayEvent } from "../../src/raid/array-messages.ts";
import {
  BIT_DURABLE,
  LEG_BLOCKED,
  LEG_IN_SYNC,
  LEG_NONE,
  LEG_REBUILDING,
  RUN_ACTIVE,
  type SharedArrayState,
} from "../../src/raid/shared-state.ts";
import type { SharedDisk } from "./cluster-disks.ts";

export interface WriteHost {
  readonly node: number;
  /** As it is now: another one after a change of the array. */
  shared(): SharedArrayState;
  /** Requests are held. */
  isPaused(): boolean;
  leg(leg: number): { readonly disk: SharedDisk; readonly dataOffset: number } | null;
  /** A copy or an earlier write of this node holds these regions. */
  isHeld(write: NodeWrite): boolean;
  /** A write has ended: others may go on. */
  again(): void;
  job(name: string, run: () => void, isReady?: () => boolean): void;
  send(event: ArrayEvent): void;
}

export type WriteState =
  /** It waits for a range, a copy or a leg to be recorded. */
  | "parked"
  /** It has asked for its bits. */
  | "intent"
  /** Legs are being written. */
  | "writing"
  /** A leg failed: that is being recorded. */
  | "held"
  /** It is on all legs, which are being flushed, or one could not be: that is being recorded. */
  | "flushing"
  | "acknowledged"
  | "failed";

export class NodeWrite {
  readonly request: number;
  readonly offset: number;
  readonly data: Uint8Array;
  state: WriteState = "parked";
  readonly #host: WriteHost;
  #legsLeft = 0;
  #stored = 0;
  #isUnrecorded = false;
  #isOvertaken = false;
  readonly #fua: boolean;
  readonly #failed: { readonly leg: number; readonly message: string; readonly inSync: boolean }[] =
    [];

  constructor(request: number, offset: number, data: Uint8Array, fua: boolean, host: WriteHost) {
    this.#fua = fua;
    this.request = request;
    this.offset = offset;
    this.data = data;
    this.#host = host;
  }

  /** Legs are being written in `[from, to)`. */
  isOnDisks(from: number, to: number): boolean {
    const touches = this.offset < to && from < this.offset + this.data.length;
    return touches && this.state === "writing";
  }

  /** Another node resyncs there from now on: what waits for a failure is written again. */
  overtake(from: number, to: number): void {
    const touches = this.offset < to && from < this.offset + this.data.length;
    if (touches && (this.state === "held" || this.state === "flushing")) this.#isOvertaken = true;
  }

  /** It holds its regions against a copy. */
  isUnderWay(copy: { covers(offset: number, length: number): boolean }): boolean {
    const holds = this.state === "writing" || this.state === "held";
    return holds && copy.covers(this.offset, this.data.length);
  }

  /** Goes on if it may. */
  look(): void {
    if (this.state !== "parked" || this.#host.isPaused()) return;
    const shared = this.#host.shared();
    if (shared.run !== RUN_ACTIVE) {
      this.state = "failed";
      return;
    }
    const { length } = this.data;
    if (shared.isSuspended(this.offset, length) || this.#host.isHeld(this)) return;
    const [first, last] = this.#chunks();
    shared.beginWrite(0, first, last);
    if (this.#isPermitted(first, last)) return this.#begin();
    shared.endWrite(0, first, last);
    this.state = "intent";
    this.#host.send({ type: "intent", worker: 0, ranges: [[first, last]] });
  }

  /** The array was started anew: bits that were asked for are asked for again. */
  askAgain(): void {
    if (this.state === "intent") this.state = "parked";
  }

  onIntentReady(): void {
    if (this.state !== "intent") return;
    this.state = "parked";
    this.look();
  }

  onResolved(request: number, isRecorded: boolean): void {
    const isWaiting = this.state === "held" || this.state === "flushing";
    if (!isWaiting || request !== this.request) return;
    if (!isRecorded) this.#isUnrecorded = true;
    this.#legsLeft--;
    if (this.#legsLeft > 0) return;
    if (this.state === "held") this.#afterWrite();
    else this.#end();
  }

  #chunks(): [first: number, last: number] {
    const { chunkBytes } = this.#host.shared().shape;
    const end = this.offset + this.data.length - 1;
    return [Math.floor(this.offset / chunkBytes), Math.floor(end / chunkBytes)];
  }

  #isPermitted(first: number, last: number): boolean {
    const shared = this.#host.shared();
    if (shared.clean) return false;
    for (let leg = 0; leg < shared.legs; leg++) if (shared.leg(leg) === LEG_BLOCKED) return false;
    for (let chunk = first; chunk <= last; chunk++)
      if (shared.bit(chunk) !== BIT_DURABLE) return false;
    return true;
  }

  #begin(): void {
    const shared = this.#host.shared();
    this.state = "writing";
    for (const extent of shared.map.extents(this.offset, this.data.length)) {
      const at = extent.offset - this.offset;
      const data = this.data.subarray(at, at + extent.length);
      for (const { slot, position } of extent.places)
        for (const leg of [slot, slot + shared.map.raidSlots]) this.#toLeg(leg, position, data);
    }
    if (this.#legsLeft === 0) this.#end();
  }

  #toLeg(leg: number, position: number, data: Uint8Array): void {
    const word = this.#host.shared().leg(leg);
    if (word !== LEG_IN_SYNC && word !== LEG_REBUILDING) return;
    const inSync = word === LEG_IN_SYNC;
    this.#legsLeft++;
    this.#host.job(`write ${this.request} leg ${leg}`, () => {
      const place = this.#host.leg(leg);
      const error =
        place?.disk.write(this.#host.node, place.dataOffset + position, data) ??
        (place === null ? "closed" : null);
      if (error !== null) this.#failed.push({ leg, message: error, inSync });
      else if (inSync) this.#stored++;
      this.#legsLeft--;
      if (this.#legsLeft === 0) this.#afterLegs();
    });
  }

  #afterLegs(): void {
    if (this.#failed.length === 0) return this.#afterWrite();
    this.state = "held";
    this.#report("write");
  }

  #report(kind: "write" | "flush"): void {
    this.#legsLeft = this.#failed.length;
    const { request } = this;
    for (const { leg, message } of [...this.#failed]) {
      const event = { type: "leg-report", worker: 0, request, leg, kind } as const;
      this.#host.send({ ...event, message, ranges: null, span: null });
    }
  }

  /** It is on all legs that are left. */
  #afterWrite(): void {
    const isWhole = this.#stored > 0 && !this.#isUnrecorded;
    if (!this.#fua || !isWhole || this.#isOvertaken) return this.#end();
    this.#failed.length = 0;
    this.state = "flushing";
    const shared = this.#host.shared();
    for (let leg = 0; leg < shared.legs; leg++) if (shared.leg(leg) !== LEG_NONE) this.#flush(leg);
  }

  #flush(leg: number): void {
    this.#legsLeft++;
    const inSync = this.#host.shared().leg(leg) === LEG_IN_SYNC;
    this.#host.job(`flush ${this.request} leg ${leg}`, () => {
      const place = this.#host.leg(leg);
      const error = place === null ? "closed" : place.disk.flush(this.#host.node);
      if (error !== null) this.#failed.push({ leg, message: error, inSync });
      this.#legsLeft--;
      if (this.#legsLeft > 0) return;
      // As the I/O worker: a flush that kept it on every leg needs no second write.
      if (this.#failed.length === 0) this.#isOvertaken = false;
      if (this.#failed.length === 0) this.#end();
      else this.#report("flush");
    });
  }

  #end(): void {
    const [first, last] = this.#chunks();
    this.#host.shared().endWrite(0, first, last);
    this.state = this.#stored > 0 && !this.#isUnrecorded ? "acknowledged" : "failed";
    if (this.state === "acknowledged" && this.#isOvertaken) {
      this.#isOvertaken = false;
      this.#stored = 0;
      this.#failed.length = 0;
      this.state = "parked";
      this.look();
    }
    this.#host.again();
  }
}
