/**
 * What the cluster remembers of the array's copies, whoever is there: how new the newest ones are,
 * where an administrator has forced an old one, which members he put aside. Each write is guarded
 * by the session, and repeated until it is done or the session is over.
 */
import type { ClusterStore, Compare, KeyValue, StoreOp } from "../store/cluster-store.ts";
import {
  encodeForced,
  encodeNewest,
  type ForcedStart,
  joinForced,
  readForced,
  readNewest,
} from "../store/copy-records.ts";
import type { MemberSession } from "../store/member-session-driver.ts";
import { consensusTxn, listedKeys } from "../store/member-txns.ts";
import type { StoreKeys } from "../store/store-keys.ts";
import type { ViewDriver } from "../store/view-driver.ts";
import type { ArrayCopies } from "./cluster-member.ts";
import { UNTOLD } from "./cluster-view.ts";
import { expelled } from "./expelled.ts";

/** Choice. An update beneath which members fail is repeated, and ends two further on each time. */
const GIVEN_STEP = 8;

export interface CopiesOptions {
  readonly store: ClusterStore;
  readonly keys: StoreKeys;
  readonly view: ViewDriver;
  readonly session: MemberSession;
  /** Until it is done; null: the session is over. */
  readonly insist: <T>(attempt: () => Promise<T | null>) => Promise<T | null>;
}

type Write = Extract<StoreOp, { readonly type: "put" | "delete" }>;

export class Copies implements ArrayCopies {
  readonly #options: CopiesOptions;

  constructor(options: CopiesOptions) {
    this.#options = options;
  }

  async newest(): Promise<number | null> {
    const { store, keys } = this.#options;
    const found = await this.#insist(async () => {
      const outcome = await store.txn(consensusTxn(keys.prefix, [keys.newest]));
      if (outcome.type === "unknown") throw outcome.error;
      return listedKeys(outcome.results);
    });
    const value = found.find(({ key }) => key === keys.newest)?.value;
    return value === undefined ? null : readNewest(value);
  }

  begin(events: number, forced: ForcedStart | null): Promise<void> {
    return forced === null ? this.raise(events) : this.#force(forced);
  }

  /**
   * All older copies are out AT ONCE: on its way to `to` events the first update uses numbers that
   * others have, and whoever dies on that way must not leave two kinds of copies that count.
   */
  async #force(forced: ForcedStart): Promise<void> {
    await this.#change(this.#options.keys.forced, (text) => {
      const next = encodeForced(joinForced(readForced(text ?? ""), forced));
      return next === text ? null : next;
    });
    if (forced.to !== UNTOLD) await this.raise(forced.to);
  }

  /** The superblocks have so many events: BEFORE anybody is told of them. */
  raise(events: number): Promise<void> {
    // What something else has written there is older than what this node has just written.
    const { newest, base } = this.#options.keys;
    const value = encodeNewest(events);
    return this.#change(
      newest,
      (text) => ((readNewest(text ?? "") ?? -1) >= events ? null : value),
      [{ type: "put", key: base, value, lease: null }],
    );
  }

  /**
   * Events for an update to end at, `least` or more: further on than those that any other one was
   * given, by as much as it may have to repeat itself. Errors: CLUSTER_EXPELLED.
   */
  async give(least: number): Promise<number> {
    let given = least;
    await this.#change(this.#options.keys.given, (text) => {
      given = Math.max(least, (readNewest(text ?? "") ?? 0) + GIVEN_STEP);
      return encodeNewest(given);
    });
    return given;
  }

  async setAside(device: string, isAside: boolean): Promise<void> {
    const key = this.#options.keys.aside(device);
    const op: Write = isAside
      ? { type: "put", key, value: "", lease: null }
      : { type: "delete", key };
    await this.#insist(async () => ((await this.#write([], op)) === null ? true : null));
  }

  /**
   * `next`: what the key is to hold, by what it holds; null: it need not be written. What a view
   * shows may be old: only a key whose values make each other needless is changed so. `withFirst`:
   * written when the key is made.
   */
  async #change(
    key: string,
    next: (text: string | null) => string | null,
    withFirst: readonly Write[] = [],
  ): Promise<void> {
    let found = this.#options.view.view.keys.get(key) ?? null;
    await this.#insist(async () => {
      const value = next(found?.value ?? null);
      if (value === null) return true;
      const number = found?.modRevision ?? 0;
      const asSeen: Compare = { type: "mod-revision", key, relation: "=", number };
      const put: Write = { type: "put", key, value, lease: null };
      const refused = await this.#write([asSeen], put, number === 0 ? withFirst : []);
      if (refused === null) return true;
      found = refused.found;
      return null;
    });
  }

  /** Null: it is done, and the view knows; else how the key stands. */
  async #write(
    compares: readonly Compare[],
    op: Write,
    more: readonly Write[] = [],
  ): Promise<{ readonly found: KeyValue | null } | null> {
    const { store, keys, session } = this.#options;
    const { slot, epoch } = session.session;
    const failure: StoreOp[] = [
      { type: "get", key: op.key },
      { type: "get", key: keys.member(slot) },
    ];
    const guards = [keys.guard({ slot, epoch }), ...compares];
    const success: StoreOp[] = [op, ...more, { type: "list", prefix: op.key }];
    const outcome = await store.txn({ compares: guards, success, failure });
    if (outcome.type === "unknown") throw outcome.error;
    if (outcome.type === "committed") {
      const listed = outcome.results.at(-1);
      const found = listed?.type === "list" ? listed.found : [];
      this.#options.view.learn([op.key], { revision: outcome.revision, found });
      return null;
    }
    const [now, member] = outcome.results.map((one) => (one.type === "get" ? one.found : null));
    if (member?.createRevision !== epoch) session.expel();
    return { found: now ?? null };
  }

  async #insist<T>(attempt: () => Promise<T | null>): Promise<T> {
    const result = await this.#options.insist(attempt);
    if (result === null) throw expelled();
    return result;
  }
}
