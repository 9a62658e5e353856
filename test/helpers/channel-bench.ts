/**
 * Nodes of the message channel over a map in memory, without a network: each transaction is made
 * at once and everybody sees it. For unit tests and benches; test/explore has the one with faults.
 */
import { stepChannel } from "../../src/cluster/md/channel-exchange.ts";
import {
  type ChannelRecord,
  decodeChannel,
  EMPTY_CHANNEL,
} from "../../src/cluster/md/channel-record.ts";
import {
  type ChannelEffect,
  type ChannelEvent,
  type ChannelState,
  newChannelState,
  type TxnEffect,
} from "../../src/cluster/md/channel-state.ts";
import { memberKey, readChannelView, type SeenKey } from "../../src/cluster/md/channel-view.ts";
import type { ExchangeEffect } from "../../src/cluster/md/message-exchange.ts";

const PREFIX = "a/";

export class ChannelBench {
  readonly states: ChannelState[];
  readonly told: ExchangeEffect[][];
  readonly keys = new Map<string, SeenKey>();
  /** Slots that may still write although they are no members. */
  readonly unfenced = new Set<number>();
  revision: number;
  /** Committed, and refused by their guards. */
  readonly txns = { committed: 0, refused: 0 };
  readonly #queue: { readonly index: number; readonly event: ChannelEvent }[] = [];

  constructor(nodes: number) {
    this.states = Array.from({ length: nodes }, (_, index) =>
      newChannelState({ slot: index + 1, epoch: index + 1 }, PREFIX),
    );
    this.told = this.states.map(() => []);
    for (const { me } of this.states) this.put(memberKey(PREFIX, me.slot), "{}", me.epoch);
    this.revision = nodes;
  }

  /** All join and enter, one after the other. */
  static entered(nodes: number): ChannelBench {
    const bench = new ChannelBench(nodes);
    for (let index = 0; index < nodes; index += 1) {
      bench.look(index);
      bench.take(index);
      bench.give(index, { type: "enter" });
    }
    Object.assign(bench.txns, { committed: 0, refused: 0 });
    return bench;
  }

  get record(): ChannelRecord {
    const text = this.keys.get(`${PREFIX}ch`)?.value;
    return text === undefined ? EMPTY_CHANNEL : decodeChannel(text);
  }

  put(key: string, value: string, revision: number): void {
    const createRevision = this.keys.get(key)?.createRevision ?? revision;
    this.keys.set(key, { key, value, createRevision, modRevision: revision });
  }

  /** An event, and everything that follows without a caller. */
  give(index: number, event: ChannelEvent): void {
    this.#queue.push({ index, event });
    for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift()) {
      const { state, effects } = stepChannel(this.states[next.index] as ChannelState, next.event);
      this.states[next.index] = state;
      for (const effect of effects) this.#carryOut(next.index, effect);
    }
  }

  /** The node sees the present state. */
  look(index: number): void {
    const unfenced = [...this.unfenced].map((slot) => ({ slot, epoch: slot }));
    const view = readChannelView(PREFIX, this.revision, [...this.keys.values()], unfenced);
    this.give(index, { type: "view", view });
  }

  lookAll(): void {
    for (const index of this.states.keys()) this.look(index);
  }

  /** What the node told since the last time. */
  take(index: number): readonly ExchangeEffect[] {
    return this.told[index]?.splice(0) ?? [];
  }

  /** Its member key is gone; whether it still can write is not known. */
  remove(index: number): void {
    this.keys.delete(memberKey(PREFIX, index + 1));
    this.unfenced.add(index + 1);
    this.revision += 1;
    this.lookAll();
  }

  fence(index: number): void {
    this.unfenced.delete(index + 1);
    this.revision += 1;
    this.lookAll();
  }

  #carryOut(index: number, effect: ChannelEffect): void {
    if (effect.type !== "txn") {
      this.told[index]?.push(effect);
      return;
    }
    const isDone = this.#commit(effect);
    this.#queue.push({ index, event: { type: "txn-over", revision: this.revision } });
    if (!isDone) return;
    const unfenced = [...this.unfenced].map((slot) => ({ slot, epoch: slot }));
    const view = readChannelView(PREFIX, this.revision, [...this.keys.values()], unfenced);
    for (const other of this.states.keys())
      this.#queue.push({ index: other, event: { type: "view", view } });
  }

  #commit({ compares, puts }: TxnEffect): boolean {
    const holds = compares.every(({ type, key, number }) => {
      const found = this.keys.get(key);
      const { createRevision = 0, modRevision = 0 } = found ?? {};
      return (type === "create-revision" ? createRevision : modRevision) === number;
    });
    if (!holds) {
      this.txns.refused += 1;
      return false;
    }
    this.txns.committed += 1;
    this.revision += 1;
    for (const { key, value } of puts) this.put(key, value, this.revision);
    return true;
  }
}
