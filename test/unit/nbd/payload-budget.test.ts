import { suite } from "uvu";
import * as assert from "uvu/assert";
import {
  type BudgetWaiter,
  PayloadAccount,
  PayloadBudget,
} from "../../../src/nbd/payload-budget.ts";

const test = suite("nbd/payload-budget");

class Waiter implements BudgetWaiter {
  woken = 0;
  onBudgetFreed(): void {
    this.woken += 1;
  }
}

const makeAccount = (budget: PayloadBudget, waiter: Waiter): PayloadAccount =>
  new PayloadAccount(budget, 10, waiter);

test("a connection within its allowance never asks the budget", () => {
  const budget = new PayloadBudget(100);
  const account = makeAccount(budget, new Waiter());
  assert.is(account.tryHold(10), true);
  assert.is(budget.usedBytes, 0);
  assert.is(account.tryHold(5), true);
  assert.is(budget.usedBytes, 5);
  account.free(15);
  assert.is(budget.usedBytes, 0);
});

test("an empty budget makes a connection wait and wakes it when bytes come back", () => {
  const budget = new PayloadBudget(100);
  const [rich, poor] = [new Waiter(), new Waiter()];
  const [first, second] = [makeAccount(budget, rich), makeAccount(budget, poor)];
  assert.is(first.tryHold(110), true);
  assert.is(second.tryHold(11), false);
  assert.is(second.heldBytes, 0);
  assert.is(budget.isContended, true);
  first.free(50);
  assert.is(poor.woken, 1);
  assert.is(second.tryHold(11), true);
  assert.is(budget.isContended, false);
});

test("those who wait are served in order of arrival", () => {
  const budget = new PayloadBudget(100);
  const waiters = [new Waiter(), new Waiter(), new Waiter()];
  const [holder, first, second] = waiters.map((waiter) => makeAccount(budget, waiter));
  assert.ok(holder && first && second);
  holder.tryHold(110);
  assert.is(first.tryHold(90), false);
  assert.is(second.tryHold(11), false);
  holder.free(30);
  // There would be room for the second, but it is not its turn.
  assert.is(second.tryHold(11), false);
  holder.free(80);
  assert.is(first.tryHold(90), true);
  assert.ok((waiters[2]?.woken ?? 0) > 0);
  assert.is(second.tryHold(11), true);
});

test("a request above the whole budget passes when nothing else is held", () => {
  const budget = new PayloadBudget(100);
  const account = makeAccount(budget, new Waiter());
  assert.is(account.tryHold(500), true);
  const other = makeAccount(budget, new Waiter());
  assert.is(other.tryHold(500), false);
  account.free(500);
  assert.is(other.tryHold(500), true);
});

test("one who leaves lets the next take its turn", () => {
  const budget = new PayloadBudget(100);
  const [rich, gone, next] = [new Waiter(), new Waiter(), new Waiter()];
  const holder = makeAccount(budget, rich);
  holder.tryHold(110);
  assert.is(makeAccount(budget, gone).tryHold(90), false);
  const account = makeAccount(budget, next);
  assert.is(account.tryHold(60), false);
  holder.free(60);
  budget.leave(gone);
  assert.is(next.woken, 1);
  assert.is(account.tryHold(60), true);
});

test("replies that must be sent are held past the limit", () => {
  const budget = new PayloadBudget(100);
  const account = makeAccount(budget, new Waiter());
  account.tryHold(110);
  account.hold(16);
  assert.is(account.heldBytes, 126);
  assert.is(budget.usedBytes, 116);
  account.free(126);
  assert.is(budget.usedBytes, 0);
});

test.run();
