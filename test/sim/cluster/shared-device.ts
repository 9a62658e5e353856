/** A node's handle of a shared medium: its calls take time, its answers wait for the node. */

import { CodedError } from "../../../src/common/errors.ts";
import type { Prng } from "../../../src/common/prng.ts";
import type { AllocationRun, BlockDevice, SyncCalls } from "../../../src/hal/block-device.ts";
import { checkRange } from "../../../src/hal/device-range.ts";
import { zeroRuns } from "../../../src/hal/sim/zero-runs.ts";
import type { Caller, MediumFault, SharedMedium } from "./shared-medium.ts";
import type { Delay, Life, Timeline } from "./timeline.ts";

/** A node, as its handles know it. */
export interface DeviceUser {
  readonly timeline: Timeline;
  readonly prng: Prng;
  readonly life: Life;
  /** Of a call's effect; `most` is what fencing allows for. */
  readonly delay: Delay;
  /** Of the answer. */
  readonly thread: Delay;
  /** Of 8 looks, how many find the device answering at once. */
  readonly quickness: number;
}

export class SharedDevice implements BlockDevice {
  readonly logicalBlockSize = 512;
  readonly readOnly = false;
  readonly punches = true;
  readonly zeroesFast = true;
  readonly #medium: SharedMedium;
  readonly #caller: Caller;
  readonly #user: DeviceUser;
  readonly #calls: SyncCalls;
  #drawnAt = -1;
  #isQuick = false;
  #isOpen = true;
  /** Calls whose effect is still to come. */
  #underWay = 0;

  constructor(medium: SharedMedium, caller: Caller, user: DeviceUser) {
    this.#medium = medium;
    this.#caller = caller;
    this.#user = user;
    this.#calls = {
      read: (target, offset) => {
        this.#check(offset, target.length);
        medium.watch?.reads(medium, caller, offset);
        this.#fail("read");
        target.set(medium.current.subarray(offset, offset + target.length));
        return true;
      },
      write: (source, offset) => {
        const write = this.#begin(source, offset);
        this.#failWrite(write);
        medium.complete(write);
      },
      flush: () => {
        this.#check(0, 0);
        this.#fail("flush");
        medium.store(medium.flushable());
      },
    };
  }

  /** A call may still have its effect. */
  get owes(): boolean {
    return this.#underWay > 0;
  }

  get name(): string {
    return this.#medium.path;
  }

  get sizeBytes(): number {
    return this.#medium.durable.length;
  }

  get sync(): SyncCalls | null {
    const { timeline, prng, quickness } = this.#user;
    if (this.#drawnAt !== timeline.turns) this.#isQuick = prng.below(8) < quickness;
    this.#drawnAt = timeline.turns;
    if (this.#medium.hangsUntil > timeline.now) return null;
    return this.#isQuick ? this.#calls : null;
  }

  async read(target: Uint8Array, offset: number): Promise<void> {
    this.#check(offset, target.length);
    this.#medium.watch?.reads(this.#medium, this.#caller, offset);
    await this.#perform(() => {
      this.#fail("read");
      target.set(this.#medium.current.subarray(offset, offset + target.length));
    });
  }

  async write(source: readonly Uint8Array[], offset: number): Promise<void> {
    const write = this.#begin(source, offset);
    const { prng, life } = this.#user;
    await this.#perform(() => {
      const fate = life.isDead ? prng.below(3) : 0;
      if (fate === 1) this.#medium.drop(write);
      else if (fate === 2) this.#medium.tear(write, prng);
      else {
        this.#failWrite(write);
        this.#medium.complete(write);
      }
    });
  }

  async zero(offset: number, length: number, _mayUnmap: boolean): Promise<void> {
    this.#check(offset, length);
    await this.write([new Uint8Array(length)], offset);
  }

  async allocation(offset: number, length: number): Promise<readonly AllocationRun[]> {
    this.#check(offset, length);
    return this.#perform(() => zeroRuns(this.#medium.current, offset, length));
  }

  async flush(): Promise<void> {
    this.#check(0, 0);
    const upTo = this.#medium.flushable();
    await this.#perform(() => {
      this.#fail("flush");
      this.#medium.store(upTo);
    });
  }

  async close(): Promise<void> {
    this.#isOpen = false;
  }

  /** The effect comes at some time, whatever becomes of the node; then the answer. */
  #perform<T>(effect: () => T): Promise<T> {
    const { timeline, life, delay, thread } = this.#user;
    this.#underWay++;
    return new Promise((resolve, reject) => {
      const hangs = Math.max(0, this.#medium.hangsUntil - timeline.now);
      timeline.after(hangs + timeline.draw(delay), null, () => {
        this.#underWay--;
        const answer = attempt(effect);
        timeline.after(timeline.draw(thread), life, () => {
          if ("error" in answer) reject(answer.error);
          else resolve(answer.value);
        });
      });
    });
  }

  #begin(source: readonly Uint8Array[], offset: number) {
    const data = joined(source);
    this.#check(offset, data.length);
    return this.#medium.begin(this.#caller, offset, data);
  }

  #failWrite(write: ReturnType<SharedMedium["begin"]>): void {
    if (!this.#medium.fails("write", this.#caller)) return;
    this.#medium.drop(write);
    throw this.#error("write");
  }

  #fail(kind: MediumFault["kind"]): void {
    if (this.#medium.fails(kind, this.#caller)) throw this.#error(kind);
  }

  #error(verb: string): CodedError {
    return new CodedError("HAL_IO_ERROR", `${this.name}: ${verb} failed (EIO, injected fault)`);
  }

  #check(offset: number, length: number): void {
    if (!this.#isOpen) throw new CodedError("HAL_DEVICE_CLOSED", `${this.name}: closed`);
    checkRange(this, offset, length);
  }
}

/** Bytes of its own: the sender may use the pieces again. */
export const joined = (source: readonly Uint8Array[]): Uint8Array => {
  const data = new Uint8Array(source.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const piece of source) {
    data.set(piece, at);
    at += piece.length;
  }
  return data;
};

/** A bug of the simulation ends it; what the medium refuses is the caller's to hear. */
const attempt = <T>(effect: () => T): { readonly value: T } | { readonly error: CodedError } => {
  try {
    return { value: effect() };
  } catch (error) {
    if (error instanceof CodedError) return { error };
    throw error;
  }
};
