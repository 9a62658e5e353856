/** Carries out what lock-machine.ts decides, over any cluster store. */
import { assertNever } from "../../common/assert.ts";
import type { CodedError } from "../../common/errors.ts";
import type { CallResult, LockNotification } from "../dlm/lock-operation.ts";
import type { LockOwner } from "../dlm/lock-resource.ts";
import type { ClusterStore, KeyChange } from "./cluster-store.ts";
import type { LockEffect, LockEvent, OwnCall } from "./lock-events.ts";
import { LockMachine } from "./lock-machine.ts";
import { keyOf, revisionOf } from "./revisioned-map.ts";
import type { StoreClock } from "./store-clock.ts";
import type { Session, StoreKeys } from "./store-keys.ts";
import type { ViewDriver } from "./view-driver.ts";

export interface LockListener {
  /** For one lock in order; between locks there is none. Must not throw. */
  readonly notify: (resource: string, notification: LockNotification) => void;
  /** Once: the session is over and all its locks are lost. */
  readonly expelled: () => void;
  /** The key of the resource holds something else; calls on it wait. */
  readonly damaged: (resource: string, error: CodedError) => void;
}

export interface LockClientOptions {
  readonly store: ClusterStore;
  /** Of `keys.prefix`: one watch for all that happens to the array. */
  readonly view: ViewDriver;
  readonly keys: StoreKeys;
  readonly session: Session;
  readonly clock: StoreClock;
  /** A number in [0, 1), another one each time. */
  readonly random: () => number;
  readonly listener: LockListener;
  readonly lvbBytes?: number;
}

export class LockClient {
  readonly #options: LockClientOptions;
  readonly #machine: LockMachine;
  readonly #unsubscribe: () => void;
  readonly #returns = new Map<number, (result: CallResult) => void>();
  readonly #timers = new Set<() => void>();
  readonly #events: LockEvent[] = [];
  #isStepping = false;
  #isClosed = false;
  #tag = 0;

  constructor(options: LockClientOptions) {
    this.#options = options;
    const { view } = options;
    this.#unsubscribe = view.subscribe((changes) => this.#see(changes));
    const peek = (key: string) => view.view.keys.get(key) ?? null;
    this.#machine = new LockMachine({ ...options, peek });
  }

  /** `returned` comes first and once, then the completion as a notification. */
  call(resource: string, call: OwnCall, returned: (result: CallResult) => void): void {
    this.#tag += 1;
    this.#returns.set(this.#tag, returned);
    this.#feed({ type: "call", resource, call, tag: this.#tag });
  }

  /**
   * Takes all locks of dead sessions off a resource. ONLY when nothing of theirs can be written any
   * more, to the store and to members: others are granted what they held.
   */
  purge(resource: string, owners: readonly LockOwner[]): Promise<CallResult> {
    this.#tag += 1;
    const { promise, resolve } = Promise.withResolvers<CallResult>();
    this.#returns.set(this.#tag, resolve);
    this.#feed({ type: "purge", resource, owners, tag: this.#tag });
    return promise;
  }

  /** The member key is gone, as others may have noticed earlier. */
  expel(): void {
    this.#feed({ type: "expelled" });
  }

  /** Ends without unlocking anything. */
  close(): void {
    this.#feed({ type: "expelled" });
    this.#isClosed = true;
    this.#unsubscribe();
    for (const cancel of this.#timers) cancel();
  }

  #see(changes: readonly KeyChange[]): void {
    for (const change of changes) {
      const resource = this.#options.keys.resourceIn(keyOf(change));
      if (resource === null) continue;
      const found = change.type === "put" ? change.now : null;
      this.#feed({ type: "seen", resource, found, revision: revisionOf(change) });
    }
  }

  /** One event at a time, to its end: what an effect causes comes after the others. */
  #feed(event: LockEvent): void {
    if (this.#isClosed) return;
    this.#events.push(event);
    if (this.#isStepping) return;
    this.#isStepping = true;
    for (let next = this.#events.shift(); next !== undefined; next = this.#events.shift())
      for (const effect of this.#machine.step(next)) this.#carryOut(effect);
    this.#isStepping = false;
  }

  #carryOut(effect: LockEffect): void {
    const { listener, store, clock } = this.#options;
    switch (effect.type) {
      case "txn": {
        const { resource } = effect;
        store.txn(effect.txn).then(
          (outcome) => this.#feed({ type: "answered", resource, outcome }),
          () => this.#feed({ type: "rejected", resource }),
        );
        return;
      }
      case "retry-after": {
        const { resource } = effect;
        const cancel = clock.after(effect.ms, () => {
          this.#timers.delete(cancel);
          this.#feed({ type: "retry", resource });
        });
        this.#timers.add(cancel);
        return;
      }
      case "returned":
        this.#returns.get(effect.tag)?.(effect.result);
        this.#returns.delete(effect.tag);
        return;
      case "notify":
        listener.notify(effect.resource, effect.notification);
        return;
      case "damaged":
        listener.damaged(effect.resource, effect.error);
        return;
      case "expelled":
        listener.expelled();
        return;
      default:
        assertNever(effect);
    }
  }
}
