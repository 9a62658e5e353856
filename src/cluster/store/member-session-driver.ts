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
  Revision,
  Txn,
  TxnOutcome,
} from "./cluster-store.ts";
import { LeaseKeeper } from "./lease-keeper-driver.ts";
import { encodeSlot, type MemberRecord, readSlotState } from "./member-records.ts";
import {
  beginRecoveryTxn,
  confirmTxn,
  deadTxn,
  endPassTxn,
  enterTxn,
  freeSlotTxn,
  leaveTxn,
  leftoversTxn,
  listedKeys,
  reopenTxn,
  restoreTxn,
} from "./member-txns.ts";
import { keyOf } from "./revisioned-map.ts";
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
  /** Something else had written this key, without the prefix; it is right again. */
  readonly restored: (key: string, message: string) => void;
}

/** A lock resource, and a session that has locks on it or waits for one. */
export interface HeldLock {
  readonly resource: string;
  readonly owner: LockOwner;
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
  #isRestoring = false;
  readonly #unsubscribe: () => void;
  readonly #keeper: LeaseKeeper;
  #cancelConfirm: (() => void) | null = null;

  constructor(options: SessionOptions, session: Session, lease: LeaseId) {
    this.#options = options;
    this.session = session;
    this.lease = lease;
    this.#unsubscribe = options.view.subscribe((changes) => this.#see(changes));
    const { store, clock, leaseMs = LEASE_MS } = options;
    this.#keeper = new LeaseKeeper({ store, clock, lease, leaseMs });
    this.#confirmAfter(0);
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
      if (outcome.type === "unknown") this.#keeper.missed();
      else this.#keeper.answered();
      if (outcome.type === "committed") {
        this.#options.view.expect(outcome.revision);
        listener.confirmed(sentAt, outcome.revision);
        void this.#restore();
        return outcome.revision;
      }
      if (outcome.type === "refused") this.expel();
    } catch (error) {
      if (isCode(error, "CLUSTER_STORE_LEASE_GONE")) this.expel();
      else this.#keeper.missed();
    }
    return null;
  }

  /**
   * Says that this node uses the array from now on, BEFORE its first client does. Null: it is not
   * known to be said.
   */
  async enter(): Promise<boolean | null> {
    const outcome = await this.#txn(enterTxn(this.#options.keys, this.session, this.lease));
    if (outcome.type === "refused") this.expel();
    return outcome.type === "unknown" ? null : true;
  }

  /** The member key is gone, as somebody noticed. */
  expel(): void {
    if (this.#isOver) return;
    this.stop();
    this.#options.listener.expelled();
  }

  /**
   * Leaves; all locks are unlocked before. `isClean`: the slot's bitmap has nothing to recover.
   * `isFenced`: nothing of the session can reach a member any more. An outcome that is unknown is
   * the lease's end at the latest.
   */
  async leave(isClean: boolean, isFenced = true): Promise<TxnOutcome> {
    this.stop();
    const { keys } = this.#options;
    const outcome = await this.#txn(leaveTxn(keys, this.session, isClean, isFenced));
    await this.#options.store.leaseRevoke(this.lease);
    return outcome;
  }

  /**
   * ONLY once fencing of the session, and of all before it in its slot, is proven. The slot is dead
   * and waits for recovery; resolves with all that sessions of the slot have, which has to be
   * purged of them, null while it is a member. Tells that again when it was dead already. Nothing:
   * the slot stands otherwise by now.
   */
  async declareDead(gone: Session): Promise<readonly HeldLock[] | null> {
    const { keys } = this.#options;
    const outcome = await this.#txn(deadTxn(keys, this.session, gone));
    if (outcome.type === "unknown") throw outcome.error;
    const { results } = outcome;
    if (outcome.type === "refused") {
      const [slot, member] = results.map((one) => (one.type === "get" ? one.found : null));
      if (slot?.modRevision === gone.epoch) return null;
      const isThere = member !== null && member !== undefined;
      if (isThere || !isDeadOf(slot?.value ?? null, gone.epoch)) return [];
    }
    // No session of the slot is a member.
    return heldLocks(keys, listedKeys(results)).filter(({ owner }) => owner.slot === gone.slot);
  }

  /**
   * `own`: of earlier sessions in this slot, which nobody else can purge any more. `orphans`: of
   * sessions that are no members, and whose slots are free. No node leaves that behind: something
   * else has written or deleted the slot. They may still do I/O for as long as fencing takes.
   * `slots`: mod revisions of the keys of slots.
   */
  async leftovers(): Promise<{
    readonly own: readonly HeldLock[];
    readonly orphans: readonly HeldLock[];
    readonly slots: (slot: number) => Revision;
  }> {
    const { keys } = this.#options;
    const me = this.session;
    const outcome = await this.#txn(leftoversTxn(keys, me));
    if (outcome.type === "unknown") throw outcome.error;
    const found = listedKeys(outcome.results);
    const byKey = new Map(found.map((one) => [one.key, one]));
    const isOrphan = ({ slot, epoch }: LockOwner): boolean => {
      const isMember = byKey.get(keys.member(slot))?.createRevision === epoch;
      return !isMember && isFree(byKey.get(keys.slot(slot))?.value ?? null);
    };
    const held = heldLocks(keys, found);
    return {
      own: held.filter(({ owner }) => owner.slot === me.slot && owner.epoch !== me.epoch),
      orphans: held.filter(({ owner }) => owner.slot !== me.slot && isOrphan(owner)),
      slots: (slot) => byKey.get(keys.slot(slot))?.modRevision ?? 0,
    };
  }

  /**
   * Says that a session which is no member has had the slot, whose key something else has written
   * or deleted, at `slotRevision`: it is seen to be gone from then on. Right to repeat.
   */
  async reopen(gone: Session, slotRevision: Revision): Promise<true> {
    const outcome = await this.#txn(
      reopenTxn(this.#options.keys, this.session, gone, slotRevision),
    );
    if (outcome.type === "unknown") throw outcome.error;
    return true;
  }

  /**
   * Begins to recover a dead slot, or goes on for a recoverer that died; true also when this
   * session has begun before. False: others do.
   */
  async beginRecovery(slot: number): Promise<boolean> {
    const { store, keys } = this.#options;
    const { found } = await store.list(keys.slots);
    const now = found.find(({ key }) => key === keys.slot(slot));
    const state = readSlotState(now?.value ?? null);
    if (now === undefined || state === null) return false;
    if (state.type === "free" || state.type === "live") return false;
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
    this.#keeper.stop();
    this.#unsubscribe();
  }

  /**
   * The key of this session's slot says whose the slot is. While the member key is there nobody but
   * this session may write it; where something else has, the others take nothing for over meanwhile
   * (node/membership.ts), and it is put right at once.
   */
  async #restore(): Promise<void> {
    const { keys, view, listener } = this.#options;
    const { slot, epoch } = this.session;
    const found = view.view.keys.get(keys.slot(slot));
    const revision = found?.modRevision ?? 0;
    const isUnseen = view.view.revision < epoch || (revision > 0 && revision < epoch);
    const isRight = revision === epoch || found?.value === encodeSlot({ type: "live", epoch });
    if (this.#isOver || this.#isRestoring || isUnseen || isRight) return;
    this.#isRestoring = true;
    try {
      const outcome = await this.#txn(restoreTxn(keys, this.session, revision));
      if (outcome.type !== "committed" || this.#isOver) return;
      view.expect(outcome.revision);
      const what = found === undefined ? "deleted it" : "written it";
      const message = `something else has ${what}; it is right again (CLUSTER_BAD_RECORD)`;
      listener.restored(keys.slot(slot).slice(keys.prefix.length), message);
    } catch {
      // The next confirmation tries again.
    } finally {
      this.#isRestoring = false;
    }
  }

  /** A member key that is gone does not come back: the end may be noticed before it is told. */
  #see(changes: readonly KeyChange[]): void {
    const { keys } = this.#options;
    if (changes.some((change) => keyOf(change) === keys.slot(this.session.slot)))
      void this.#restore();
    const key = keys.member(this.session.slot);
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

/** Each session once for each resource. */
const heldLocks = (keys: StoreKeys, found: readonly KeyValue[]): readonly HeldLock[] =>
  found.flatMap(({ key, value }) => {
    const resource = keys.resourceIn(key);
    if (resource === null) return [];
    const owners = new Map(
      ownersIn(value).map(({ slot, epoch }) => [`${slot}/${epoch}`, { slot, epoch }]),
    );
    return [...owners.values()].map((owner) => ({ resource, owner }));
  });

const isFree = (value: string | null): boolean => readSlotState(value)?.type === "free";

/** Whether somebody has declared this very session dead. */
const isDeadOf = (value: string | null, epoch: number): boolean => {
  const state = readSlotState(value);
  return (state?.type === "dead" || state?.type === "recovering") && state.epoch === epoch;
};

const isCode = (error: unknown, code: string): boolean =>
  error instanceof CodedError && error.code === code;
