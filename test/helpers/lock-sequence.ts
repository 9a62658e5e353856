/**
 * Random sequences of operations on one lock resource, every step judged by LockOracle, and beside
 * it: calls made twice, owners that look only now and then, the text form, values left alone.
 */
import { isDeepStrictEqual } from "node:util";
import * as FLAGS from "../../src/cluster/dlm/lock-flags.ts";
import { LOCK_MODES, MODE_NAMES, NL } from "../../src/cluster/dlm/lock-mode.ts";
import type { LockCall, LockOperation, UnlockCall } from "../../src/cluster/dlm/lock-operation.ts";
import type { LockKey, LockResource } from "../../src/cluster/dlm/lock-resource.ts";
import type { Prng } from "../../src/common/prng.ts";
import { lvbOf } from "./lock-bench.ts";
import { demand, keyText, LockOracle, type OracleLock } from "./lock-oracle.ts";

/** The part of the product under test; a test hands in a broken copy. */
export interface DlmUnderTest {
  readonly operate: typeof import("../../src/cluster/dlm/lock-transition.ts").operate;
  readonly recall: typeof import("../../src/cluster/dlm/lock-transition.ts").recall;
  readonly callbacksSince: typeof import("../../src/cluster/dlm/lock-callbacks.ts").callbacksSince;
  readonly encodeResource: typeof import("../../src/cluster/dlm/resource-codec.ts").encodeResource;
  readonly decodeResource: typeof import("../../src/cluster/dlm/resource-codec.ts").decodeResource;
  readonly EMPTY_RESOURCE: LockResource;
}

/** Operations of a sequence: enough for queues to fill and drain many times. */
export const SEQUENCE_STEPS = 400;

const SLOTS = 4;
const LOCKS = 9;

const REQUEST_FLAGS = [
  FLAGS.DLM_LKF_NOQUEUE,
  FLAGS.DLM_LKF_NOQUEUEBAST,
  FLAGS.DLM_LKF_HEADQUE,
  FLAGS.DLM_LKF_NOORDER,
  FLAGS.DLM_LKF_ALTPR,
  FLAGS.DLM_LKF_ALTCW,
  FLAGS.DLM_LKF_EXPEDITE,
  FLAGS.DLM_LKF_NODLCKBLK,
];
const CONVERT_FLAGS = [
  ...REQUEST_FLAGS.filter((flag) => flag !== FLAGS.DLM_LKF_EXPEDITE),
  FLAGS.DLM_LKF_QUECVT,
  FLAGS.DLM_LKF_CONVDEADLK,
  FLAGS.DLM_LKF_NODLCKWT,
];
/** With these, whoever is in the way is always told. */
const STRICT_FLAGS = [FLAGS.DLM_LKF_NOQUEUE, FLAGS.DLM_LKF_QUECVT, FLAGS.DLM_LKF_CONVDEADLK];

/** One sequence under way. */
class LockSequence {
  readonly counts = new Map<string, number>();
  resource: LockResource;
  readonly #dlm: DlmUnderTest;
  readonly #prng: Prng;
  readonly #oracle: LockOracle;
  readonly #isStrict: boolean;
  readonly #epochs: number[];
  readonly #delivered = new Map<string, { astCount: number; bastCount: number }>();
  readonly #trace: (line: string) => void;
  #next = 1;

  constructor(dlm: DlmUnderTest, prng: Prng, trace: (line: string) => void) {
    this.#dlm = dlm;
    this.#prng = prng;
    this.#trace = trace;
    this.#isStrict = prng.chance(1, 3);
    this.#oracle = new LockOracle(this.#isStrict);
    this.#epochs = Array.from({ length: SLOTS }, (_, slot) => slot + 1);
    this.resource = dlm.EMPTY_RESOURCE;
  }

  step(): void {
    this.#apply(this.#draw());
  }

  /** Everybody lets go: every call completes, and nothing is left. */
  drain(): void {
    for (const { key } of [...this.#oracle.locks.values()])
      this.#apply({ type: "unlock", ...key, ...this.#fresh(FLAGS.DLM_LKF_FORCEUNLOCK) });
    demand(this.#oracle.locks.size === 0, "I3: a lock is left");
    demand(this.resource === this.#dlm.EMPTY_RESOURCE, "an empty resource is not forgotten");
  }

  #apply(operation: LockOperation): void {
    this.#trace(describe(operation));
    const own = operation.type === "purge" ? undefined : this.#lock(operation);
    // An owner knows how its lock stands before it does anything with it.
    if (own !== undefined) this.#look(own);
    const before = this.resource;
    const isWatched = this.#prng.chance(1, 8);
    const text = isWatched ? JSON.stringify(before) : "";
    const step = this.#dlm.operate(before, operation);
    this.#count(step.result.type === "refused" ? step.result.errno : step.result.type);
    for (const note of step.notifications) this.#count(note.type === "ast" ? note.status : "BAST");
    if (isWatched) demand(JSON.stringify(before) === text, "the old value was changed");
    if (step.result.type !== "accepted")
      demand(step.resource === before, "a call without effect changed the resource");
    this.resource = step.resource;
    this.#oracle.observe(operation, step);
    if (isWatched) this.#checkText();
    if (isWatched) this.#checkProgress();
    if (operation.type !== "purge" && step.result.type === "accepted") {
      if (this.#prng.chance(1, 4)) this.#repeat(operation, step.notifications.length > 0);
      const now = this.#lock(operation);
      if (now !== undefined) this.#look(now);
    }
    if (this.#prng.chance(1, 8)) for (const lock of this.#oracle.locks.values()) this.#look(lock);
  }

  /**
   * No wake-up is lost: when whoever holds something lets go, again and again, all queues drain.
   * Conversions with NODLCKWT may wait for each other.
   */
  #checkProgress(): void {
    if (this.resource.converting.some(({ flags }) => (flags & FLAGS.DLM_LKF_NODLCKWT) !== 0))
      return;
    let now = this.resource;
    for (let turn = 0; now.granted.length > 0; turn++) {
      demand(turn <= LOCKS, "letting go does not end");
      const flags = FLAGS.DLM_LKF_FORCEUNLOCK;
      for (const { slot, epoch, id } of now.granted) {
        const call = { slot, epoch, id, op: this.#next, flags, lvb: null };
        now = this.#dlm.operate(now, { type: "unlock", ...call }).resource;
      }
    }
    demand(now === this.#dlm.EMPTY_RESOURCE, "nobody holds anything, and somebody waits");
  }

  #count(what: string): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + 1);
  }

  #lock(key: LockKey): OracleLock | undefined {
    return this.#oracle.locks.get(keyText(key));
  }

  #checkText(): void {
    const text = this.#dlm.encodeResource(this.resource);
    const again = this.#dlm.decodeResource(text);
    demand(this.#dlm.encodeResource(again) === text, "the text form changes");
    demand(isDeepStrictEqual(again, this.resource), "the text form loses");
  }

  /** The store's answer was lost: the call is made again. */
  #repeat(operation: LockCall | UnlockCall, isNoted: boolean): void {
    const isKnown = this.#lock(operation) !== undefined;
    const step = this.#dlm.recall(this.resource, operation);
    if (step === null) {
      demand(!isKnown && operation.type === "lock" && isNoted, "an applied call is not recalled");
      return;
    }
    demand(step.resource === this.resource, "a repeated call changed the resource");
    demand(step.notifications.length <= 1, "a repeated call notifies others");
    if (operation.type === "unlock" && !isKnown) return;
    const again = this.#dlm.operate(this.resource, operation);
    demand(again.resource === this.resource, "a repeated call was applied again");
  }

  /** The owner delivers what is new: the completions that came about, and no BAST too few. */
  #look(lock: OracleLock): void {
    const text = keyText(lock.key);
    const before = this.#delivered.get(text) ?? { astCount: 0, bastCount: 0 };
    const { callbacks, delivered } = this.#dlm.callbacksSince(this.resource, lock.key, before);
    this.#delivered.set(text, delivered);
    const made = lock.undelivered.splice(0);
    const due = made.filter((note) => note.type === "ast");
    const got = callbacks.filter((note) => note.type === "ast");
    demand(due.length === got.length, `${due.length} completions came, ${got.length} delivered`);
    const statuses = JSON.stringify(got.map(({ status, mode }) => [status, mode]));
    const expected = JSON.stringify(due.map(({ status, mode }) => [status, mode]));
    demand(statuses === expected, "another completion was delivered");
    const lastGrant = made.findLastIndex(
      (note) => note.type === "ast" && note.status === "granted",
    );
    const basts = made.slice(lastGrant + 1).filter((note) => note.type === "bast");
    if (!this.#isStrict) return;
    const bast = callbacks.find((note) => note.type === "bast");
    const isDue = basts.length > 0;
    demand((bast !== undefined) === isDue, isDue ? "a BAST was not delivered" : "a BAST of before");
    const isTold = bast === undefined || lock.told.includes(bast.mode);
    demand(isTold, "a BAST with a mode of before the grant");
    demand((bast?.mode ?? NL) >= (basts.at(-1)?.mode ?? NL), "a BAST of a lower mode");
  }

  #fresh(flags: number) {
    const moves = (flags & FLAGS.DLM_LKF_VALBLK) !== 0;
    return { op: this.#next++, flags, lvb: moves ? lvbOf(`v${this.#next}`) : null };
  }

  #flags(choices: readonly number[]): number {
    let flags = 0;
    if (this.#prng.chance(1, 2)) flags |= FLAGS.DLM_LKF_VALBLK;
    if (this.#prng.chance(1, 8)) flags |= FLAGS.DLM_LKF_IVVALBLK;
    for (let more = this.#prng.below(3); more > 0; more--) flags |= this.#prng.pick(choices);
    return flags;
  }

  #draw(): LockOperation {
    const prng = this.#prng;
    const locks = [...this.#oracle.locks.values()];
    const kind = prng.below(100);
    if (locks.length === 0 || (kind < 22 && locks.length < LOCKS)) return this.#drawRequest();
    const { key } = prng.pick(locks);
    if (kind < 72) return this.#drawConvert(key);
    if (kind < 84) {
      const forced = prng.chance(1, 2) ? FLAGS.DLM_LKF_FORCEUNLOCK : 0;
      const moves = prng.pick([0, FLAGS.DLM_LKF_VALBLK, FLAGS.DLM_LKF_IVVALBLK]);
      return { type: "unlock", ...key, ...this.#fresh(forced | moves) };
    }
    if (kind < 97) return { type: "unlock", ...key, ...this.#fresh(FLAGS.DLM_LKF_CANCEL) };
    return this.#drawPurge();
  }

  #drawRequest(): LockCall {
    const prng = this.#prng;
    const slot = 1 + prng.below(SLOTS);
    const key = { slot, epoch: this.#epochs[slot - 1] ?? 0, id: this.#next };
    const flags = this.#flags(this.#isStrict ? [FLAGS.DLM_LKF_NOQUEUE] : REQUEST_FLAGS);
    const mode = prng.chance(1, 3) ? NL : prng.pick(LOCK_MODES);
    return { type: "lock", ...key, ...this.#fresh(flags), mode, hasBast: this.#hasBast() };
  }

  #drawConvert(key: LockKey): LockCall {
    const flags = this.#flags(this.#isStrict ? STRICT_FLAGS : CONVERT_FLAGS);
    const mode = this.#prng.pick(LOCK_MODES);
    const fresh = this.#fresh(flags | FLAGS.DLM_LKF_CONVERT);
    return { type: "lock", ...key, ...fresh, mode, hasBast: this.#hasBast() };
  }

  #drawPurge(): LockOperation {
    const slots = this.#prng.shuffle([1, 2, 3, 4]).slice(0, 1 + this.#prng.below(2));
    const owners = slots.map((slot) => ({ slot, epoch: this.#epochs[slot - 1] ?? 0 }));
    for (const slot of slots) this.#epochs[slot - 1] = 100 + this.#next++;
    return { type: "purge", owners };
  }

  #hasBast(): boolean {
    return this.#isStrict || this.#prng.chance(4, 5);
  }
}

const describe = (operation: LockOperation): string => {
  if (operation.type === "purge")
    return `purge ${operation.owners.map(({ slot, epoch }) => `${slot}/${epoch}`).join(" ")}`;
  const names = Object.entries(FLAGS)
    .filter(([name, flag]) => name.startsWith("DLM_LKF_") && (operation.flags & flag) !== 0)
    .map(([name]) => name.slice("DLM_LKF_".length));
  const mode = operation.type === "lock" ? ` ${MODE_NAMES[operation.mode]}` : "";
  return `${operation.type} ${keyText(operation)}${mode} ${names.join("+")}`;
};

/**
 * Runs `steps` random operations and lets everything go. Returns how often what happened.
 * Errors: LockViolation; with `trace` every operation is told before it is made.
 */
export const runLockSequence = (
  dlm: DlmUnderTest,
  prng: Prng,
  steps: number,
  trace: (line: string) => void = () => undefined,
): ReadonlyMap<string, number> => {
  const sequence = new LockSequence(dlm, prng, trace);
  for (let step = 0; step < steps; step++) sequence.step();
  sequence.drain();
  return sequence.counts;
};
