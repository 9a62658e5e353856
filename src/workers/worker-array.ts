/** One array inside one I/O worker: its I/O path, and its conversation with the array thread. */

import type { MessagePort } from "node:worker_threads";
import { assertNever } from "../common/assert.ts";
import { ArrayIo } from "../raid/io-driver.ts";
import { waitForRegion } from "../raid/region-wait-driver.ts";
import { type SharedArrayShape, SharedArrayState } from "../raid/shared-state.ts";
import { ArrayExport } from "./array-export.ts";
import type { ArrayToWorker, LegTicket, WorkerToArray } from "./array-messages.ts";
import { openMember } from "./open-member.ts";

export interface WorkerArrayOptions {
  readonly shape: SharedArrayShape;
  /** Number of this worker. */
  readonly worker: number;
  readonly legs: readonly LegTicket[];
  readonly readOnly: boolean;
  readonly hasBitmap: boolean;
  readonly port: MessagePort;
}

const messageOf = (error: unknown): string =>
  error instanceof Error ? error.message : String(error);

export class WorkerArray {
  readonly io: ArrayIo;
  readonly #options: WorkerArrayOptions;
  #isClosed = false;

  constructor(options: WorkerArrayOptions) {
    this.#options = options;
    this.io = new ArrayIo({
      state: new SharedArrayState(options.shape),
      worker: options.worker,
      seconds: () => Math.floor(Date.now() / 1000),
      waitForRegion,
      link: {
        intent: (ranges) => this.#post({ type: "intent", ranges }),
        legError: (request, slot, op, message) =>
          this.#post({ type: "leg-error", request, slot, op, message }),
        readError: (slot, offset, length, message) =>
          this.#post({ type: "read-error", slot, offset, length, message }),
      },
    });
    options.port.on("message", (message: ArrayToWorker) => this.#onMessage(message));
  }

  /** Opens every leg, then tells the array thread, with what failed to open. */
  async start(): Promise<void> {
    const errors: { path: string; message: string }[] = [];
    for (const leg of this.#options.legs) {
      const message = await this.#openLeg(leg);
      if (message !== null) errors.push({ path: leg.member.path, message });
    }
    this.#post({ type: "attached", errors });
  }

  makeExport(readOnly: boolean): ArrayExport {
    const { hasBitmap } = this.#options;
    return new ArrayExport(this.io, { readOnly: readOnly || this.#options.readOnly, hasBitmap });
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.io.close();
    this.#options.port.close();
  }

  #post(message: WorkerToArray): void {
    this.#options.port.postMessage(message);
  }

  async #openLeg(leg: LegTicket): Promise<string | null> {
    try {
      // The handle of the leg that had this raid slot before may still have I/O under way.
      await this.io.dropLeg(leg.slot);
      const device = await openMember(leg.member, this.#options.readOnly ? "read" : "write", false);
      if (this.#isClosed) {
        await device.close();
        return "the array is being stopped";
      }
      this.io.openLeg(leg.slot, device, leg.dataOffset);
      return null;
    } catch (error) {
      return messageOf(error);
    }
  }

  #onMessage(message: ArrayToWorker): void {
    switch (message.type) {
      case "intent-ready":
        return this.io.onIntentReady();
      case "leg-resolved":
        return this.io.onLegResolved(message.request);
      case "drop-leg":
        return void this.io.dropLeg(message.slot);
      case "open-leg":
        return void this.#openLeg(message.leg).then((error) =>
          this.#post({ type: "leg-opened", token: message.token, error }),
        );
      default:
        return assertNever(message);
    }
  }
}
