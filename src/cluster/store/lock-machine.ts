/**
 * A member's locks in a cluster store: decides, without I/O and clock, what to write and what to
 * tell. Each resource is one key that is changed by compare-and-swap:
 *
 *   call ──► [operate on the known state] ──► txn ──► committed: returned, callbacks
 *                ▲                             │
 *                │   retry, from the state     ├──► raced: known := what the refusal told
 *                └──────── it told ────────────┴──► unknown: `recall` at the next known state
 *
 * One call per resource is under way, the others wait in order. Callbacks are level-triggered: each
 * newer state of a resource is compared with what was delivered, however many were missed. While a
 * call is under way its lock's callbacks are held back: a call returns before its AST comes.
 */
import type { CodedError } from "../../common/errors.ts";
import { callbacksSince, type Delivered, NOTHING_DELIVERED } from "../dlm/lock-callbacks.ts";
import {
  type CallResult,
  type LockCall,
  type LockNotification,
  refuseFull,
  type UnlockCall,
} from "../dlm/lock-operation.ts";
import { findLock, LOCKS_MAX, type LockOwner } from "../dlm/lock-resource.ts";
import { type LockStep, operate, recall } from "../dlm/lock-transition.ts";
import { isLockName, RESOURCES_MAX } from "../dlm/lockspace.ts";
import { LVB_BYTES } from "../dlm/lvb-text.ts";
import { encodeResource } from "../dlm/resource-codec.ts";
import type { KeyValue, TxnOutcome } from "./cluster-store.ts";
import type { LockEffect, LockEvent } from "./lock-events.ts";
import { ABSENT, type KnownResource, readSwapRefusal, swapTxn, toKnown } from "./lock-txn.ts";
import { RACE_MS_MAX, retryDelay } from "./retry-delay.ts";
import type { Session, StoreKeys } from "./store-keys.ts";
import { isStoreValue } from "./store-request.ts";

/** Most calls that wait for one resource. */
export const WAITING_CALLS_MAX = 64;
/** Longest pause after an attempt that the store did not take. */
const AWAY_MS_MAX = 1000;

type Work =
  | { readonly type: "call"; readonly call: LockCall | UnlockCall; readonly tag: number }
  | { readonly type: "purge"; readonly owners: readonly LockOwner[]; readonly tag: number };

interface Station {
  readonly resource: string;
  known: KnownResource;
  /** Revision of what `known` was read at, of a state that could not be read as well. */
  seen: number;
  isDamaged: boolean;
  readonly waiting: Work[];
  /** `sent`: what the transaction under way makes of the resource; null: waits for `retry`. */
  work: { readonly what: Work; sent: LockStep | null } | null;
  attempt: number;
  /** An earlier attempt of this work may have been done. */
  isUncertain: boolean;
  /** By lock id: own locks that are, or may be, there. */
  readonly own: Map<number, { delivered: Delivered; isThere: boolean }>;
}

export interface LockMachineOptions {
  readonly keys: StoreKeys;
  readonly session: Session;
  /** A number in [0, 1), another one each time. */
  readonly random: () => number;
  /** A state of the key that may be old, or null. */
  readonly peek: (key: string) => KeyValue | null;
  readonly lvbBytes?: number;
}

const NO_MEMBER: CallResult = {
  type: "refused",
  errno: "EINVAL",
  why: "no member has this slot and epoch",
};

export class LockMachine {
  readonly #options: LockMachineOptions;
  readonly #lvbBytes: number;
  readonly #stations = new Map<string, Station>();
  #effects: LockEffect[] = [];
  #op = 0;
  #isExpelled = false;

  constructor(options: LockMachineOptions) {
    this.#options = options;
    this.#lvbBytes = options.lvbBytes ?? LVB_BYTES;
  }

  get isExpelled(): boolean {
    return this.#isExpelled;
  }

  step(event: LockEvent): readonly LockEffect[] {
    this.#effects = [];
    if (this.#isExpelled) {
      if (event.type === "call" || event.type === "purge") this.#return(event.tag, NO_MEMBER);
    } else if (event.type === "expelled") this.#expel();
    else this.#stepResource(event);
    return this.#effects;
  }

  #stepResource(event: Exclude<LockEvent, { type: "expelled" }>): void {
    if (event.type === "call" || event.type === "purge") {
      this.#enqueue(event);
      return;
    }
    const station = this.#stations.get(event.resource);
    if (station === undefined) return;
    switch (event.type) {
      case "seen":
        this.#learn(station, event.found, event.revision);
        this.#pump(station);
        return;
      case "answered":
        this.#answered(station, event.outcome);
        return;
      case "rejected":
        this.#again(station, AWAY_MS_MAX);
        return;
      case "retry":
        if (station.work?.sent === null) this.#attempt(station);
    }
  }

  #enqueue(event: Extract<LockEvent, { type: "call" | "purge" }>): void {
    const { resource, tag } = event;
    const station = this.#station(resource);
    if (station === null || station.waiting.length >= WAITING_CALLS_MAX) {
      this.#return(tag, {
        type: "refused",
        errno: "ENOMEM",
        why: "no such name, or too many calls",
      });
      return;
    }
    if (event.type === "purge") station.waiting.push({ type: "purge", owners: event.owners, tag });
    else {
      this.#op += 1;
      const { slot, epoch } = this.#options.session;
      const call = { ...event.call, slot, epoch, op: this.#op };
      station.waiting.push({ type: "call", call, tag });
    }
    this.#pump(station);
  }

  #station(resource: string): Station | null {
    const old = this.#stations.get(resource);
    if (old !== undefined) return old;
    if (!isLockName(resource) || this.#stations.size >= RESOURCES_MAX) return null;
    const station: Station = {
      resource,
      known: ABSENT,
      seen: 0,
      isDamaged: false,
      waiting: [],
      work: null,
      attempt: 0,
      isUncertain: false,
      own: new Map(),
    };
    this.#stations.set(resource, station);
    const found = this.#options.peek(this.#options.keys.lock(resource));
    if (found !== null) this.#learn(station, found, found.modRevision);
    return station;
  }

  /** Begins the next work, if there is some and it can be begun. */
  #pump(station: Station): void {
    if (station.work !== null || station.isDamaged || this.#isExpelled) return;
    const what = station.waiting.shift();
    if (what === undefined) return;
    station.work = { what, sent: null };
    station.attempt = 0;
    station.isUncertain = false;
    if (what.type === "call" && what.call.type === "lock" && !station.own.has(what.call.id))
      station.own.set(what.call.id, { delivered: NOTHING_DELIVERED, isThere: false });
    this.#attempt(station);
  }

  #attempt(station: Station): void {
    const { work, known, resource } = station;
    if (work === null) return;
    if (station.isDamaged) {
      this.#again(station, AWAY_MS_MAX);
      return;
    }
    const { what } = work;
    if (station.isUncertain && what.type === "call") {
      const done = recall(known.resource, what.call);
      if (done !== null) {
        this.#finish(station, what, done);
        return;
      }
    }
    const operation = what.type === "call" ? what.call : ({ ...what, type: "purge" } as const);
    let step = operate(known.resource, operation, this.#lvbBytes);
    let text = encodeResource(step.resource);
    if (!isStoreValue(text)) {
      step = { resource: known.resource, result: refuseFull(LOCKS_MAX), notifications: [] };
      text = encodeResource(known.resource);
    }
    work.sent = step;
    const { keys, session } = this.#options;
    this.#effects.push({
      type: "txn",
      resource,
      txn: swapTxn(keys, session, resource, known, text),
    });
  }

  #answered(station: Station, outcome: TxnOutcome): void {
    const { work } = station;
    if (work === null || work.sent === null) return;
    const { sent, what } = work;
    work.sent = null;
    if (outcome.type === "unknown") {
      station.isUncertain = true;
      this.#again(station, AWAY_MS_MAX);
      return;
    }
    if (outcome.type === "committed") {
      if (outcome.revision > station.seen) {
        station.known = { resource: sent.resource, modRevision: outcome.revision };
        station.seen = outcome.revision;
      }
      this.#finish(station, what, sent);
      return;
    }
    const refusal = readSwapRefusal(outcome.results, this.#options.session);
    if (refusal.type === "expelled") {
      this.#expel();
      return;
    }
    this.#learn(station, refusal.found, outcome.revision);
    if (!this.#isExpelled) this.#again(station, RACE_MS_MAX);
  }

  /** The work is done: its call returns, then come the callbacks. */
  #finish(station: Station, what: Work, step: LockStep): void {
    station.work = null;
    this.#return(what.tag, step.result);
    if (what.type === "call") {
      const { id, slot, epoch } = what.call;
      if (findLock(station.known.resource, what.call) === undefined) station.own.delete(id);
      for (const notification of step.notifications) {
        const { lock } = notification;
        const isOwn = lock.id === id && lock.slot === slot && lock.epoch === epoch;
        const isGone = notification.type === "ast" && !station.own.has(id);
        if (isOwn && isGone) this.#notify(station, notification);
      }
    }
    this.#deliver(station);
    this.#pump(station);
  }

  /** A state of the key, unless a newer one is known. */
  #learn(station: Station, found: KeyValue | null, revision: number): void {
    const at = found?.modRevision ?? revision;
    if (at <= station.seen) return;
    station.seen = at;
    try {
      station.known = toKnown(found, this.#lvbBytes);
      station.isDamaged = false;
    } catch (error) {
      station.isDamaged = true;
      const { resource } = station;
      this.#effects.push({ type: "damaged", resource, error: error as CodedError });
      return;
    }
    this.#deliver(station);
  }

  #deliver(station: Station): void {
    const { slot, epoch } = this.#options.session;
    const { what } = station.work ?? {};
    const busy = what?.type === "call" ? what.call.id : null;
    for (const [id, own] of station.own) {
      if (id === busy) continue;
      const key = { slot, epoch, id };
      const isThere = findLock(station.known.resource, key) !== undefined;
      if (own.isThere && !isThere) {
        // Only a purge takes a lock away, and only who is no member any more is purged.
        this.#expel();
        return;
      }
      own.isThere = isThere;
      const { callbacks, delivered } = callbacksSince(station.known.resource, key, own.delivered);
      own.delivered = delivered;
      for (const notification of callbacks) this.#notify(station, notification);
    }
  }

  #again(station: Station, most: number): void {
    if (station.work === null) return;
    station.work.sent = null;
    station.attempt += 1;
    const ms = retryDelay(station.attempt, most, this.#options.random());
    this.#effects.push({ type: "retry-after", resource: station.resource, ms });
  }

  #expel(): void {
    this.#isExpelled = true;
    for (const { work, waiting } of this.#stations.values()) {
      if (work !== null) this.#return(work.what.tag, NO_MEMBER);
      for (const { tag } of waiting) this.#return(tag, NO_MEMBER);
    }
    this.#stations.clear();
    this.#effects.push({ type: "expelled" });
  }

  #return(tag: number, result: CallResult): void {
    this.#effects.push({ type: "returned", tag, result });
  }

  #notify({ resource }: Station, notification: LockNotification): void {
    this.#effects.push({ type: "notify", resource, notification });
  }
}
