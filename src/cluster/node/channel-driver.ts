/** Runs the message channel (md/channel-exchange.ts) over a cluster store. */
import { assert } from "../../common/assert.ts";
import type { CodedError } from "../../common/errors.ts";
import type { LockOwner } from "../dlm/lock-resource.ts";
import { stepChannel } from "../md/channel-exchange.ts";
import {
  type ChannelEvent,
  type ChannelState,
  newChannelState,
  type TxnEffect,
} from "../md/channel-state.ts";
import { ChannelReader, type ChannelView } from "../md/channel-view.ts";
import type { ExchangeCall, ExchangeEffect } from "../md/message-exchange.ts";
import type {
  ClusterStore,
  KeyChange,
  OpResult,
  StoreOp,
  TxnOutcome,
} from "../store/cluster-store.ts";
import { keyOf } from "../store/revisioned-map.ts";
import type { Session, StoreKeys } from "../store/store-keys.ts";
import type { ViewDriver } from "../store/view-driver.ts";
import { holderGuards } from "./holder-guards.ts";

/** So many in a row are others who were faster; more wait. */
const REFUSALS_MAX = 3;

export interface ChannelOptions {
  readonly store: ClusterStore;
  readonly view: ViewDriver;
  readonly keys: StoreKeys;
  readonly session: Session;
  /** Who is removed and not declared dead, as the view stands now. */
  readonly unfenced: () => readonly LockOwner[];
  /**
   * The revision of a guarded write that was committed from now on, as soon as there is one; null
   * when the session is over.
   */
  readonly committed: () => Promise<number | null>;
  /** Some time, the longer the more attempts were in vain. */
  readonly pause: (attempts: number) => Promise<void>;
  /** Must not call back before it returns. */
  readonly tell: (effect: ExchangeEffect) => void;
  readonly damaged: (error: CodedError) => void;
}

export class ChannelDriver {
  readonly #options: ChannelOptions;
  #state: ChannelState;
  readonly #events: ChannelEvent[] = [];
  #isStepping = false;
  #isClosed = false;
  #isDamaged = false;
  /** Transactions in a row. */
  #refusals = 0;
  readonly #reader: ChannelReader;
  #view: ChannelView | null = null;

  constructor(options: ChannelOptions) {
    this.#options = options;
    this.#state = newChannelState(options.session, options.keys.prefix);
    this.#reader = new ChannelReader(options.keys.prefix);
  }

  /** What was seen last; for people. */
  get view(): ChannelView | null {
    return this.#view;
  }

  /** Whether these news may be what the channel waits for. */
  concerns(changes: readonly KeyChange[]): boolean {
    const isBehind = (this.#view?.revision ?? 0) < this.#state.minRevision;
    return isBehind || changes.some((change) => this.#reader.isAbout(keyOf(change)));
  }

  call(call: ExchangeCall): void {
    this.#feed(call);
  }

  /** The keys have changed, or who is fenced. */
  look(): void {
    const { view, unfenced, damaged } = this.#options;
    try {
      const { revision, keys } = view.view;
      this.#view = this.#reader.read(revision, keys.values(), unfenced());
    } catch (error) {
      // Nobody acts on what cannot be read: messages wait until somebody has repaired it.
      if (!this.#isDamaged) damaged(error as CodedError);
      this.#isDamaged = true;
      return;
    }
    this.#isDamaged = false;
    this.#feed({ type: "view", view: this.#view });
  }

  close(): void {
    this.#isClosed = true;
  }

  /** One event at a time, to its end: what an effect causes comes after the others. */
  #feed(event: ChannelEvent): void {
    if (this.#isClosed) return;
    this.#events.push(event);
    if (this.#isStepping) return;
    this.#isStepping = true;
    for (let next = this.#events.shift(); next !== undefined; next = this.#events.shift()) {
      const { state, effects } = stepChannel(this.#state, next);
      this.#state = state;
      for (const effect of effects)
        if (effect.type === "txn") void this.#carryOut(effect);
        else this.#options.tell(effect);
    }
    this.#isStepping = false;
  }

  async #carryOut({ compares, puts }: TxnEffect): Promise<void> {
    const { store, keys } = this.#options;
    assert(puts.length > 0, "a transaction of the channel writes");
    // Who sends has to know all members, and all that they have said, from the store's consensus.
    const writesRecord = puts.some(({ key }) => key === keys.channel);
    const isWhole = writesRecord || compares.some(({ key }) => key === keys.channel);
    const reads = isWhole ? this.#reads() : [];
    const record = writesRecord ? this.#state.view?.record : undefined;
    const found = this.#options.view.view.keys;
    const guards = record === undefined ? [] : holderGuards(keys, record, this.#state.me, found);
    let revision: number | null = null;
    try {
      const all = [...compares, ...guards];
      const txn = { compares: all, success: [...puts, ...reads], failure: reads };
      const outcome = await store.txn(txn);
      revision = outcome.type === "unknown" ? null : outcome.revision;
      this.#refusals = outcome.type === "refused" ? this.#refusals + 1 : 0;
      if (isWhole) this.#learn(outcome);
    } catch {
      // Not sent, or refused by all: the same as one that nobody answered.
    }
    // Done or not, a view of after this one tells.
    revision ??= await this.#afterwards(isWhole);
    if (this.#refusals > REFUSALS_MAX) await this.#options.pause(this.#refusals);
    if (this.#isClosed || revision === null) return;
    this.#options.view.expect(revision);
    this.#feed({ type: "txn-over", revision });
    this.look();
  }

  /**
   * A revision of after a transaction of which nobody knows what came; null: the session is over.
   * `isWhole`: what it would have read is read now, or a member whose joining the watch has lost
   * would not be waited for.
   */
  async #afterwards(isWhole: boolean): Promise<number | null> {
    const { store, committed, pause } = this.#options;
    for (let attempts = 1; !this.#isClosed; attempts++) {
      const revision = await committed();
      if (revision === null || !isWhole) return revision;
      try {
        const outcome = await store.txn({ compares: [], success: this.#reads(), failure: [] });
        this.#learn(outcome);
        if (outcome.type !== "unknown") return outcome.revision;
      } catch {
        // As unknown.
      }
      await pause(attempts);
    }
    return null;
  }

  /** The channel, its members, what they have acknowledged, and who of the removed is dead. */
  get #prefixes(): readonly string[] {
    const { keys } = this.#options;
    return [keys.members, keys.acks, keys.slots];
  }

  #reads(): readonly StoreOp[] {
    const { keys } = this.#options;
    const lists = this.#prefixes.map((prefix): StoreOp => ({ type: "list", prefix }));
    return [{ type: "get", key: keys.channel }, ...lists];
  }

  #learn(outcome: TxnOutcome): void {
    if (outcome.type === "unknown" || this.#isClosed) return;
    const found = outcome.results.flatMap(foundIn);
    const { revision } = outcome;
    this.#options.view.learn([...this.#prefixes, this.#options.keys.channel], { revision, found });
  }
}

const foundIn = (result: OpResult) => {
  if (result.type === "list") return result.found;
  return result.type === "get" && result.found !== null ? [result.found] : [];
};
