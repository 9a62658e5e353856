/**
 * A board's session in a cluster store, which join-driver.ts begins: keeps the lease, and confirms
 * the session every second. A confirmation that is committed is the permission
 * for I/O, counted from when it was SENT; that the lease is kept alive permits nothing.
 */
import { CodedError } from "../../common/errors.ts";
import { isSameOwner, type LockOwner } from "../dlm/lock-resource.ts";
import { LVB_BYTES } from "../dlm/lvb-text.ts";
import { decodeResource } from "../dlm/resource-codec.ts";
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
  endPassTxn,
  freeSlotTxn,
  leaveTxn,
  leftoversTxn,
  listedLocks,
} from "./member-txns.ts";
import type { StoreClock } from "./store-clock.ts";
import type { Session, StoreKeys } from "./store-keys.ts";
import type { ViewDriver } from "./view-driver.ts";

/** Longer than the 6 s for which a confirmation permits I/O: who is cut off parks before. */
export const LEASE_MS = 10_000;
/** One lost confirmation does no harm: 6 s have room for several. */
export const CONFIRM_MS = 1000;

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
  readonly listener: SessionListener;
  readonly leaseMs?: number;
  readonly confirmMs?: number;
}

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

  /** Sends a confirmation now; its revision, or null when it is not known to be committed. */
  async confirm(): Promise<number | null> {
    const { store, keys, clock, listener } = this.#options;
    const sentAt = clock.now();
    this.#count += 1;
    try {
      const outcome = await store.txn(confirmTxn(keys, this.session, this.#count, this.lease));
      if (this.#isOver) return null;
      if (outcome.type === "committed") {
        this.#options.view.expect(outcome.revision);
        listener.confirmed(sentAt, outcome.revision);
        return outcome.revision;
      }
      if (outcome.type === "refused") this.expel();
    } catch (error) {
      if (isCode(error, "CLUSTER_STORE_LEASE_GONE")) this.expel();
    }
    return null;
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
   * with the names of the resources that have to be purged of it, null if it is not gone. Tells
   * them again when it was dead already.
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
    return heldBy(keys, listedLocks(outcome.results), (lock) => isSameOwner(lock, gone));
  }

  /** Locks of earlier sessions in this slot, which nobody else can purge any more. */
  async leftovers(): Promise<readonly { readonly resource: string; readonly owner: Session }[]> {
    const { slot, epoch } = this.session;
    const outcome = await this.#txn(leftoversTxn(this.#options.keys, this.session));
    if (outcome.type === "unknown") throw outcome.error;
    const found = listedLocks(outcome.results);
    const owners = found.flatMap(({ value }) => ownersIn(value));
    const epochs = new Set(owners.flatMap((one) => (one.slot === slot ? [one.epoch] : [])));
    epochs.delete(epoch);
    return [...epochs].flatMap((old) =>
      heldBy(this.#options.keys, found, (lock) => lock.slot === slot && lock.epoch === old).map(
        (resource) => ({ resource, owner: { slot, epoch: old } }),
      ),
    );
  }

  /**
   * Begins to recover a dead slot, or goes on for a recoverer that died; true also when this
   * session has begun before. False: others do.
   */
  async beginRecovery(slot: number): Promise<boolean> {
    const { store, keys } = this.#options;
    const { found } = await store.list(keys.slots);
    const now = found.find(({ key }) => key === keys.slot(slot));
    const state = decodeSlot(now?.value ?? null);
    if (now === undefined || state.type === "free" || state.type === "live") return false;
    if (state.type === "recovering" && isSameOwner(state.by, this.session)) return true;
    const txn = beginRecoveryTxn(keys, this.session, slot, state, now.modRevision);
    const outcome = await this.#txn(txn);
    if (outcome.type === "unknown") throw outcome.error;
    return outcome.type === "committed";
  }

  /** The bitmap of the slot is recovered: it may be taken. False: it was not mine to free. */
  async freeSlot(slot: number, epoch: number): Promise<boolean> {
    const txn = freeSlotTxn(this.#options.keys, this.session, slot, epoch);
    const outcome = await this.#txn(txn);
    if (outcome.type === "unknown") throw outcome.error;
    return outcome.type === "committed";
  }

  /** The resync pass is over that was owed at this revision. False: another one is owed by now. */
  async endPass(passRevision: number): Promise<boolean> {
    const outcome = await this.#txn(endPassTxn(this.#options.keys, this.session, passRevision));
    if (outcome.type === "unknown") throw outcome.error;
    return outcome.type === "committed";
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

/** Whose locks a stored resource has; nobody's in one that cannot be read: calls on it wait. */
const ownersIn = (text: string): readonly LockOwner[] => {
  try {
    const { granted, converting, waiting } = decodeResource(text, LVB_BYTES);
    return [...granted, ...converting, ...waiting];
  } catch {
    return [];
  }
};

const heldBy = (
  keys: StoreKeys,
  found: readonly KeyValue[],
  isTheirs: (owner: LockOwner) => boolean,
): readonly string[] =>
  found
    .filter(({ value }) => ownersIn(value).some(isTheirs))
    .flatMap(({ key }) => keys.resourceIn(key) ?? []);

const isCode = (error: unknown, code: string): boolean =>
  error instanceof CodedError && error.code === code;
