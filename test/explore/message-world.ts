/**
 * Some nodes with a protocol for messages, as a state with moves: what a random run walks through
 * and the explorer exhausts. A move is the smallest thing that can happen; what can be delayed,
 * lost, repeated or overtaken is a move of its own. Below the protocol lies what a subclass adds.
 */
import * as assert from "uvu/assert";
import type { ClusterMessage, Envelope } from "../../src/cluster/md/md-message.ts";
import type { ExchangeCall, ExchangeEffect } from "../../src/cluster/md/message-exchange.ts";
import {
  checkEnd,
  checkFinished,
  type History,
  MessageViolation,
  newHistory,
  noteAcknowledged,
  noteCounting,
  noteHeld,
  noteProcessed,
  noteReleased,
} from "./message-history.ts";

/**
 * What a node wants to send, one after the other; `hold`: two messages with one right to send;
 * `update`: the METADATA_UPDATED that follows a recovery, which no history lists.
 */
export type Wish = "message" | "hold" | "withdraw" | "hold, withdraw" | "update";

export interface WorldOptions {
  /** By node: members from the beginning. */
  readonly wishes: readonly (readonly Wish[])[];
  /** Nodes that join on the way, behind those; they send nothing. */
  readonly joiners?: number;
  readonly crashes?: number;
  /** Members that are removed although they run. */
  readonly expulsions?: number;
  /** Calls and answers may be lost, repeated and late. */
  readonly isHostile?: boolean;
}

/** One node. Replaced, never changed. */
export interface WorldNode<Machine> {
  readonly machine: Machine;
  readonly isRunning: boolean;
  /** It was told that it is out, or it left. */
  readonly isOut: boolean;
  /** It counts, and reads superblocks: nobody else may have the right to send. */
  readonly isEntering: boolean;
  readonly wishes: readonly Wish[];
  /** Messages sent so far. */
  readonly sent: number;
  /** With the present right to send. */
  readonly sentNow: number;
  /** The message at hand. */
  readonly task: number | null;
}

/** Everything there is; a plain value that is replaced, never changed. */
export interface WorldState<Machine, Below> {
  readonly history: History;
  readonly nodes: readonly WorldNode<Machine>[];
  readonly crashesLeft: number;
  readonly expulsionsLeft: number;
  /** What lies below the protocol: locks or a store, and the way there. */
  readonly below: Below;
}

/** A message that says which one it is. */
export const messageOf = (message: number): ClusterMessage => ({
  type: "remove",
  deviceNumber: message,
});

/** The number of a message that histories list. */
export const numberOf = ({ message }: Envelope): number =>
  message.type === "remove" ? message.deviceNumber : UPDATE;

/** Of all updates. */
export const UPDATE = -1;

const isHold = (wish: Wish): boolean => wish.startsWith("hold") || wish === "update";

/** `state` may be read and set at any time: that is how runs are forked. */
export abstract class MessageWorld<
  Machine,
  Event,
  Effect extends { readonly type: string },
  Below,
> {
  readonly options: WorldOptions;
  state: WorldState<Machine, Below>;

  constructor(options: WorldOptions, machines: readonly Machine[], below: Below) {
    this.options = options;
    const nodes = machines.map((machine) => ({
      machine,
      isRunning: true,
      isOut: false,
      isEntering: false,
      wishes: [],
      sent: 0,
      sentNow: 0,
      task: null,
    }));
    const history = newHistory(machines.length, options.wishes.length);
    const { crashes: crashesLeft = 0, expulsions: expulsionsLeft = 0 } = options;
    this.state = { history, nodes, crashesLeft, expulsionsLeft, below };
  }

  protected abstract step(
    machine: Machine,
    event: Event,
  ): { readonly state: Machine; readonly effects: readonly Effect[] };
  /** Carries out an effect of the protocol that is not for the caller. */
  protected abstract down(index: number, effect: Effect): void;
  protected abstract fromAbove(call: ExchangeCall): Event;
  /** Moves of what lies below. */
  protected abstract movesBelow(): string[];
  protected abstract makeBelow(verb: string, index: number, what: string): void;
  /** By node: whether it still may write; not once it is fenced. */
  protected abstract canWrite(): readonly boolean[];
  protected abstract isMember(index: number): boolean;
  /** The node asks to join. */
  protected abstract begin(index: number): void;
  protected abstract hasBegun(index: number): boolean;

  /** All that what can still happen depends on: states with equal keys are explored once. */
  key(): unknown {
    return this.state;
  }

  /** The world after a run from `state` by `move`. */
  after(state: WorldState<Machine, Below>, move: string): WorldState<Machine, Below> {
    this.state = state;
    this.make(move);
    return this.state;
  }

  /** Names of all that can happen now. */
  moves(): readonly string[] {
    const { nodes, crashesLeft, expulsionsLeft } = this.state;
    const moves = this.movesBelow();
    for (const [index, node] of nodes.entries()) {
      if (!node.isRunning) continue;
      if (node.task !== null) moves.push(`process ${index}`);
      if (crashesLeft > 0) moves.push(`crash ${index}`);
      if (expulsionsLeft > 0 && this.isMember(index)) moves.push(`expel ${index}`);
      if (!this.hasBegun(index)) moves.push(`join ${index}`);
      if (node.isEntering && !node.isOut) moves.push(`enter ${index}`);
    }
    return moves;
  }

  make(move: string): void {
    const [verb = "", index = "", what = ""] = move.split(" ");
    const at = Number(index);
    const { history, crashesLeft, expulsionsLeft } = this.state;
    const node = this.node(at);
    if (verb === "process") {
      assert.ok(node.task !== null);
      const isListed = node.task !== UPDATE;
      if (isListed) this.set({ history: noteProcessed(history, at, node.task ?? UPDATE) });
      this.setNode(at, { task: null });
      this.feed(at, this.fromAbove({ type: "processed", isRefused: false }));
    } else if (verb === "crash") {
      this.set({ crashesLeft: crashesLeft - 1 });
      this.setNode(at, { isRunning: false, task: null });
    } else if (verb === "join") this.begin(at);
    else if (verb === "enter") {
      this.setNode(at, { isEntering: false });
      this.set({ history: noteReleased(history, at) });
      this.feed(at, this.fromAbove({ type: "enter" }));
    } else {
      if (verb === "expel") this.set({ expulsionsLeft: expulsionsLeft - 1 });
      this.makeBelow(verb, at, what);
    }
  }

  protected set(change: Partial<WorldState<Machine, Below>>): void {
    this.state = { ...this.state, ...change };
  }

  protected node(index: number): WorldNode<Machine> {
    const node = this.state.nodes[index];
    assert.ok(node, `no node ${index}`);
    return node as WorldNode<Machine>;
  }

  protected setNode(index: number, change: Partial<WorldNode<Machine>>): void {
    const node = { ...this.node(index), ...change };
    this.set({ nodes: this.state.nodes.with(index, node) });
  }

  /** Hands an event to a node, and all that follows from it at once. */
  protected feed(index: number, event: Event): void {
    const node = this.node(index);
    if (!node.isRunning) return;
    const { state: machine, effects } = this.step(node.machine, event);
    this.setNode(index, { machine });
    for (const effect of effects) {
      const answer = this.#up(index, effect);
      if (answer === "below") this.down(index, effect);
      else if (answer !== null) this.feed(index, this.fromAbove(answer));
    }
  }

  #up(index: number, effect: { readonly type: string }): ExchangeCall | null | "below" {
    const told = effect as ExchangeEffect;
    switch (told.type) {
      case "joined":
        this.set({ history: noteCounting(this.state.history, index) });
        return this.#onJoined(index);
      case "granted":
        return this.#onGranted(index);
      case "process":
        if (this.node(index).task !== null)
          throw new MessageViolation(`node ${index} is handed a message while it has one`);
        this.setNode(index, { task: numberOf(told.envelope) });
        return null;
      case "acknowledged":
        return this.#onAcknowledged(index);
      case "lost":
        if (told.reason !== "expelled")
          throw new MessageViolation(`node ${index} is out: ${told.why}`);
        this.setNode(index, { isOut: true, task: null });
        return null;
      case "left":
        this.setNode(index, { isOut: true, task: null });
        return null;
      case "ignored":
      case "taking-over":
        return null;
      default:
        return "below";
    }
  }

  /** Members from the beginning take part at once. */
  #onJoined(index: number): ExchangeCall | null {
    if (index < this.options.wishes.length) return { type: "enter" };
    this.setNode(index, { isEntering: true });
    this.set({ history: noteHeld(this.state.history, index, this.canWrite()) });
    return null;
  }

  #onGranted(index: number): ExchangeCall {
    const { wishes } = this.node(index);
    const [wish = "message"] = wishes;
    const { history } = this.state;
    if (isHold(wish)) this.set({ history: noteHeld(history, index, this.canWrite()) });
    if (!wish.endsWith("withdraw")) return this.#send(index);
    this.setNode(index, { wishes: wishes.slice(1) });
    this.set({ history: noteReleased(this.state.history, index) });
    return { type: "release" };
  }

  #send(index: number): ExchangeCall {
    const { wishes, sent, sentNow } = this.node(index);
    if (wishes[0] === "update")
      return {
        type: "send",
        message: { type: "metadata-updated", deviceNumber: 0, events: 0 },
        isLast: true,
      };
    const isLast = wishes[0] === "message" || sentNow === 1;
    return { type: "send", message: messageOf(100 * index + sent), isLast };
  }

  #onAcknowledged(index: number): ExchangeCall | null {
    const { wishes, sent, sentNow } = this.node(index);
    if (wishes[0] === "update") {
      this.setNode(index, { wishes: wishes.slice(1) });
      this.set({ history: noteReleased(this.state.history, index) });
      return null;
    }
    const message = 100 * index + sent;
    checkFinished(this.state.history, message, this.canWrite());
    this.set({ history: noteAcknowledged(this.state.history, message) });
    if (wishes[0] === "hold" && sentNow === 0) {
      this.setNode(index, { sent: sent + 1, sentNow: 1 });
      return this.#send(index);
    }
    this.setNode(index, { sent: sent + 1, sentNow: 0, wishes: wishes.slice(1) });
    this.set({ history: noteReleased(this.state.history, index) });
    return null;
  }

  /** The member wants to send one more message. */
  want(index: number, wish: Wish): void {
    const { wishes, sent } = this.node(index);
    this.setNode(index, { wishes: [...wishes, wish] });
    const request = { id: 100 * sent + wishes.length, isHold: isHold(wish) };
    this.feed(index, this.fromAbove({ type: "request", request }));
  }

  /** Hands the members what `options` say they want; before the first move. */
  protected wantAll(): void {
    for (const [index, wishes] of this.options.wishes.entries())
      for (const wish of wishes) this.want(index, wish);
  }

  /** Where nothing but faults can happen: everything has to be over. */
  checkEnd(): void {
    const { nodes, history } = this.state;
    const isSurvivor = nodes.map(({ isRunning, isOut }, index) => {
      return isRunning && !isOut && this.isMember(index) && this.hasBegun(index);
    });
    checkEnd(history, isSurvivor);
    for (const [index, { wishes, task }] of nodes.entries()) {
      const isDone = wishes.length === 0 && task === null && history.countsFrom[index] !== null;
      if (isSurvivor[index] === true && !isDone)
        throw new MessageViolation(`node ${index} waits for ever`);
    }
  }
}

/** Whether the move happens only when something fails: a run may end without it. */
export const isFault = (move: string): boolean => /^(crash|expel|repeat|lose|join)\b/.test(move);
