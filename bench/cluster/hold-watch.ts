/** What is seen of a sync action from outside: its windows, and how fast it goes. */
import type { ArrayDlmResource } from "../../src/api/schemas/dlm.ts";

const SECTOR = 512;
/** As a node's trace tells of another one's window. */
const WINDOW = /^RESYNCING \d+ of node \d+: sectors (\d+)-(\d+)$/;

type Trace = ArrayDlmResource["trace"];

/** What is seen at one time. */
export interface HoldSight {
  /** Of the board that writes: what others resync, and what it was told. */
  readonly ranges: ArrayDlmResource["ranges"];
  readonly trace: Trace;
  /** What the board that syncs has asked and been answered. */
  readonly calls: Trace;
  /** Bytes that the action has done, which may be another one than before; null: none runs. */
  readonly completed: number | null;
}

export class HoldWatch {
  readonly #arrayBytes: number;
  readonly #began = performance.now();
  #sectors = 0;
  #completed = 0;
  #copied = 0;
  #seconds = 0;
  /** By the time of the answer: the same entries are seen several times. */
  readonly #announcements = new Map<string, number>();

  constructor(arrayBytes: number) {
    this.#arrayBytes = arrayBytes;
  }

  look({ ranges, trace, calls, completed }: HoldSight): void {
    this.#noteAnnouncements(calls);
    const traced = trace.flatMap(({ text }) => {
      const [, lo, hi] = WINDOW.exec(text)?.map(Number) ?? [];
      return lo === undefined || hi === undefined ? [] : [{ lo, hi }];
    });
    for (const { lo, hi } of [...ranges, ...traced])
      if (lo * SECTOR < this.#arrayBytes) this.#sectors = Math.max(this.#sectors, hi - lo);
    if (completed === null) return;
    this.#copied += completed >= this.#completed ? completed - this.#completed : completed;
    this.#completed = completed;
    this.#seconds = (performance.now() - this.#began) / 1000;
  }

  /** Milliseconds from the ask for each window until every other board holds its writes there. */
  get announcements(): readonly number[] {
    return [...this.#announcements.values()];
  }

  /** The longest range in which writes were held at a time. */
  get rangeBytes(): number {
    return this.#sectors * SECTOR;
  }

  /** Bytes per second. */
  get speed(): number {
    return this.#seconds === 0 ? 0 : this.#copied / this.#seconds;
  }

  #noteAnnouncements(calls: Trace): void {
    let asked: number | null = null;
    for (const { at, what, text } of calls) {
      if (what === "call" && text === "resync-info-update") asked = Date.parse(at);
      if (what !== "answer" || text !== "resync-info-update: ok" || asked === null) continue;
      this.#announcements.set(at, Date.parse(at) - asked);
      asked = null;
    }
  }
}
