/** Requests to another thread that are answered by number, and what to do when the thread dies. */

import type { Worker } from "node:worker_threads";
import { type CodedError, fromPlainError, type PlainError } from "../common/errors.ts";

interface Waiting<Reply> {
  readonly resolve: (reply: Reply) => void;
  readonly reject: (error: Error) => void;
}

export class ThreadLink<Reply> {
  readonly worker: Worker;
  readonly #waiting = new Map<number, Waiting<Reply>>();
  #nextId = 1;
  #ending = false;
  #abandoned: CodedError | null = null;

  /** A thread that ends unasked ends the process: its half of the shared state is unknown. */
  constructor(worker: Worker, name: string) {
    this.worker = worker;
    worker.on("error", (error) => {
      throw new Error(`the ${name} died: ${error instanceof Error ? error.stack : String(error)}`);
    });
    worker.on("exit", (code) => {
      if (!this.#ending) throw new Error(`the ${name} ended unasked with code ${code}`);
    });
  }

  /** The thread is about to end on purpose. */
  expectEnd(): void {
    this.#ending = true;
  }

  /** Registers a request; `send` posts it with its number. Rejects with the thread's CodedError. */
  ask(send: (id: number) => void): Promise<Reply> {
    if (this.#abandoned !== null) return Promise.reject(this.#abandoned);
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      send(id);
    });
  }

  /** Nobody answers any more: what was asked, and what is asked from now on, rejects with this. */
  abandon(error: CodedError): void {
    this.#abandoned = error;
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
  }

  settle(id: number, error: PlainError | null, reply: Reply): void {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (error === null) waiting?.resolve(reply);
    else waiting?.reject(fromPlainError(error));
  }
}
