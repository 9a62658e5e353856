/**
 * The boards that serve the members of an array, as a node sees them: their keys, and the proof
 * that a node which is gone can reach none of their disks any more (exporter-watch.ts).
 */
import { CodedError } from "../../common/errors.ts";
import type { BoardKeys } from "../store/board-keys.ts";
import type { ClusterStore, KeyValue, Revision } from "../store/cluster-store.ts";
import { consensusTxn, listedKeys } from "../store/member-txns.ts";
import type { StoreClock } from "../store/store-clock.ts";
import type { Session, StoreKeys } from "../store/store-keys.ts";
import { ViewDriver } from "../store/view-driver.ts";
import { type ExporterWait, ExporterWatch } from "./exporter-watch.ts";

export interface ExportersOptions {
  readonly store: ClusterStore;
  /** Of the array. */
  readonly keys: StoreKeys;
  readonly boards: BoardKeys;
  /** As fenceTime gives it. */
  readonly waitMs: number;
  readonly clock: StoreClock;
  readonly random: () => number;
  /** Something has changed. */
  readonly onNews: () => void;
}

export class Exporters {
  readonly #options: ExportersOptions;
  readonly #view: ViewDriver;
  readonly #watch: ExporterWatch;

  constructor(options: ExportersOptions) {
    const { store, boards, clock, random, onNews } = options;
    this.#options = options;
    this.#view = new ViewDriver({ store, prefix: boards.prefix, clock, random });
    this.#watch = new ExporterWatch({ ...options, now: clock.now() });
    this.#view.subscribe((changes, source) => {
      this.#watch.see(changes, source, clock.now());
      onNews();
    });
  }

  /** Resolves when the boards are known, as soon as the store answers. */
  start(): Promise<void> {
    return this.#view.start();
  }

  close(): void {
    this.#view.close();
  }

  /** As ExporterWatch.dueAt. */
  dueAt(gone: Session, found: ReadonlyMap<string, KeyValue>): number {
    return this.#watch.dueAt(gone, found);
  }

  /** As ExporterWatch.awaited, now. */
  awaited(gone: Session, found: ReadonlyMap<string, KeyValue>): readonly ExporterWait[] {
    return this.#watch.awaited(gone, found, this.#options.clock.now());
  }

  /** As ExporterWatch.goneAt. */
  goneAt(gone: Session, found: ReadonlyMap<string, KeyValue>): Revision | null {
    return this.#watch.goneAt(gone, found);
  }

  /**
   * Whether the session, whose member key was gone at revision `since`, can reach no disk any more;
   * null: not yet, look again. Errors: those of the store.
   */
  async proves(gone: Session, since: Revision): Promise<true | null> {
    const { store, keys, boards, clock } = this.#options;
    // A board that was there before the node went, and is gone since, has to have been seen.
    if (this.#view.view.complete < since) {
      this.#view.expect(since);
      return null;
    }
    const prefixes = [keys.members, keys.fences, boards.boards];
    const outcome = await store.txn(consensusTxn(keys.prefix, prefixes));
    if (outcome.type === "unknown") throw outcome.error;
    const isProven = this.#watch.isProven(gone, listedKeys(outcome.results), clock.now());
    // The end of a board is in it that the watch has not told of.
    if (!isProven) this.#view.expect(outcome.revision);
    return isProven ? true : null;
  }

  /** Why a node cannot join yet: nobody else would wait for the end of this session. */
  refusal(gone: Session, found: ReadonlyMap<string, KeyValue>): CodedError {
    const names = this.awaited(gone, found).map(({ board }) => board);
    const who = names.length === 0 ? "boards of the cluster" : names.join(", ");
    const text = `it is not proven that node ${gone.slot} can write no more: ${who} did not say so in time`;
    return new CodedError("CLUSTER_NOT_FENCED", text, {
      remedy: "see to these boards; the array is tried again by itself",
      details: { boards: names },
    });
  }
}
