/**
 * A board's session in a cluster store: joins with a lease in the lowest free slot, keeps the
 * lease, and confirms the session every second. A confirmation that is committed is the permission
 * for I/O, counted from when it was SENT; that the lease is kept alive permits nothing.
 */
import { assert } from "../../common/assert.ts";
import { CodedError } from "../../common/errors.ts";
import { SLOTS_MAX } from "../dlm/slot-table.ts";
import type {
  ClusterStore,
  KeyChange,
  KeyValue,
  LeaseId,
  Txn,
  TxnOutcome,
} from "./cluster-store.ts";
import { decodeSlot, type MemberRecord } from "./member-records.ts";
import {
  beginRecoveryTxn,
  confirmTxn,
  deadTxn,
  freeSlotTxn,
  joinTxn,
  leaveTxn,
  listedLocks,
  readJoin,
} from "./member-txns.ts";
import { RACE_MS_MAX, retryDelay } from "./retry-delay.ts";
import type { StoreClock } from "./store-clock.ts";
import type { Session, StoreKeys } from "./store-keys.ts";
import type { ViewDriver } from "./view-driver.ts";

/** Longer than the 6 s for which a confirmation permits I/O: who is cut off parks before. */
export const LEASE_MS = 10_000;
/** One lost confirmation does no harm: 6 s have room for several. */
export const CONFIRM_MS = 1000;
/** Attempts to join: each lost race means that another board got a slot. */
const JOIN_ATTEMPTS_MAX = 256;

export interface SessionListener {
  /** Monotonic milliseconds at which the confirmation was sent, and its revision. */
  readonly confirmed: (sentAt: number, revision: number) => void;
  /** Once: the session is over. */
  readonly expelled: () => void;
}

export interface SessionOptions {
  readonly store: ClusterStore;
  /** Of `keys.prefix`; it has to show each confirmation. */
  readonly view: ViewDriver;
  readonly keys: StoreKeys;
  readonly clock: StoreClock;
  /** A number in [0, 1), another one each time. */
  readonly random: () => number;
  readonly member: MemberRecord;
  /** Slots that there are: as many as the array has bitmaps. */
  readonly slots: number;
  readonly listener: SessionListener;
  readonly leaseMs?: number;
  readonly confirmMs?: number;
}

const pause = (clock: StoreClock, ms: number): Promise<void> =>
  new Promise((resolve) => void clock.after(ms, resolve));

/** Errors: CLUSTER_NO_SLOT when all are taken, and those of the store. */
export const joinCluster = async (options: SessionOptions): Promise<MemberSession> => {
  const { store, keys, clock, random, member, slots } = options;
  assert(slots >= 1 && slots <= SLOTS_MAX, `${slots} slots`);
  const { id: lease } = await store.leaseGrant(options.leaseMs ?? LEASE_MS);
  // An attempt whose outcome is unknown may still be done: no other slot before that is settled.
  let free: FreeSlot | null = null;
  for (let attempt = 1; attempt <= JOIN_ATTEMPTS_MAX; attempt += 1) {
    free ??= lowestFree(keys, (await store.list(keys.prefix)).found, slots, member);
    if (free === null) break;
    const outcome = await store.txn(joinTxn(keys, free.slot, free.revision, member, lease));
    const epoch =
      outcome.type === "committed"
        ? outcome.revision
        : outcome.type === "refused"
          ? readJoin(outcome.results, member)
          : null;
    if (epoch !== null) return new MemberSession(options, { slot: free.slot, epoch }, lease);
    if (outcome.type === "refused") free = null;
    await pause(clock, retryDelay(attempt, RACE_MS_MAX, random()));
  }
  await store.leaseRevoke(lease);
  throw new CodedError("CLUSTER_NO_SLOT", `all ${slots} slots of the cluster are taken`, {
    remedy: "wait until the slot of a failed board is recovered, or raise the array's nodes",
    details: { slots },
  });
};

interface FreeSlot {
  readonly slot: number;
  readonly revision: number;
}

/** The lowest slot that is free, or that an earlier attempt of this member already has. */
const lowestFree = (
  keys: StoreKeys,
  found: readonly KeyValue[],
  slots: number,
  member: MemberRecord,
): FreeSlot | null => {
  const byKey = new Map(found.map((one) => [one.key, one]));
  for (let slot = 1; slot <= slots; slot += 1) {
    const state = byKey.get(keys.slot(slot));
    const holder = byKey.get(keys.member(slot));
    const isOwn = holder?.value.includes(JSON.stringify(member.life)) === true;
    const isFree = holder === undefined && isFreeSlot(state?.value ?? null);
    if (isOwn || isFree) return { slot, revision: state?.modRevision ?? 0 };
  }
  return null;
};

/** A slot that holds something else is nobody's to take. */
const isFreeSlot = (value: string | null): boolean => {
  try {
    return decodeSlot(value).type === "free";
  } catch {
    return false;
  }
};

export class MemberSession {
  readonly session: Session;
  readonly lease: LeaseId;
  readonly #options: SessionOptions;
  #count = 0;
  #isOver = false;
  readonly #unsubscribe: () => void;
  #cancelConfirm: (() => void) | null = null;
  #cancelKeep: (() => void) | null = null;

  constructor(options: SessionOptions, session: Session, lease: LeaseId) {
    this.#options = options;
    this.session = session;
    this.lease = lease;
    this.#unsubscribe = options.view.subscribe((changes) => this.#see(changes));
    this.#confirmAfter(0);
    this.#keepAfter();
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  /** Sends a confirmation now. */
  async confirm(): Promise<void> {
    const { store, keys, clock, listener } = this.#options;
    const sentAt = clock.now();
    this.#count += 1;
    try {
      const outcome = await store.txn(confirmTxn(keys, this.session, this.#count, this.lease));
      if (this.#isOver) return;
      if (outcome.type === "committed") {
        this.#options.view.expect(outcome.revision);
        listener.confirmed(sentAt, outcome.revision);
      }
      if (outcome.type === "refused") this.expel();
    } catch (error) {
      if (isCode(error, "CLUSTER_STORE_LEASE_GONE")) this.expel();
    }
  }

  /** The member key is gone, as somebody noticed. */
  expel(): void {
    if (this.#isOver) return;
    this.stop();
    this.#options.listener.expelled();
  }

  /**
   * Leaves; all locks are unlocked before. `isClean`: the slot's bitmap has nothing to recover.
   * An outcome that is unknown is the lease's end at the latest.
   */
  async leave(isClean: boolean): Promise<TxnOutcome> {
    this.stop();
    const outcome = await this.#txn(leaveTxn(this.#options.keys, this.session, isClean));
    await this.#options.store.leaseRevoke(this.lease);
    return outcome;
  }

  /**
   * ONLY once fencing of the session is proven. Its slot is dead and waits for recovery; resolves
   * with the names of the resources that have to be purged of it, null if it is not gone.
   */
  async declareDead(gone: Session): Promise<readonly string[] | null> {
    const { keys } = this.#options;
    const outcome = await this.#txn(deadTxn(keys, this.session, gone));
    if (outcome.type === "unknown") throw outcome.error;
    if (outcome.type === "refused") {
      const [slot] = outcome.results;
      const value = slot?.type === "get" ? (slot.found?.value ?? null) : null;
      const state = decodeSlot(value);
      const isDone = state.type === "dead" || state.type === "recovering";
      if (!isDone || state.epoch !== gone.epoch) return null;
    }
    return listedLocks(outcome.results).flatMap(({ key }) => keys.resourceIn(key) ?? []);
  }

  /** Begins to recover a dead slot, or goes on for a recoverer that died; false: others do. */
  async beginRecovery(slot: number): Promise<boolean> {
    const { store, keys } = this.#options;
    const { found } = await store.list(keys.slots);
    const now = found.find(({ key }) => key === keys.slot(slot));
    const state = decodeSlot(now?.value ?? null);
    if (now === undefined || state.type === "free" || state.type === "live") return false;
    const txn = beginRecoveryTxn(keys, this.session, slot, state, now.modRevision);
    return (await this.#txn(txn)).type === "committed";
  }

  /** The bitmap of the slot is recovered: it may be taken. */
  async freeSlot(slot: number, epoch: number): Promise<boolean> {
    const txn = freeSlotTxn(this.#options.keys, this.session, slot, epoch);
    return (await this.#txn(txn)).type === "committed";
  }

  /** Confirms and keeps the lease no more, as a board that died. */
  stop(): void {
    this.#isOver = true;
    this.#cancelConfirm?.();
    this.#cancelKeep?.();
    this.#unsubscribe();
  }

  /** A member key that is gone does not come back: the end may be noticed before it is told. */
  #see(changes: readonly KeyChange[]): void {
    const key = this.#options.keys.member(this.session.slot);
    const isGone = changes.some(
      (change) =>
        change.type === "delete" && change.key === key && change.revision > this.session.epoch,
    );
    if (isGone) this.expel();
  }

  #txn(txn: Txn): Promise<TxnOutcome> {
    return this.#options.store.txn(txn);
  }

  #confirmAfter(ms: number): void {
    if (this.#isOver) return;
    this.#cancelConfirm = this.#options.clock.after(ms, () => {
      void this.confirm();
      this.#confirmAfter(this.#options.confirmMs ?? CONFIRM_MS);
    });
  }

  #keepAfter(): void {
    if (this.#isOver) return;
    const ms = (this.#options.leaseMs ?? LEASE_MS) / 4;
    this.#cancelKeep = this.#options.clock.after(ms, () => {
      // Whatever the answer: only a confirmation tells whether the session lives.
      this.#options.store.leaseKeepAlive(this.lease).catch(() => {});
      this.#keepAfter();
    });
  }
}

const isCode = (error: unknown, code: string): boolean =>
  error instanceof CodedError && error.code === code;
