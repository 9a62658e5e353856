/** One array inside one I/O worker: its I/O path, and its conversation with the array thread. */

import type { MessagePort } from "node:worker_threads";
import { assertNever } from "../common/assert.ts";
import type { CodedError } from "../common/errors.ts";
import { ArrayIo } from "../raid/io-driver.ts";
import { waitForRegion } from "../raid/region-wait-driver.ts";
import { type SharedArrayShape, SharedArrayState } from "../raid/shared-state.ts";
import { ArrayExport } from "./array-export.ts";
import type { ArrayToWorker, LegTicket, WorkerToArray } from "./array-messages.ts";
import { afterMs, monotonicMs } from "./monotonic-clock.ts";
import { openMember, owed } from "./open-member.ts";
import type { PeerUse } from "./peer-links.ts";
import { ThreadGate } from "./thread-gate.ts";

export interface WorkerArrayOptions {
  readonly shape: SharedArrayShape;
  /** Number of this worker. */
  readonly worker: number;
  readonly legs: readonly LegTicket[];
  readonly readOnly: boolean;
  readonly hasBitmap: boolean;
  /** Of an array that runs in a cluster: I/O begins only while the node may do any. */
  readonly isGated: boolean;
  /** As whom peers' disks are opened; null: not at all. */
  readonly peers: PeerUse | null;
  /** Members are used past the page cache where they can be. */
  readonly isDirect: boolean;
  /** A member cannot be. HAL_NOT_DIRECT. */
  readonly onNotDirect: (error: CodedError) => void;
  readonly port: MessagePort;
}

const messageOf = (error: unknown): string =>
  error instanceof Error ? error.message : String(error);

/** A request that waits while the array is being changed. */
type HeldRequest = (io: ArrayIo) => void;

export class WorkerArray {
  readonly #options: WorkerArrayOptions;
  #io: ArrayIo;
  #hasBitmap: boolean;
  #isGated: boolean;
  #peers: PeerUse | null;
  #isClosed = false;
  /** Requests that came while the array is being changed, else null. NBD bounds them. */
  #held: HeldRequest[] | null = null;

  constructor(options: WorkerArrayOptions) {
    this.#options = options;
    this.#hasBitmap = options.hasBitmap;
    this.#isGated = options.isGated;
    this.#peers = options.peers;
    this.#io = this.#makeIo(options.shape);
    options.port.on("message", (message: ArrayToWorker) => this.#onMessage(message));
  }

  #makeIo(shape: SharedArrayShape): ArrayIo {
    return new ArrayIo({
      state: new SharedArrayState(shape),
      worker: this.#options.worker,
      seconds: () => Math.floor(Date.now() / 1000),
      clock: { now: monotonicMs, after: afterMs },
      waitForRegion,
      link: {
        intent: (ranges) => this.#post({ type: "intent", ranges }),
        legReport: (request, leg, kind, message, ranges, span) =>
          this.#post({ type: "leg-report", request, leg, kind, message, ranges, span }),
        legGone: (leg, message) => this.#post({ type: "leg-gone", leg, message }),
        readError: (leg, offset, length, message) =>
          this.#post({ type: "read-error", leg, offset, length, message }),
      },
    });
  }

  /** The I/O path as it is now; another one after each change of the array. */
  get io(): ArrayIo {
    return this.#io;
  }

  get ready(): ArrayIo | null {
    return this.#held === null ? this.#io : null;
  }

  get hasBitmap(): boolean {
    return this.#hasBitmap;
  }

  /** Runs the request at once, or when the change under way is done. */
  submit(request: HeldRequest): void {
    if (this.#held === null) request(this.#io);
    else this.#held.push(request);
  }

  /** Opens every leg, then tells the array thread, with what failed to open. */
  async start(legs: readonly LegTicket[] = this.#options.legs): Promise<void> {
    const errors: { path: string; message: string }[] = [];
    for (const leg of legs) {
      const message = await this.#openLeg(leg);
      if (message !== null) errors.push({ path: leg.member.path, message });
    }
    this.#post({ type: "attached", errors });
  }

  makeExport(readOnly: boolean): ArrayExport {
    return new ArrayExport(this, { readOnly: readOnly || this.#options.readOnly });
  }

  /**
   * AFTER the exports are closed: nothing is under way here when it resolves. The array thread is
   * answered until it closes its port: others may wait for what it asks.
   */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#release();
    await this.#io.close();
  }

  async #hold(): Promise<void> {
    if (!this.#isClosed) this.#held = [];
    await this.#io.close();
    this.#post({ type: "held" });
  }

  /** The array was started anew. */
  #renew(renewed: Extract<ArrayToWorker, { type: "renew" }>): void {
    const { shape, legs, hasBitmap, isGated, peers } = renewed;
    if (this.#isClosed) return this.#post({ type: "attached", errors: [] });
    this.#io = this.#makeIo(shape);
    this.#hasBitmap = hasBitmap;
    this.#isGated = isGated;
    this.#peers = peers;
    void this.start(legs);
  }

  #release(): void {
    const held = this.#held ?? [];
    this.#held = null;
    for (const request of held) request(this.#io);
  }

  #post(message: WorkerToArray): void {
    this.#options.port.postMessage(message);
  }

  /** Null, or why it could not be opened; who is closed needs no leg any more. */
  async #openLeg(ticket: LegTicket): Promise<string | null> {
    if (this.#isClosed) return null;
    const { leg, member, dataOffset } = ticket;
    const io = this.#io;
    try {
      // The handle of the member that had this leg before may still have I/O under way.
      await io.dropLeg(leg);
      const { isDirect, readOnly, onNotDirect } = this.#options;
      const gate = this.#isGated ? new ThreadGate(() => io.state.gateUntil) : null;
      const range = { from: dataOffset, to: dataOffset + io.state.map.memberBytes };
      const direct = isDirect ? { range, onRefused: onNotDirect } : null;
      const options = { gate, direct, peers: this.#peers };
      const device = await openMember(member, readOnly ? "read" : "write", options);
      if (this.#isClosed || io !== this.#io) {
        await device.close();
        return this.#isClosed ? null : "the array is being stopped";
      }
      io.openLeg(leg, device, dataOffset);
      return null;
    } catch (error) {
      return this.#isClosed ? null : messageOf(error);
    }
  }

  #onMessage(message: ArrayToWorker): void {
    switch (message.type) {
      case "intent-ready":
        return this.#io.onIntentReady();
      case "leg-resolved":
        return this.#io.onLegResolved(message.request, message.isRecorded);
      case "drop-leg":
        return void this.#io.dropLeg(message.leg, message.reason);
      case "open-leg":
        return void this.#openLeg(message.leg).then((error) =>
          this.#post({ type: "leg-opened", token: message.token, error }),
        );
      case "drain": {
        const { token, from, to } = message;
        return this.#io.drain(from, to, () => this.#post({ type: "drained", token }));
      }
      case "settle": {
        const { token, path } = message;
        return void owed(path).then((error) => this.#post({ type: "settled", token, error }));
      }
      case "poke":
        return this.#io.poke();
      case "hold":
        return void this.#hold();
      case "renew":
        return this.#renew(message);
      case "go":
        return this.#release();
      default:
        return assertNever(message);
    }
  }
}
