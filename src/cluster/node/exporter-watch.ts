/**
 * Whether a node that is gone can reach no disk of another board any more (D8): each board that
 * serves its disks has refused the node's epoch, has waited for what of it was under way there, and
 * has said so; a board that went has not confirmed for long enough, so it serves nobody. A board
 * that is back in another life has to say so itself: the old life's word is worth nothing then.
 * Pure: what is seen of the boards comes in, with the time of our clock.
 */
import type { BoardKeys, BoardLife } from "../store/board-keys.ts";
import { BoardWatch } from "../store/board-watch.ts";
import type { KeyChange, KeyValue, Revision } from "../store/cluster-store.ts";
import type { Session, StoreKeys } from "../store/store-keys.ts";
import type { NewsSource } from "../store/view-driver.ts";

/** Whom the fence of a node waits for. */
export type ExporterWait =
  /** To say that it serves the node no more. */
  | { readonly type: "acknowledge"; readonly board: string }
  /** It is gone, and may serve until `dueAt` of our clock. */
  | {
      readonly type: "fence";
      readonly board: string;
      readonly heardAt: number;
      readonly dueAt: number;
    };

export interface ExporterWatchOptions {
  /** Of the array. */
  readonly keys: StoreKeys;
  readonly boards: BoardKeys;
  /** As fenceTime gives it. */
  readonly waitMs: number;
  readonly now: number;
}

export class ExporterWatch {
  readonly #keys: StoreKeys;
  readonly #boards: BoardKeys;
  readonly #waitMs: number;
  readonly #watch: BoardWatch;

  constructor({ keys, boards, waitMs, now }: ExporterWatchOptions) {
    this.#keys = keys;
    this.#boards = boards;
    this.#waitMs = waitMs;
    this.#watch = new BoardWatch(boards, waitMs, now);
  }

  /** All news of a view of the boards' keys, from its first listing on. */
  see(changes: readonly KeyChange[], source: NewsSource, now: number): void {
    this.#watch.see(changes, source, now);
  }

  /** As it is shown; `found`: the keys of the array. */
  awaited(
    gone: Session,
    found: ReadonlyMap<string, KeyValue>,
    now: number,
  ): readonly ExporterWait[] {
    const acknowledge = this.#watch.live
      .filter((life) => !this.#hasAcknowledged(life, gone, found))
      .map(({ name }): ExporterWait => ({ type: "acknowledge", board: name }));
    const fence = this.#watch.gone(now).map(
      ({ name, dueAt }): ExporterWait => ({
        type: "fence",
        board: name,
        heardAt: dueAt - this.#waitMs,
        dueAt,
      }),
    );
    return [...acknowledge, ...fence];
  }

  /** When the node may count as fenced, as it is shown; Infinity: not before something is said. */
  dueAt(gone: Session, found: ReadonlyMap<string, KeyValue>): number {
    const hasAll = this.#watch.live.every((life) => this.#hasAcknowledged(life, gone, found));
    return hasAll ? this.#watch.dueAt : Number.POSITIVE_INFINITY;
  }

  /**
   * A revision at which the node's member key was gone, the earliest that a board's word proves: it
   * says so only while the key is not there. Null: none has.
   */
  goneAt(gone: Session, found: ReadonlyMap<string, KeyValue>): Revision | null {
    const said = this.#watch.live
      .filter((life) => this.#hasAcknowledged(life, gone, found))
      .map(({ name }) => found.get(this.#keys.fence(name, gone.slot))?.modRevision ?? 0);
    return said.length === 0 ? null : Math.min(...said);
  }

  /**
   * What decides. `told`: members of the array, fences and boards, as ONE consistent state that has
   * gone through the store's consensus; what was seen of the boards is as new as the end of the
   * node's member key at least.
   */
  isProven(gone: Session, told: readonly KeyValue[], now: number): boolean {
    const found = new Map(told.map((one) => [one.key, one]));
    if (found.has(this.#keys.member(gone.slot)) || now < this.#watch.dueAt) return false;
    const lives = told.flatMap(({ key, createRevision }): readonly BoardLife[] => {
      const name = this.#boards.boardIn(key);
      return name === null ? [] : [{ name, epoch: createRevision }];
    });
    // One whose end is not seen here yet may have confirmed until just now.
    const isSeen = ({ name, epoch }: BoardLife): boolean =>
      lives.some((life) => life.name === name && life.epoch === epoch);
    return (
      this.#watch.live.every(isSeen) &&
      lives.every((life) => this.#hasAcknowledged(life, gone, found))
    );
  }

  /** By this very life: its lease ends with it, but a view may show the key for longer. */
  #hasAcknowledged(
    { name, epoch }: BoardLife,
    gone: Session,
    found: ReadonlyMap<string, KeyValue>,
  ): boolean {
    const key = found.get(this.#keys.fence(name, gone.slot));
    if (key === undefined || key.modRevision <= epoch) return false;
    return /^[1-9]\d{0,15}$/.test(key.value) && Number(key.value) >= gone.epoch;
  }
}
