/**
 * What an I/O worker has reported to the array thread about its legs and waits for: failures and
 * healed bad blocks. A report is answered once it is durable on the members that are left.
 */

import type { BadRange } from "./bad-block-table.ts";

/** What happened to the leg. `healed`: bad blocks under a write that succeeded. */
export type LegReportKind = "write" | "flush" | "healed";

/** What a worker asks of the array thread. Answers come back through `ArrayIo.onIntentReady` … */
export interface IoLink {
  /** Make the array dirty and these chunk ranges' bits durable; answered by `onIntentReady`. */
  intent(ranges: readonly (readonly [number, number])[]): void;
  /**
   * Record it, then answer with `onLegResolved(request)`. `ranges`: what could not be written (or
   * was healed), in bytes behind the leg's data offset; null: the leg as a whole has failed.
   * `span`: all that was to be written there; null for a flush.
   */
  legReport(
    request: number,
    leg: number,
    kind: LegReportKind,
    message: string,
    ranges: readonly BadRange[] | null,
    span: BadRange | null,
  ): void;
  /** Every call of this worker's handle of the leg fails from now on. */
  legGone(leg: number, message: string): void;
  /** A leg could not be read here though another could: rewrite it there. Array bytes. */
  readError(leg: number, offset: number, length: number, message: string): void;
}

export class LegReports {
  readonly #link: IoLink;
  readonly #open = new Map<number, (isRecorded: boolean) => void>();
  #next = 1;

  constructor(link: IoLink) {
    this.#link = link;
  }

  /** `then(isRecorded)`: false when nothing was recorded, for the last in-sync leg stays. */
  send(
    leg: number,
    kind: LegReportKind,
    message: string,
    ranges: readonly BadRange[] | null,
    span: BadRange | null,
    then: (isRecorded: boolean) => void,
  ): void {
    const id = this.#next++;
    this.#open.set(id, then);
    this.#link.legReport(id, leg, kind, message, ranges, span);
  }

  /** The array thread has dealt with the report. */
  onResolved(id: number, isRecorded: boolean): void {
    const then = this.#open.get(id);
    this.#open.delete(id);
    then?.(isRecorded);
  }

  /** Nothing that was reported will be recorded. */
  giveUp(): void {
    for (const id of [...this.#open.keys()]) this.onResolved(id, false);
  }
}
