/**
 * A node's own messages, one after the other, and the hold: the right to send that is kept over
 * several messages. While this node has the hold, every message goes out within it, whoever asked
 * first: nothing of one node waits for another thing of the same node.
 */
import { assert } from "../../common/assert.ts";
import type { ClusterMessage } from "../md/md-message.ts";
import { type ExchangeCall, type ExchangeEffect, REQUESTS_MAX } from "../md/message-exchange.ts";

export interface Acknowledgement {
  /** Of a NEWDISK: somebody does not see the device. */
  readonly isRefused: boolean;
  /** DLM slots; empty where the protocol does not tell who. */
  readonly refusedBy: readonly number[];
}

interface Letter {
  readonly message: ClusterMessage;
  readonly then: (ack: Acknowledgement) => void;
  /** The hold ends with it. */
  readonly isLast: boolean;
}

/** What a node that rests for a change of the array cannot carry out. */
const NOT_AT_REST = new Set<ClusterMessage["type"]>(["resyncing", "remove", "re-add"]);

const isForArray = ({ message }: Letter): boolean => NOT_AT_REST.has(message.type);

type Errand =
  | { readonly type: "letter"; readonly letter: Letter }
  | { readonly type: "hold"; readonly then: () => void }
  /** Everything that others sent before is processed and finished; nothing is sent. */
  | { readonly type: "barrier"; readonly then: () => void };

/** What this node sends now, for people. */
export interface PendingMessage {
  readonly name: string;
  readonly isGranted: boolean;
  readonly since: number;
}

/** md-cluster's name of a message: RESYNCING. */
export const messageName = (type: string): string =>
  type === "newdisk" ? "NEWDISK" : type.toUpperCase().replaceAll("-", "_");

export class MessageDesk {
  readonly #call: (call: ExchangeCall) => void;
  readonly #now: () => number;
  readonly #errands: Errand[] = [];
  /** Asked of the exchange. */
  #asked: { readonly id: number; readonly errand: Errand; isGranted: boolean } | null = null;
  /** Within the hold; the first one is on its way when `isSending`. */
  #letters: Letter[] = [];
  #isHolding = false;
  #isSending = false;
  /** The hold ends when the letters before are acknowledged. */
  #isReleasing = false;
  /** Nobody wants a hold any more. */
  #isGivenUp = false;
  /** Others rest for a change of the array; what waits for their end of it. */
  #areOthersAtRest = false;
  #keptBack: Letter[] = [];
  #id = 0;
  #since = 0;

  constructor(call: (call: ExchangeCall) => void, now: () => number) {
    this.#call = call;
    this.#now = now;
  }

  get pending(): PendingMessage | null {
    if (this.#asked === null) return null;
    const { errand, isGranted } = this.#asked;
    const [first] = this.#letters;
    const letter = errand.type === "letter" ? errand.letter : first;
    if (letter === undefined && this.#isHolding) return null;
    const name = letter === undefined ? "" : messageName(letter.message.type);
    return { name, isGranted, since: this.#since };
  }

  get isHolding(): boolean {
    return this.#isHolding;
  }

  /** Nothing of this node is on its way or waits. */
  get isIdle(): boolean {
    return this.#asked === null && this.#errands.length === 0;
  }

  /** Tells all nodes; `then` when every one has processed it. */
  send(message: ClusterMessage, then: (ack: Acknowledgement) => void): void {
    const letter = { message, then, isLast: false };
    if (this.#areOthersAtRest && isForArray(letter)) this.#keepBack(letter);
    else if (this.#isHolding && !this.#isEnding()) this.#post(letter);
    else this.#add({ type: "letter", letter });
  }

  /** `then` when this node has the right to send, until `sendLast` or `release`. */
  hold(then: () => void): void {
    this.#add({ type: "hold", then });
  }

  barrier(then: () => void): void {
    this.#add({ type: "barrier", then });
  }

  /** Ends the hold with a message. */
  sendLast(message: ClusterMessage, then: (ack: Acknowledgement) => void): void {
    assert(this.#isHolding, "only a hold ends with a message");
    this.#post({ message, then, isLast: true });
  }

  /** Ends the hold when what was asked for within it is acknowledged. */
  release(): void {
    assert(this.#isHolding, "there is no hold to release");
    this.#isReleasing = true;
    this.#sendNext();
  }

  /**
   * Forgets what has not begun; it is never answered. The hold, if there is one, ends, unless the
   * node is to leave with it (`keepsHold`). Only single messages are sent from now on.
   */
  giveUp(keepsHold: boolean): void {
    this.#isGivenUp = true;
    this.#errands.length = 0;
    this.#keptBack.length = 0;
    if (this.#isHolding && !this.#isEnding() && !keepsHold) this.release();
  }

  get areOthersAtRest(): boolean {
    return this.#areOthersAtRest;
  }

  /** Names of the messages that wait for the end of others' rest. */
  get keptBack(): readonly string[] {
    return this.#keptBack.map(({ message }) => messageName(message.type));
  }

  /**
   * A BITMAP_RESIZE was told: who came to rest for it carries nothing out before the next
   * METADATA_UPDATED, whoever sends that, for who sent the first may be dead. What only a running
   * array can do is kept back until then: in flight, it would keep the update from being told.
   */
  othersRest(): void {
    this.#areOthersAtRest = true;
    for (const letter of this.#letters.splice(this.#isSending ? 1 : 0))
      if (isForArray(letter)) this.#keepBack(letter);
      else this.#letters.push(letter);
    for (const errand of this.#errands.splice(0))
      if (errand.type === "letter" && isForArray(errand.letter)) this.#keepBack(errand.letter);
      else this.#errands.push(errand);
  }

  /** A METADATA_UPDATED was processed by all, or is about to be: whoever rested runs the array. */
  restIsOver(): void {
    this.#areOthersAtRest = false;
    for (const { message, then } of this.#keptBack.splice(0)) this.send(message, then);
  }

  onGranted(id: number): void {
    const asked = this.#asked;
    if (asked === null || asked.id !== id) return;
    asked.isGranted = true;
    const { errand } = asked;
    switch (errand.type) {
      case "letter":
        if (this.#areOthersAtRest && isForArray(errand.letter)) {
          this.#keptBack.unshift(errand.letter);
          this.#call({ type: "release" });
          this.#end(() => {});
        } else this.#call({ type: "send", message: errand.letter.message, isLast: true });
        break;
      case "barrier":
        this.#call({ type: "release" });
        this.#end(errand.then);
        break;
      case "hold":
        this.#open(errand.then);
    }
  }

  onAcknowledged(effect: Extract<ExchangeEffect, { type: "acknowledged" }>): void {
    const asked = this.#asked;
    if (asked === null || asked.id !== effect.id) return;
    if (asked.errand.type === "letter") {
      const { then } = asked.errand.letter;
      this.#end(() => then(effect));
      return;
    }
    const letter = this.#letters.shift();
    this.#isSending = false;
    if (letter === undefined) return;
    if (letter.isLast) {
      this.#isHolding = false;
      this.#end(() => letter.then(effect));
    } else {
      letter.then(effect);
      this.#sendNext();
    }
  }

  #isEnding(): boolean {
    return this.#isReleasing || this.#letters.some(({ isLast }) => isLast);
  }

  #keepBack(letter: Letter): void {
    assert(this.#keptBack.length < REQUESTS_MAX, "too many messages of this node wait");
    this.#keptBack.push(letter);
  }

  #add(errand: Errand): void {
    assert(this.#errands.length < REQUESTS_MAX, "too many messages of this node wait");
    this.#errands.push(errand);
    this.#askNext();
  }

  #askNext(): void {
    if (this.#asked !== null) return;
    const errand = this.#errands.shift();
    if (errand === undefined) return;
    this.#id += 1;
    this.#since = this.#now();
    this.#asked = { id: this.#id, errand, isGranted: false };
    const isHold = errand.type === "hold";
    this.#call({ type: "request", request: { id: this.#id, isHold } });
  }

  #open(then: () => void): void {
    if (this.#isHolding) return;
    this.#isHolding = true;
    this.#isReleasing = this.#isGivenUp;
    const others = this.#errands.splice(0);
    for (const errand of others)
      if (errand.type === "letter") this.#letters.push(errand.letter);
      else this.#errands.push(errand);
    if (!this.#isGivenUp) then();
    this.#sendNext();
  }

  #post(letter: Letter): void {
    assert(this.#letters.length < REQUESTS_MAX, "too many messages of this node wait");
    this.#letters.push(letter);
    this.#sendNext();
  }

  #sendNext(): void {
    if (!this.#isHolding || this.#isSending) return;
    const [letter] = this.#letters;
    if (letter !== undefined) {
      this.#isSending = true;
      this.#since = this.#now();
      this.#call({ type: "send", message: letter.message, isLast: letter.isLast });
    } else if (this.#isReleasing) {
      this.#isHolding = false;
      this.#isReleasing = false;
      this.#call({ type: "release" });
      this.#end(() => {});
    }
  }

  #end(then: () => void): void {
    this.#asked = null;
    then();
    this.#askNext();
  }
}
