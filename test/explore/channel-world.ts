/**
 * The message channel over a map with revisions, guards and member keys that may go at any time,
 * with a slow and faulty way between nodes and store. Views lag as far as they like.
 */

import type { LockOwner } from "../../src/cluster/dlm/lock-resource.ts";
import { decodeLvb } from "../../src/cluster/dlm/lvb-text.ts";
import { stepChannel } from "../../src/cluster/md/channel-exchange.ts";
import {
  type ChannelRecord,
  decodeChannel,
  EMPTY_CHANNEL,
  encodeChannel,
} from "../../src/cluster/md/channel-record.ts";
import {
  type ChannelEffect,
  type ChannelEvent,
  type ChannelState,
  newChannelState,
  type TxnEffect,
} from "../../src/cluster/md/channel-state.ts";
import {
  ackKey,
  type ChannelView,
  channelKey,
  memberKey,
  readChannelView,
  type SeenKey,
} from "../../src/cluster/md/channel-view.ts";
import { decodeMessage } from "../../src/cluster/md/message-codec.ts";
import type { ExchangeCall } from "../../src/cluster/md/message-exchange.ts";
import { checkFinished, MessageViolation, newHistory, notePublished } from "./message-history.ts";
import { MessageWorld, numberOf, UPDATE, type WorldOptions } from "./message-world.ts";

const PREFIX = "a/";
const NOBODYS = encodeChannel(EMPTY_CHANNEL);

/** What the store and the way to it know of a node. */
interface Seat {
  /** Has a member key. */
  readonly isMember: boolean;
  /** Was removed, and all conditions for its recovery hold: it cannot write any more. */
  readonly isFenced: boolean;
  readonly hasBegun: boolean;
  /** A transaction on its way. */
  readonly txn: TxnEffect | null;
  /** One that was made, or not, and may arrive once more. */
  readonly stray: TxnEffect | null;
  /** The state that the node has seen. */
  readonly seen: number;
}

export interface StoreBelow {
  readonly revision: number;
  /** By key, in the order of their names. */
  readonly keys: readonly SeenKey[];
  readonly seats: readonly Seat[];
}

export type StepChannel = typeof stepChannel;

export class ChannelWorld extends MessageWorld<
  ChannelState,
  ChannelEvent,
  ChannelEffect,
  StoreBelow
> {
  readonly #step: StepChannel;

  /** The members have joined and want what `options` say. */
  constructor(options: WorldOptions, step: StepChannel = stepChannel) {
    const count = options.wishes.length + (options.joiners ?? 0);
    const machines = Array.from({ length: count }, (_, index) =>
      newChannelState({ slot: index + 1, epoch: index + 1 }, PREFIX),
    );
    const keys = machines.map(({ me }) => ({
      key: memberKey(PREFIX, me.slot),
      value: "{}",
      createRevision: me.epoch,
      modRevision: me.epoch,
    }));
    const seat = { isMember: true, isFenced: false, hasBegun: false, txn: null, stray: null };
    super(options, machines, {
      revision: count,
      keys,
      seats: machines.map(() => ({ ...seat, seen: 0 })),
    });
    this.#step = step;
    for (const index of options.wishes.keys()) {
      this.begin(index);
      for (let [move] = this.movesBelow(); move !== undefined; [move] = this.movesBelow())
        this.make(move);
    }
    this.set({ history: newHistory(count, options.wishes.length) });
    this.wantAll();
  }

  /**
   * Revisions matter only as far as they are those of now: a guard that fails will always fail, and
   * of an old view only its content counts.
   */
  override key(): unknown {
    const { history, nodes, crashesLeft, expulsionsLeft, below } = this.state;
    const current = this.#find(channelKey(PREFIX))?.modRevision ?? 0;
    return [
      history,
      crashesLeft,
      expulsionsLeft,
      below.keys.map(({ key, value }) => [key, value]),
      nodes.map(({ machine: { view, minRevision, grantedAt, ...machine }, ...node }, index) => {
        const { txn, stray, ...seat } = this.#seat(index);
        const isNew = view !== null && view.revision === below.revision;
        return [
          machine,
          node,
          isNew ? "now" : this.#contentOf(view),
          view !== null && view.revision >= minRevision,
          grantedAt === null ? null : [grantedAt === current, grantedAt === view?.modRevision],
          txn === null || this.#holds(txn) ? txn?.puts : "late",
          stray === null || this.#holds(stray) ? stray?.puts : "late",
          { ...seat, seen: seat.seen === below.revision },
        ];
      }),
    ];
  }

  #contentOf(view: ChannelView | null): unknown {
    if (view === null) return null;
    const { revision: _, modRevision, acks, ...content } = view;
    const isNow = (key: string, number: number): boolean =>
      this.state.below.keys.some((now) => now.key === key && now.modRevision === number);
    const seen = acks.map(({ modRevision: number, ...ack }) => [
      ack,
      isNow(ackKey(PREFIX, ack.slot), number),
    ]);
    return [content, isNow(channelKey(PREFIX), modRevision), seen];
  }

  protected canWrite(): readonly boolean[] {
    return this.state.below.seats.map(({ isFenced }) => !isFenced);
  }

  protected isMember(index: number): boolean {
    return this.#seat(index).isMember;
  }

  protected hasBegun(index: number): boolean {
    return this.#seat(index).hasBegun;
  }

  protected step(machine: ChannelState, event: ChannelEvent) {
    return this.#step(machine, event);
  }

  protected fromAbove(call: ExchangeCall): ChannelEvent {
    return call;
  }

  protected begin(index: number): void {
    this.#setSeat(index, { hasBegun: true });
  }

  protected down(index: number, effect: ChannelEffect): void {
    if (effect.type !== "txn") return;
    if (this.#seat(index).txn !== null)
      throw new MessageViolation(`node ${index} makes two transactions at a time`);
    this.#setSeat(index, { txn: effect });
  }

  protected movesBelow(): string[] {
    const isHostile = this.options.isHostile === true;
    const { seats, revision } = this.state.below;
    const moves: string[] = [];
    for (const [index, seat] of seats.entries()) {
      const { isRunning, isOut } = this.node(index);
      if (!isRunning && seat.isMember) moves.push(`remove ${index}`);
      if (!seat.isMember && !seat.isFenced) moves.push(`fence ${index}`);
      if (seat.stray !== null) moves.push(`repeat ${index}`);
      if (seat.txn !== null) {
        moves.push(`txn ${index}`);
        if (isHostile && seat.stray === null) moves.push(`lose ${index}`);
      }
      const isListening = isRunning && !isOut && seat.hasBegun;
      if (isListening && seat.seen < revision) moves.push(`look ${index}`);
    }
    return moves;
  }

  protected makeBelow(verb: string, index: number): void {
    const { txn, stray } = this.#seat(index);
    switch (verb) {
      case "txn":
        this.#setSeat(index, { txn: null });
        if (txn !== null) this.#commit(txn);
        this.#answer(index);
        break;
      case "lose":
        // Nobody answers; it may arrive much later.
        this.#setSeat(index, { txn: null, stray: txn });
        this.#answer(index);
        break;
      case "repeat":
        this.#setSeat(index, { stray: null });
        if (stray !== null) this.#commit(stray);
        break;
      case "look":
        this.#look(index);
        break;
      case "fence":
        this.#setSeat(index, { isFenced: true });
        this.#setBelow({ revision: this.state.below.revision + 1 });
        this.#tellAnew();
        break;
      default:
        this.#remove(index);
    }
  }

  #seat(index: number): Seat {
    return this.state.below.seats[index] as Seat;
  }

  #setBelow(change: Partial<StoreBelow>): void {
    this.set({ below: { ...this.state.below, ...change } });
  }

  #setSeat(index: number, change: Partial<Seat>): void {
    const seats = this.state.below.seats.with(index, { ...this.#seat(index), ...change });
    this.#setBelow({ seats });
  }

  #answer(index: number): void {
    this.feed(index, { type: "txn-over", revision: this.state.below.revision });
  }

  #look(index: number): void {
    const { revision, keys, seats } = this.state.below;
    this.#setSeat(index, { seen: revision });
    const unfenced = seats.flatMap(({ isFenced }, other) =>
      isFenced ? [] : [{ slot: other + 1, epoch: other + 1 }],
    );
    const view = readChannelView(PREFIX, revision, keys, unfenced);
    this.feed(index, { type: "view", view });
  }

  /** Who recovers a node that died with the right to send makes an update: others may join then. */
  #tellAnew(): void {
    const record = decodeChannel(this.#find(channelKey(PREFIX))?.value ?? NOBODYS);
    const { holder, origin, isDone } = record;
    const isGone = (owner: LockOwner | null): boolean =>
      owner !== null && !this.isMember(owner.slot - 1);
    // The right may be with somebody who gives it back to the dead node that it came from.
    const isLent = this.state.nodes.some(({ machine }) => machine.orphan !== null);
    if (!isGone(holder) && !isLent && (isDone || !isGone(origin))) return;
    const heir = this.state.nodes.findIndex(
      ({ isRunning, isOut, isEntering }, index) =>
        this.isMember(index) &&
        isRunning &&
        !isOut &&
        !isEntering &&
        this.state.history.countsFrom[index] !== null,
    );
    if (heir >= 0) this.want(heir, "update");
  }

  #remove(index: number): void {
    const { keys, revision } = this.state.below;
    const gone = memberKey(PREFIX, index + 1);
    this.#setSeat(index, { isMember: false });
    this.#setBelow({ keys: keys.filter(({ key }) => key !== gone), revision: revision + 1 });
  }

  #find(name: string): SeenKey | undefined {
    return this.state.below.keys.find(({ key }) => key === name);
  }

  #holds({ compares }: TxnEffect): boolean {
    return compares.every(({ type, key, number }) => {
      const { createRevision = 0, modRevision = 0 } = this.#find(key) ?? {};
      return (type === "create-revision" ? createRevision : modRevision) === number;
    });
  }

  #commit(txn: TxnEffect): void {
    if (!this.#holds(txn)) return;
    const { keys, revision } = this.state.below;
    const now = revision + 1;
    const written = txn.puts.map(({ key, value }) => {
      const createRevision = this.#find(key)?.createRevision ?? now;
      if (key === channelKey(PREFIX)) this.#noteRecord(this.#find(key), decodeChannel(value));
      return { key, value, createRevision, modRevision: now };
    });
    const others = keys.filter(({ key }) => written.every((put) => put.key !== key));
    const all = [...others, ...written].sort((a, b) => (a.key < b.key ? -1 : 1));
    this.#setBelow({ keys: all, revision: now });
  }

  /** I5: numbers go up by one, and only one message is in flight. */
  #noteRecord(key: SeenKey | undefined, now: ChannelRecord): void {
    const before = key === undefined ? null : decodeChannel(key.value);
    const isNew = now.seq !== (before?.seq ?? 0);
    const message = now.payload === null ? null : decodeMessage(decodeLvb(now.payload));
    const number = message !== null && "seq" in message ? numberOf(message) : -1;
    if (isNew) {
      if (now.seq !== (before?.seq ?? 0) + 1)
        throw new MessageViolation(`message ${now.seq} follows message ${before?.seq}`);
      if (before?.isDone === false)
        throw new MessageViolation(`message ${now.seq} is written over the unfinished one`);
      if (number !== UPDATE) this.set({ history: notePublished(this.state.history, number) });
    } else if (number === UPDATE) {
      return;
    } else if (before !== null && !before.isDone && now.isDone) {
      checkFinished(this.state.history, number, this.canWrite());
    }
  }
}
