/** The I/O workers as an array thread holds them: what it asks of all, and whether all answered. */

import type { MessagePort } from "node:worker_threads";
import type { ArrayToWorker, LegTicket, WorkerToArray } from "./array-messages.ts";
import { owed } from "./open-member.ts";

interface Asked {
  left: number;
  error: string | null;
  readonly done: (error: string | null) => void;
}

export class WorkerPorts {
  readonly #ports: MessagePort[] = [];
  readonly #asked = new Map<number, Asked>();
  #next = 1;
  #heldLeft = 0;
  #whenHeld: (() => void) | null = null;

  get count(): number {
    return this.#ports.length;
  }

  attach(ports: readonly MessagePort[], onMessage: (worker: number, m: WorkerToArray) => void) {
    for (const [worker, port] of ports.entries()) {
      this.#ports.push(port);
      port.on("message", (message: WorkerToArray) => onMessage(worker, message));
    }
  }

  close(): void {
    for (const port of this.#ports) port.close();
  }

  tell(worker: number, message: ArrayToWorker): void {
    this.#ports[worker]?.postMessage(message);
  }

  tellAll(message: ArrayToWorker): void {
    for (const port of this.#ports) port.postMessage(message);
  }

  /** Every worker opens the leg; null, or why one could not. */
  openLeg(leg: LegTicket): Promise<string | null> {
    return this.#ask((token) => ({ type: "open-leg", token, leg }));
  }

  /** Resolves once no worker has a write to members under way in bytes `[from, to)`. */
  async drain(from: number, to: number): Promise<void> {
    await this.#ask((token) => ({ type: "drain", token, from, to }));
  }

  /**
   * Null once neither this thread nor a worker is owed an answer by a member that was given up, at
   * this path or any; else, after a while, what is.
   */
  async settle(path: string | null): Promise<string | null> {
    const workers = this.#ask((token) => ({ type: "settle", token, path }));
    const [own, theirs] = await Promise.all([owed(path), workers]);
    return own ?? theirs;
  }

  /** A worker has answered `openLeg`, `drain` or `settle`. */
  onAnswer(token: number, error: string | null): void {
    const asked = this.#asked.get(token);
    if (asked === undefined) return;
    asked.error ??= error;
    asked.left--;
    if (asked.left > 0) return;
    this.#asked.delete(token);
    asked.done(asked.error);
  }

  /** Resolves when every worker holds what comes, and has nothing under way. */
  hold(): Promise<void> {
    this.#heldLeft = this.#ports.length;
    return new Promise((resolve) => {
      this.#whenHeld = resolve;
      this.tellAll({ type: "hold" });
    });
  }

  onHeld(): void {
    this.#heldLeft--;
    if (this.#heldLeft === 0) this.#whenHeld?.();
  }

  #ask(message: (token: number) => ArrayToWorker): Promise<string | null> {
    const token = this.#next++;
    return new Promise((done) => {
      if (this.#ports.length === 0) return done(null);
      this.#asked.set(token, { left: this.#ports.length, error: null, done });
      this.tellAll(message(token));
    });
  }
}
