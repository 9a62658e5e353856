/** How a peer's disk does, as plain values. */

import type { CodedError } from "../common/errors.ts";

export interface PeerHealth {
  /** `up`: all connections; `reconnecting`: not all; `gone`: given up or closed. */
  readonly state: "up" | "reconnecting" | "gone";
  /** Connections there are now. */
  readonly connections: number;
  /** Requests sent and not answered. */
  readonly inFlight: number;
  /** Requests that wait for room, or for a connection. */
  readonly waiting: number;
  /** Smoothed time from sending a request to its answer, milliseconds; null before the first. */
  readonly latencyMs: number | null;
  /** Connections made anew since it was opened. */
  readonly reconnects: number;
  /** The last failure of a connection or a request. */
  readonly lastError: { readonly code: string; readonly message: string } | null;
}

/** Weight of the newest answer in the smoothed latency: the last 16 make most of it. */
const NEWEST = 1 / 16;

/** What has to be remembered for it. */
export class HealthFigures {
  #latencyMs: number | null = null;
  #reconnects = 0;
  #lastError: PeerHealth["lastError"] = null;

  get told(): Pick<PeerHealth, "latencyMs" | "reconnects" | "lastError"> {
    return {
      latencyMs: this.#latencyMs,
      reconnects: this.#reconnects,
      lastError: this.#lastError,
    };
  }

  answered(tookMs: number, error: CodedError | null): void {
    const before = this.#latencyMs ?? tookMs;
    this.#latencyMs = before + (tookMs - before) * NEWEST;
    if (error !== null) this.note(error);
  }

  reconnected(): void {
    this.#reconnects += 1;
  }

  note({ code, message }: CodedError): void {
    this.#lastError = { code, message };
  }
}
