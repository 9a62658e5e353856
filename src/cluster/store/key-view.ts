/**
 * What is known of the keys under a prefix, folded from listings and hints that may be old,
 * repeated or incomplete. It never goes back: no earlier state of a key replaces a later one.
 */
import type { KeyChange, KeyValue, Listing, Revision } from "./cluster-store.ts";
import { keyOf, revisionOf } from "./revisioned-map.ts";

/** Most deleted keys that are remembered; a listing clears them. */
const TOMBSTONES_MAX = 4096;

export class KeyView {
  readonly #keys = new Map<string, KeyValue>();
  readonly #deleted = new Map<string, Revision>();
  /** By prefix: the state of all its keys was told as of this revision. */
  readonly #told = new Map<string, Revision>();
  #listed: Revision = 0;
  /** Listings and hints have told everything up to here; `learn` tells of some keys only. */
  #complete: Revision = 0;
  #revision: Revision = 0;

  get keys(): ReadonlyMap<string, KeyValue> {
    return this.#keys;
  }

  /** The highest revision that anything told. */
  get revision(): Revision {
    return this.#revision;
  }

  /** Everything up to this revision was told, as far as we know. */
  get complete(): Revision {
    return this.#complete;
  }

  /** Takes hints in; returns those that were news. */
  change(changes: readonly KeyChange[]): readonly KeyChange[] {
    for (const change of changes) this.#complete = Math.max(this.#complete, revisionOf(change));
    return changes.filter((change) => this.#take(change));
  }

  /** Takes a listing in, unless more is known already; returns what was news. */
  list({ revision, found }: Listing): readonly KeyChange[] {
    if (revision < this.#complete) return [];
    const present = new Set(found.map(({ key }) => key));
    const gone = [...this.#keys.keys()].filter((key) => !present.has(key));
    const changes: KeyChange[] = gone.map((key) => ({ type: "delete", key, revision }));
    for (const now of found) changes.push({ type: "put", now });
    const news = this.change(changes);
    this.#revision = Math.max(this.#revision, revision);
    this.#complete = revision;
    this.#listed = revision;
    for (const [prefix, told] of this.#told) if (told <= revision) this.#told.delete(prefix);
    this.#deleted.clear();
    return news;
  }

  /**
   * Takes in what a transaction found at its revision: ALL keys with these prefixes, from the
   * store's consensus. Returns what was news.
   */
  learn(prefixes: readonly string[], { revision, found }: Listing): readonly KeyChange[] {
    const present = new Set(found.map(({ key }) => key));
    const isTold = (key: string): boolean => prefixes.some((prefix) => key.startsWith(prefix));
    const gone = [...this.#keys.keys()].filter((key) => isTold(key) && !present.has(key));
    const changes: KeyChange[] = gone.map((key) => ({ type: "delete", key, revision }));
    for (const now of found) changes.push({ type: "put", now });
    const news = changes.filter((change) => this.#take(change));
    for (const prefix of prefixes)
      this.#told.set(prefix, Math.max(revision, this.#told.get(prefix) ?? 0));
    this.#revision = Math.max(this.#revision, revision);
    return news;
  }

  /**
   * How the key stands is known as of this revision at least, whatever events were lost: by its own
   * last change, or by what listed it.
   */
  knownAt(key: string): Revision {
    const changed = this.#keys.get(key)?.modRevision ?? this.#deleted.get(key) ?? 0;
    return Math.max(changed, this.#toldAt(key));
  }

  #take(change: KeyChange): boolean {
    const key = keyOf(change);
    const revision = revisionOf(change);
    if (revision <= this.knownAt(key)) return false;
    this.#revision = Math.max(this.#revision, revision);
    if (change.type === "put") {
      this.#deleted.delete(key);
      this.#keys.set(key, change.now);
      return true;
    }
    this.#deleted.set(key, revision);
    for (const oldest of this.#deleted.keys()) {
      if (this.#deleted.size <= TOMBSTONES_MAX) break;
      this.#deleted.delete(oldest);
    }
    return this.#keys.delete(key);
  }

  /** Nothing up to this revision is news about the key. */
  #toldAt(key: string): Revision {
    let at = this.#listed;
    for (const [prefix, revision] of this.#told)
      if (key.startsWith(prefix)) at = Math.max(at, revision);
    return at;
  }
}
