/**
 * Keeps a KeyView in step with a cluster store: lists, watches from there, lists again when the
 * watch ends, when it is silent about a write that we know of, and every half minute. Whoever acts
 * on the view acts on hints; decisions are guarded transactions.
 */
import type {
  ClusterStore,
  KeyChange,
  Listing,
  Revision,
  StoreWatch,
  WatchHint,
} from "./cluster-store.ts";
import { KeyView } from "./key-view.ts";
import { retryDelay } from "./retry-delay.ts";
import type { StoreClock } from "./store-clock.ts";

/** A watch that lost events (etcd 17610, 19251) is found out by this. */
export const RELIST_MS = 30_000;
/** Longest way of an own write back through the watch. */
export const ECHO_MS = 3000;
/** Longest pause between attempts while the store does not answer. */
const RETRY_MS_MAX = 1000;

export interface ViewOptions {
  readonly store: ClusterStore;
  readonly prefix: string;
  readonly clock: StoreClock;
  /** A number in [0, 1), another one each time. */
  readonly random: () => number;
}

/**
 * Where news come from: the watch, in the order of revisions; a listing, so that changes before it
 * may have been missed; or the answer to one of our transactions, ahead of the watch.
 */
export type NewsSource = "watch" | "listing" | "answer";

/** What was news, after the view has taken it in. Must not throw. */
export type ViewListener = (changes: readonly KeyChange[], source: NewsSource) => void;

export class ViewDriver {
  readonly view = new KeyView();
  readonly #options: ViewOptions;
  readonly #listeners = new Set<ViewListener>();
  #watch: StoreWatch | null = null;
  /** The watch has told everything up to this revision, as far as we know. */
  #watched: Revision = 0;
  #expected: Revision = 0;
  #attempt = 0;
  #isListing = false;
  #isClosed = false;
  #cancelList: (() => void) | null = null;
  #cancelEcho: (() => void) | null = null;
  readonly #first = Promise.withResolvers<void>();

  constructor(options: ViewOptions) {
    this.#options = options;
  }

  /** Resolves with the first listing, as soon as the store answers. */
  start(): Promise<void> {
    this.#list();
    return this.#first.promise;
  }

  /** Tells of news from now on; what it returns ends that. */
  subscribe(listener: ViewListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * A write under the prefix was committed at this revision, or may have been up to it: unless the
   * watch tells so much in time, the keys are listed.
   */
  expect(revision: Revision): void {
    this.#expected = Math.max(this.#expected, revision);
    if (this.#cancelEcho !== null || this.#isClosed || this.#watched >= revision) return;
    const awaited = this.#expected;
    this.#cancelEcho = this.#options.clock.after(ECHO_MS, () => {
      this.#cancelEcho = null;
      if (this.#watched < awaited) this.#restart();
      else if (this.#watched < this.#expected) this.expect(this.#expected);
    });
  }

  /** As KeyView.learn: what one of our transactions found. */
  learn(prefixes: readonly string[], listing: Listing): void {
    if (!this.#isClosed) this.#tell(this.view.learn(prefixes, listing), "answer");
  }

  close(): void {
    this.#isClosed = true;
    this.#watch?.close();
    this.#watch = null;
    this.#cancelList?.();
    this.#cancelEcho?.();
    this.#first.resolve();
  }

  #restart(): void {
    this.#watch?.close();
    this.#watch = null;
    this.#list();
  }

  #list(): void {
    this.#cancelList?.();
    this.#cancelList = null;
    if (this.#isListing || this.#isClosed) return;
    this.#isListing = true;
    this.#options.store.list(this.#options.prefix).then(
      (listing) => {
        this.#isListing = false;
        if (this.#isClosed) return;
        this.#attempt = 0;
        const news = this.view.list(listing);
        this.#listAfter(RELIST_MS);
        if (this.#watch === null) this.#open(listing.revision);
        this.#tell(news, "listing");
        this.#first.resolve();
      },
      () => {
        this.#isListing = false;
        this.#listSoon();
      },
    );
  }

  #open(listed: Revision): void {
    this.#watched = listed;
    const { store, prefix } = this.#options;
    try {
      const watch = store.watch(prefix, listed + 1, (hint) => {
        if (this.#watch === watch) this.#hear(hint);
      });
      this.#watch = watch;
    } catch {
      // Closed or replaced: the next listing fails too, and goes on trying.
      this.#listSoon();
    }
  }

  #hear(hint: WatchHint): void {
    if (hint.type === "ended") {
      this.#watch = null;
      this.#listSoon();
      return;
    }
    for (const change of hint.changes) {
      const revision = change.type === "put" ? change.now.modRevision : change.revision;
      this.#watched = Math.max(this.#watched, revision);
    }
    const news = this.view.change(hint.changes);
    this.#tell(news, "watch");
  }

  #tell(news: readonly KeyChange[], source: NewsSource): void {
    if (news.length === 0) return;
    for (const listener of [...this.#listeners]) listener(news, source);
  }

  #listSoon(): void {
    this.#attempt += 1;
    this.#listAfter(retryDelay(this.#attempt, RETRY_MS_MAX, this.#options.random()));
  }

  #listAfter(ms: number): void {
    this.#cancelList?.();
    this.#cancelList = null;
    if (this.#isClosed) return;
    this.#cancelList = this.#options.clock.after(ms, () => this.#list());
  }
}
