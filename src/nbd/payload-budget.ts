/**
 * The memory that payloads may take: of all connections of a server together, and of each. Every
 * connection has an allowance of its own, so that small requests always pass; beyond it, it draws
 * on the common budget. A connection that finds the budget empty waits its turn, in order of
 * arrival.
 */
import { assert } from "../common/assert.ts";

/** Told, later, that it may try again. */
export interface BudgetWaiter {
  /** BEFORE this call ends nothing may be drawn: it only schedules the next attempt. */
  onBudgetFreed(): void;
}

export class PayloadBudget {
  readonly #limitBytes: number;
  #usedBytes = 0;
  readonly #waiters = new Set<BudgetWaiter>();

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
  }

  /** True while a connection waits. */
  get isContended(): boolean {
    return this.#waiters.size > 0;
  }

  get usedBytes(): number {
    return this.#usedBytes;
  }

  /** Draws `bytes` for `who`; false when others wait before it or too little is left. */
  tryDraw(bytes: number, who: BudgetWaiter): boolean {
    const first = this.#waiters.values().next().value;
    const isTurn = first === undefined || first === who;
    // A request above the whole limit passes alone.
    const fits = this.#usedBytes === 0 || this.#usedBytes + bytes <= this.#limitBytes;
    if (!isTurn || !fits) {
      this.#waiters.add(who);
      return false;
    }
    this.#waiters.delete(who);
    this.#usedBytes += bytes;
    if (first === who) this.#wakeFirst();
    return true;
  }

  /** Draws without asking: replies that must be sent, few bytes each. */
  draw(bytes: number): void {
    this.#usedBytes += bytes;
  }

  giveBack(bytes: number): void {
    this.#usedBytes -= bytes;
    assert(this.#usedBytes >= 0, "more payload bytes were given back than drawn");
    this.#wakeFirst();
  }

  /** `who` waits no more. */
  leave(who: BudgetWaiter): void {
    if (this.#waiters.delete(who)) this.#wakeFirst();
  }

  #wakeFirst(): void {
    this.#waiters.values().next().value?.onBudgetFreed();
  }
}

/** What one connection holds: its allowance first, then the common budget. */
export class PayloadAccount {
  readonly #budget: PayloadBudget;
  readonly #allowanceBytes: number;
  readonly #owner: BudgetWaiter;
  #heldBytes = 0;

  constructor(budget: PayloadBudget, allowanceBytes: number, owner: BudgetWaiter) {
    this.#budget = budget;
    this.#allowanceBytes = allowanceBytes;
    this.#owner = owner;
  }

  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** Holds `bytes` more; false when it must wait. */
  tryHold(bytes: number): boolean {
    const drawn = this.#drawnAt(this.#heldBytes + bytes) - this.#drawnAt(this.#heldBytes);
    if (drawn > 0 && !this.#budget.tryDraw(drawn, this.#owner)) return false;
    this.#heldBytes += bytes;
    return true;
  }

  /** Holds `bytes` more in any case. */
  hold(bytes: number): void {
    const drawn = this.#drawnAt(this.#heldBytes + bytes) - this.#drawnAt(this.#heldBytes);
    this.#heldBytes += bytes;
    if (drawn > 0) this.#budget.draw(drawn);
  }

  free(bytes: number): void {
    const drawn = this.#drawnAt(this.#heldBytes) - this.#drawnAt(this.#heldBytes - bytes);
    this.#heldBytes -= bytes;
    assert(this.#heldBytes >= 0, "a connection freed more payload bytes than it held");
    if (drawn > 0) this.#budget.giveBack(drawn);
  }

  #drawnAt(heldBytes: number): number {
    return heldBytes > this.#allowanceBytes ? heldBytes - this.#allowanceBytes : 0;
  }
}
