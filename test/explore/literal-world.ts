/**
 * The literal choreography over the DLM's pure function, with a slow and faulty way between nodes
 * and locks. Nodes look at their locks now and then and learn what is new from counters.
 */
import {
  callbacksSince,
  type Delivered,
  NOTHING_DELIVERED,
} from "../../src/cluster/dlm/lock-callbacks.ts";
import { CW } from "../../src/cluster/dlm/lock-mode.ts";
import type { LockCall } from "../../src/cluster/dlm/lock-operation.ts";
import {
  EMPTY_RESOURCE,
  type LockKey,
  type LockResource,
} from "../../src/cluster/dlm/lock-resource.ts";
import { operate } from "../../src/cluster/dlm/lock-transition.ts";
import { decodeLvb } from "../../src/cluster/dlm/lvb-text.ts";
import { stepLiteral } from "../../src/cluster/md/literal-exchange.ts";
import {
  type Dialect,
  type ExchangeLock,
  type LiteralEffect,
  type LiteralEvent,
  type LiteralState,
  newLiteralState,
} from "../../src/cluster/md/literal-state.ts";
import { ACK, MESSAGE, NO_NEW_DEV, TOKEN } from "../../src/cluster/md/lock-names.ts";
import { decodeMessage } from "../../src/cluster/md/message-codec.ts";
import type { ExchangeCall } from "../../src/cluster/md/message-exchange.ts";
import { newHistory, notePublished } from "./message-history.ts";
import { MessageWorld, numberOf, type WorldOptions } from "./message-world.ts";

const LOCKS: readonly ExchangeLock[] = [MESSAGE, TOKEN, ACK, NO_NEW_DEV];

/** A lock call on its way. */
interface SentCall {
  readonly resource: ExchangeLock;
  readonly call: LockCall;
}

/** What the DLM and the way to it know of a node. */
interface Seat {
  /** Not purged. */
  readonly isMember: boolean;
  readonly hasBegun: boolean;
  readonly op: number;
  /** Calls on their way, in the order in which they were made. */
  readonly calls: readonly SentCall[];
  /** A call that was made already and may arrive once more. */
  readonly stray: SentCall | null;
  readonly delivered: Readonly<Record<ExchangeLock, Delivered>>;
}

export interface LocksBelow {
  readonly locks: Readonly<Record<ExchangeLock, LockResource>>;
  readonly seats: readonly Seat[];
}

const EPOCH = 100;

const perLock = <T>(value: T): Record<ExchangeLock, T> => ({
  [MESSAGE]: value,
  [TOKEN]: value,
  [ACK]: value,
  [NO_NEW_DEV]: value,
});

export type StepLiteral = typeof stepLiteral;

export class LiteralWorld extends MessageWorld<
  LiteralState,
  LiteralEvent,
  LiteralEffect,
  LocksBelow
> {
  readonly #step: StepLiteral;

  /** The members have joined and want what `options` say. */
  constructor(options: WorldOptions, dialect: Dialect, step: StepLiteral = stepLiteral) {
    const count = options.wishes.length + (options.joiners ?? 0);
    const machines = Array.from({ length: count }, (_, index) =>
      newLiteralState({ slot: index + 1, epoch: EPOCH + index }, dialect),
    );
    const delivered = perLock(NOTHING_DELIVERED);
    const seat = { isMember: true, hasBegun: false, op: 1, calls: [], stray: null, delivered };
    super(options, machines, {
      locks: perLock(EMPTY_RESOURCE),
      seats: machines.map(() => seat),
    });
    this.#step = step;
    for (const index of options.wishes.keys()) {
      this.begin(index);
      for (let [move] = this.movesBelow(); move !== undefined; [move] = this.movesBelow())
        this.make(move);
    }
    const history = newHistory(count, options.wishes.length);
    this.set({ history });
    this.wantAll();
  }

  protected canWrite(): boolean[] {
    return this.state.below.seats.map(({ isMember }) => isMember);
  }

  protected isMember(index: number): boolean {
    return this.#seat(index).isMember;
  }

  protected hasBegun(index: number): boolean {
    return this.#seat(index).hasBegun;
  }

  protected step(machine: LiteralState, event: LiteralEvent) {
    return this.#step(machine, event);
  }

  protected fromAbove(call: ExchangeCall): LiteralEvent {
    return call;
  }

  protected begin(index: number): void {
    this.#setSeat(index, { hasBegun: true });
    this.feed(index, { type: "join" });
  }

  protected down(index: number, effect: LiteralEffect): void {
    if (effect.type !== "lock") return;
    const { resource, mode, flags, lvb, hasBast } = effect;
    const { op, calls } = this.#seat(index);
    const key = this.#key(index, resource);
    const call: LockCall = { type: "lock", ...key, op, mode, flags, lvb, hasBast };
    this.#setSeat(index, { op: op + 1, calls: [...calls, { resource, call }] });
  }

  protected movesBelow(): string[] {
    const isHostile = this.options.isHostile === true;
    const moves: string[] = [];
    for (const [index, seat] of this.state.below.seats.entries()) {
      const { isRunning, isOut } = this.node(index);
      if (!isRunning && seat.isMember) moves.push(`purge ${index}`);
      if (seat.stray !== null) moves.push(`repeat ${index}`);
      if (seat.calls.length > 0) {
        moves.push(`call ${index}`);
        if (isHostile && seat.stray === null) moves.push(`lose ${index}`);
        if (isHostile && seat.calls.length > 1) moves.push(`overtake ${index}`);
      }
      if (!isRunning || isOut) continue;
      if (!seat.isMember) moves.push(`notice ${index}`);
      for (const resource of LOCKS)
        if (this.#news(index, resource).callbacks.length > 0)
          moves.push(`look ${index} ${resource}`);
    }
    return moves;
  }

  protected makeBelow(verb: string, index: number, what: string): void {
    const { calls, stray } = this.#seat(index);
    const [first, ...rest] = calls;
    switch (verb) {
      case "call":
        this.#setSeat(index, { calls: rest });
        if (first !== undefined) this.#carryOut(index, first);
        break;
      case "overtake":
        this.#setSeat(index, { calls: [...rest, first as SentCall] });
        break;
      case "lose":
        // The answer is lost: the call is made, and made again.
        this.#setSeat(index, { stray: first ?? null });
        break;
      case "repeat":
        this.#setSeat(index, { stray: null });
        if (stray !== null) this.#carryOut(index, stray);
        break;
      case "look":
        this.#look(index, what as ExchangeLock);
        break;
      case "purge":
      case "expel":
        this.#purge(index);
        break;
      default:
        this.feed(index, { type: "expelled" });
    }
  }

  #seat(index: number): Seat {
    return this.state.below.seats[index] as Seat;
  }

  #setSeat(index: number, change: Partial<Seat>): void {
    const { below } = this.state;
    const seats = below.seats.with(index, { ...this.#seat(index), ...change });
    this.set({ below: { ...below, seats } });
  }

  #setLock(resource: ExchangeLock, value: LockResource): void {
    const { below } = this.state;
    this.set({ below: { ...below, locks: { ...below.locks, [resource]: value } } });
  }

  #key(index: number, resource: ExchangeLock): LockKey {
    return { slot: index + 1, epoch: EPOCH + index, id: LOCKS.indexOf(resource) + 1 };
  }

  /** The call reaches the DLM; one that is granted at once is answered at once. */
  #carryOut(index: number, { resource, call }: SentCall): void {
    if (!this.#seat(index).isMember) return;
    const { locks } = this.state.below;
    if (resource === MESSAGE && call.mode === CW && call.lvb !== null) {
      const envelope = decodeMessage(decodeLvb(call.lvb));
      if ("seq" in envelope)
        this.set({ history: notePublished(this.state.history, numberOf(envelope)) });
    }
    this.#setLock(resource, operate(locks[resource], call).resource);
    if (this.node(index).isRunning) this.#look(index, resource, "ast");
  }

  #news(index: number, resource: ExchangeLock) {
    const delivered = this.#seat(index).delivered[resource];
    return callbacksSince(this.state.below.locks[resource], this.#key(index, resource), delivered);
  }

  /** The node learns what is new; with "ast" the completions only. */
  #look(index: number, resource: ExchangeLock, only?: "ast"): void {
    const seat = this.#seat(index);
    const { callbacks, delivered } = this.#news(index, resource);
    const before = seat.delivered[resource];
    const bastCount = only === undefined ? delivered.bastCount : before.bastCount;
    const now = { astCount: delivered.astCount, bastCount };
    this.#setSeat(index, { delivered: { ...seat.delivered, [resource]: now } });
    for (const callback of callbacks) {
      if (callback.type === "ast") {
        const { status, lvb } = callback;
        this.feed(index, { type: "ast", resource, status, lvb });
      } else if (only === undefined) {
        this.feed(index, { type: "bast", resource, mode: callback.mode });
      }
    }
  }

  #purge(index: number): void {
    this.#setSeat(index, { isMember: false, calls: [], stray: null });
    const owners = [this.#key(index, TOKEN)];
    for (const resource of LOCKS) {
      const { locks } = this.state.below;
      this.#setLock(resource, operate(locks[resource], { type: "purge", owners }).resource);
    }
  }
}
