/** What the tests of the cluster store's contract look at, and how. */
import { once } from "node:events";
import * as assert from "uvu/assert";
import type {
  ClusterStore,
  Compare,
  KeyChange,
  KeyValue,
  StoreOp,
  TxnOutcome,
  WatchHint,
} from "../../src/cluster/store/cluster-store.ts";
import { keyOf, revisionOf } from "../../src/cluster/store/revisioned-map.ts";
import { CodedError } from "../../src/common/errors.ts";

export interface StoreSubject {
  readonly store: ClusterStore;
  /** Another connection to the same store. */
  readonly other: ClusterStore;
  /** Nobody else has keys below. */
  readonly prefix: string;
  /** Makes the store forget the changes up to this revision. */
  readonly compact: (revision: number) => Promise<void>;
  /** Lets this time pass, where the test rules over time. */
  readonly passTime: (ms: number) => Promise<void>;
  readonly dispose: () => Promise<void>;
}

export type StoreFactory = () => Promise<StoreSubject>;

/** Registers a test of one property; each gets a store of its own, or a part of one. */
export type OnStore = (title: string, body: (subject: StoreSubject) => Promise<void>) => void;

export const put = (key: string, value: string, lease: string | null = null): StoreOp => ({
  type: "put",
  key,
  value,
  lease,
});

/** A transaction that must be answered. */
export const txn = async (
  store: ClusterStore,
  compares: readonly Compare[],
  success: readonly StoreOp[],
  failure: readonly StoreOp[] = [],
): Promise<Exclude<TxnOutcome, { type: "unknown" }>> => {
  const outcome = await store.txn({ compares, success, failure });
  if (outcome.type === "unknown") throw outcome.error;
  return outcome;
};

/** Writes without a guard; the revision of it. */
export const write = async (store: ClusterStore, ...ops: readonly StoreOp[]): Promise<number> => {
  const outcome = await txn(store, [], ops);
  assert.is(outcome.type, "committed");
  return outcome.revision;
};

export const get = async (store: ClusterStore, key: string): Promise<KeyValue | null> => {
  const { results } = await txn(store, [], [{ type: "get", key }]);
  const [result] = results;
  return result?.type === "get" ? result.found : null;
};

/** The code a call fails with; fails the test when it does not fail. */
export const codeOf = async (call: () => unknown): Promise<string> => {
  try {
    await call();
  } catch (error) {
    if (error instanceof CodedError) return error.code;
    throw error;
  }
  return "no error";
};

/** Collects hints until there are enough. */
export class Hints {
  readonly changes: KeyChange[] = [];
  ended: CodedError | null = null;
  readonly #news = new EventTarget();

  readonly listener = (hint: WatchHint): void => {
    if (hint.type === "ended") this.ended = hint.error;
    else this.changes.push(...hint.changes);
    this.#news.dispatchEvent(new Event("hint"));
  };

  /** `+key@revision` and `-key@revision`, keys without their prefix. */
  told(prefix: string): string[] {
    return this.changes.map((change) => {
      const sign = change.type === "put" ? "+" : "-";
      return `${sign}${keyOf(change).slice(prefix.length)}@${revisionOf(change)}`;
    });
  }

  async until(isEnough: (hints: Hints) => boolean): Promise<void> {
    while (!isEnough(this)) await once(this.#news, "hint");
  }
}
