/**
 * Nodes of the literal choreography over the DLM's pure function, without a network: each call is
 * made at once. For unit tests and benches; test/explore has the one with all orders and faults.
 */
import {
  DLM_LKF_CONVERT,
  DLM_LKF_EXPEDITE,
  DLM_LKF_NOQUEUE,
  DLM_LKF_VALBLK,
} from "../../src/cluster/dlm/lock-flags.ts";
import { MODE_NAMES } from "../../src/cluster/dlm/lock-mode.ts";
import type { LockNotification } from "../../src/cluster/dlm/lock-operation.ts";
import { EMPTY_RESOURCE, type LockResource } from "../../src/cluster/dlm/lock-resource.ts";
import { operate } from "../../src/cluster/dlm/lock-transition.ts";
import { stepLiteral } from "../../src/cluster/md/literal-exchange.ts";
import {
  type Dialect,
  type ExchangeLock,
  type LiteralEffect,
  type LiteralEvent,
  type LiteralState,
  type LockEffect,
  newLiteralState,
} from "../../src/cluster/md/literal-state.ts";
import type { ExchangeEffect } from "../../src/cluster/md/message-exchange.ts";

const FLAG_NAMES: readonly (readonly [number, string])[] = [
  [DLM_LKF_NOQUEUE, "NOQUEUE"],
  [DLM_LKF_CONVERT, "CONVERT"],
  [DLM_LKF_VALBLK, "VALBLK"],
  [DLM_LKF_EXPEDITE, "EXPEDITE"],
];

const LOCKS: readonly ExchangeLock[] = ["message", "token", "ack", "no-new-dev"];

interface Delivery {
  readonly index: number;
  readonly event: LiteralEvent;
}

export class LiteralBench {
  readonly states: LiteralState[];
  readonly locks = new Map<ExchangeLock, LockResource>();
  /** As in test/golden/md-cluster: `n1 LOCK token EX CONVERT`, `n2 BAST ack EX`. */
  readonly calls: string[] = [];
  /** What each node told its caller, oldest first; the test takes them. */
  readonly told: ExchangeEffect[][];
  readonly #deliveries: Delivery[] = [];
  #op = 0;

  constructor(nodes: number, dialect: Dialect) {
    this.states = Array.from({ length: nodes }, (_, index) =>
      newLiteralState({ slot: index + 1, epoch: 1 }, dialect),
    );
    this.told = this.states.map(() => []);
  }

  /** All join and enter, one after the other. */
  static entered(nodes: number, dialect: Dialect): LiteralBench {
    const bench = new LiteralBench(nodes, dialect);
    for (let index = 0; index < nodes; index += 1) {
      bench.give(index, { type: "join" });
      bench.take(index);
      bench.give(index, { type: "enter" });
    }
    bench.calls.length = 0;
    return bench;
  }

  /** An event, and everything that follows without a caller. */
  give(index: number, event: LiteralEvent): void {
    this.#step({ index, event });
    for (let next = this.#deliveries.shift(); next !== undefined; next = this.#deliveries.shift())
      this.#step(next);
  }

  /** What the node told since the last time. */
  take(index: number): readonly ExchangeEffect[] {
    return this.told[index]?.splice(0) ?? [];
  }

  /** Granted modes by node, as the document prints them: `token:EX message:CW ack:CR`. */
  modes(index: number): string {
    return LOCKS.flatMap((name) => {
      const { granted, converting } = this.locks.get(name) ?? EMPTY_RESOURCE;
      const own = [...granted, ...converting].find(({ slot }) => slot === index + 1);
      const mode = MODE_NAMES[own?.granted ?? 0];
      return mode === "NL" || name === "no-new-dev" ? [] : [`${name}:${mode}`];
    }).join(" ");
  }

  #step({ index, event }: Delivery): void {
    if (event.type === "bast") {
      const isAck = event.resource === "ack" && event.mode === 5;
      if (isAck) this.calls.push(`n${index + 1} BAST ack EX`);
    }
    const { state, effects } = stepLiteral(this.states[index] as LiteralState, event);
    this.states[index] = state;
    for (const effect of effects) this.#carryOut(index, effect);
  }

  #carryOut(index: number, effect: LiteralEffect): void {
    if (effect.type === "lock") this.#lock(index, effect);
    else if (effect.type === "unlock") this.#purge(index, effect.resource);
    else this.told[index]?.push(effect);
  }

  #lock(index: number, { resource, mode, flags, lvb, hasBast }: LockEffect): void {
    const names = FLAG_NAMES.filter(([flag]) => (flags & flag) !== 0).map(([, name]) => name);
    this.calls.push(`n${index + 1} LOCK ${resource} ${MODE_NAMES[mode]} ${names.join("|")}`);
    this.#op += 1;
    const key = { slot: index + 1, epoch: 1, id: 1, op: this.#op };
    const before = this.locks.get(resource) ?? EMPTY_RESOURCE;
    const call = { type: "lock", ...key, mode, flags, lvb, hasBast } as const;
    const { resource: after, notifications } = operate(before, call);
    this.locks.set(resource, after);
    this.#deliver(resource, notifications);
  }

  #purge(index: number, resource: ExchangeLock): void {
    const owners = [{ slot: index + 1, epoch: 1 }];
    const before = this.locks.get(resource) ?? EMPTY_RESOURCE;
    const { resource: after, notifications } = operate(before, { type: "purge", owners });
    this.locks.set(resource, after);
    this.#deliver(resource, notifications);
  }

  #deliver(resource: ExchangeLock, notifications: readonly LockNotification[]): void {
    for (const notification of notifications) {
      const index = notification.lock.slot - 1;
      if (notification.type === "bast")
        this.#deliveries.push({
          index,
          event: { type: "bast", resource, mode: notification.mode },
        });
      else {
        const { status, lvb } = notification;
        this.#deliveries.push({ index, event: { type: "ast", resource, status, lvb } });
      }
    }
  }

  /** The node dies, and the DLM knows. */
  kill(index: number): void {
    this.#deliveries.length = 0;
    for (const resource of LOCKS) this.#purge(index, resource);
    for (let next = this.#deliveries.shift(); next !== undefined; next = this.#deliveries.shift())
      if (next.index !== index) this.#step(next);
  }
}
