/**
 * A life of a board in the cluster: it takes the board's key with a lease, confirms each second,
 * and keeps in the key what the board tells of itself. A confirmation that is committed permits the
 * board's exporter I/O for a while, counted from when it was SENT; that the lease is kept alive
 * permits nothing. Once the key is gone the life is over; another one has another epoch.
 */
import { CodedError } from "../../common/errors.ts";
import type { BoardKeys, BoardLife } from "./board-keys.ts";
import { type BoardRecord, decodeBoard, encodeBoard } from "./board-record.ts";
import type {
  ClusterStore,
  KeyChange,
  KeyValue,
  LeaseId,
  OpResult,
  StoreOp,
  Txn,
  TxnOutcome,
} from "./cluster-store.ts";
import { LeaseKeeper } from "./lease-keeper-driver.ts";
import { CONFIRM_MS, LEASE_MS } from "./member-session-driver.ts";
import { RACE_MS_MAX, retryDelay } from "./retry-delay.ts";
import { keyOf } from "./revisioned-map.ts";
import type { StoreClock } from "./store-clock.ts";
import type { StoreKeys } from "./store-keys.ts";
import type { ViewDriver } from "./view-driver.ts";

/** Between looks at the key of an earlier life. */
const LOOK_MS = 250;

export interface BoardListener {
  /** Monotonic milliseconds at which the confirmation was sent. */
  readonly confirmed: (sentAt: number) => void;
  /** Once: the life is over, and the board did not end it. */
  readonly expelled: () => void;
}

export interface BoardSessionOptions {
  readonly store: ClusterStore;
  /** It has to show the boards' keys. */
  readonly view: ViewDriver;
  readonly keys: BoardKeys;
  readonly clock: StoreClock;
  /** A number in [0, 1), another one each time. */
  readonly random: () => number;
  readonly record: BoardRecord;
  readonly listener: BoardListener;
}

const pause = (clock: StoreClock, ms: number): Promise<void> =>
  new Promise((resolve) => void clock.after(ms, resolve));

export class BoardSession {
  readonly life: BoardLife;
  readonly lease: LeaseId;
  readonly #options: BoardSessionOptions;
  readonly #unsubscribe: () => void;
  /** What the key has to hold. */
  #wanted: string;
  #count = 0;
  #isOver = false;
  #isStoring = false;
  readonly #keeper: LeaseKeeper;
  #cancelConfirm: (() => void) | null = null;

  private constructor(options: BoardSessionOptions, epoch: number, lease: LeaseId) {
    this.#options = options;
    this.life = { name: options.record.name, epoch };
    this.lease = lease;
    this.#wanted = encodeBoard(options.record);
    this.#unsubscribe = options.view.subscribe((changes) => this.#see(changes));
    const { store, clock } = options;
    this.#keeper = new LeaseKeeper({ store, clock, lease, leaseMs: LEASE_MS });
    this.#confirmAfter(0);
  }

  /**
   * Begins a life: resolves when the key is the board's, which may take as long as the lease of an
   * earlier life of the same start. One of an earlier start is over: its lease is revoked.
   * Errors: those of the store.
   */
  static async take(options: BoardSessionOptions): Promise<BoardSession> {
    const { store, clock, random } = options;
    const { id: lease } = await store.leaseGrant(LEASE_MS);
    for (let attempt = 1; ; attempt += 1) {
      const outcome = await store.txn(takeTxn(options, lease));
      if (outcome.type === "committed") return new BoardSession(options, outcome.revision, lease);
      if (outcome.type === "unknown") {
        // It may be done yet: the same again tells.
        await pause(clock, retryDelay(attempt, RACE_MS_MAX, random()));
        continue;
      }
      const found = foundIn(outcome.results);
      if (found?.lease === lease) return new BoardSession(options, found.createRevision, lease);
      if (found !== null) await endEarlier(options, found);
      await pause(clock, LOOK_MS);
      await store.leaseKeepAlive(lease);
    }
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  /** Keeps this in the key from now on. */
  update(record: BoardRecord): void {
    this.#wanted = encodeBoard(record);
    void this.#keepRecord();
  }

  /** Sends a confirmation now; whether it is known to be committed. */
  async confirm(): Promise<boolean> {
    const { keys, clock, listener } = this.#options;
    const sentAt = clock.now();
    this.#count += 1;
    const key = keys.heartbeat(this.life.name);
    const outcome = await this.#guarded({
      type: "put",
      key,
      value: String(this.#count),
      lease: this.lease,
    });
    if (outcome?.type !== "committed" || this.#isOver) return false;
    this.#options.view.expect(outcome.revision);
    listener.confirmed(sentAt);
    return true;
  }

  /**
   * Says that sessions of an array's slot up to this epoch are served no more, if the slot has no
   * member. It beats as well: who watches the boards has seen all of before then, and goes on.
   */
  fenceTxn(array: StoreKeys, slot: number, epoch: number): Txn {
    const { lease } = this;
    const { keys } = this.#options;
    const { name } = this.life;
    this.#count += 1;
    return {
      compares: [
        keys.guard(this.life),
        { type: "create-revision", key: array.member(slot), relation: "=", number: 0 },
      ],
      success: [
        { type: "put", key: array.fence(name, slot), value: String(epoch), lease },
        { type: "put", key: keys.heartbeat(name), value: String(this.#count), lease },
      ],
      failure: [],
    };
  }

  /** Ends the life, as soon as nobody is served any more. */
  async leave(): Promise<void> {
    this.stop();
    const { store, keys } = this.#options;
    const { name } = this.life;
    const success: StoreOp[] = [keys.board(name), keys.heartbeat(name)].map((key) => ({
      type: "delete",
      key,
    }));
    try {
      await store.txn({ compares: [keys.guard(this.life)], success, failure: [] });
      await store.leaseRevoke(this.lease);
    } catch {
      // The lease ends by itself.
    }
  }

  /** The key is gone, as somebody noticed. */
  expel(): void {
    if (this.#isOver) return;
    this.stop();
    this.#options.listener.expelled();
  }

  /** Confirms and keeps the lease no more, as a board that died. */
  stop(): void {
    this.#isOver = true;
    this.#cancelConfirm?.();
    this.#keeper.stop();
    this.#unsubscribe();
  }

  /** A key that is gone does not come back: the end may be noticed before it is told. */
  #see(changes: readonly KeyChange[]): void {
    const key = this.#options.keys.board(this.life.name);
    for (const change of changes) {
      if (keyOf(change) !== key) continue;
      const isOther =
        change.type === "delete"
          ? change.revision > this.life.epoch
          : change.now.createRevision > this.life.epoch;
      if (isOther) return this.expel();
      void this.#keepRecord();
    }
  }

  /** A put that was late, or something else, may have written the key: it is put right. */
  async #keepRecord(): Promise<void> {
    const { view, keys } = this.#options;
    const key = keys.board(this.life.name);
    while (!this.#isOver && !this.#isStoring) {
      if (view.view.keys.get(key)?.value === this.#wanted) return;
      this.#isStoring = true;
      const value = this.#wanted;
      const outcome = await this.#guarded({ type: "put", key, value, lease: this.lease });
      this.#isStoring = false;
      // Without an answer the next confirmation, or what the view shows, tries again.
      if (outcome?.type !== "committed") return;
      view.expect(outcome.revision);
      if (value === this.#wanted) return;
    }
  }

  /** Null: nothing is known of it. */
  async #guarded(put: StoreOp): Promise<TxnOutcome | null> {
    const { store, keys } = this.#options;
    try {
      const compares = [keys.guard(this.life)];
      const outcome = await store.txn({ compares, success: [put], failure: [] });
      if (this.#isOver) return null;
      if (outcome.type === "unknown") this.#keeper.missed();
      else this.#keeper.answered();
      if (outcome.type === "refused") this.expel();
      return outcome;
    } catch (error) {
      if (isCode(error, "CLUSTER_STORE_LEASE_GONE")) this.expel();
      else this.#keeper.missed();
      return null;
    }
  }

  #confirmAfter(ms: number): void {
    if (this.#isOver) return;
    this.#cancelConfirm = this.#options.clock.after(ms, () => {
      void this.confirm().then((isDone) => (isDone ? this.#keepRecord() : undefined));
      this.#confirmAfter(CONFIRM_MS);
    });
  }
}

/** Takes the key of a board that has none. Refused: whose it is. */
const takeTxn = ({ keys, record }: BoardSessionOptions, lease: LeaseId): Txn => {
  const key = keys.board(record.name);
  return {
    compares: [{ type: "create-revision", key, relation: "=", number: 0 }],
    success: [
      { type: "put", key, value: encodeBoard(record), lease },
      { type: "put", key: keys.heartbeat(record.name), value: "0", lease },
    ],
    failure: [{ type: "get", key }],
  };
};

/** Who has the key, of an earlier start of this board, is dead, or will find out that it is. */
const endEarlier = async (options: BoardSessionOptions, found: KeyValue): Promise<void> => {
  const { store, record } = options;
  if (bootIn(found.value) === record.boot) return;
  if (found.lease !== null) return store.leaseRevoke(found.lease);
  // Something else has written the key: it would stay for ever.
  const { key, modRevision: number } = found;
  const compares = [{ type: "mod-revision", key, relation: "=", number }] as const;
  await store.txn({ compares, success: [{ type: "delete", key }], failure: [] });
};

const bootIn = (text: string): string | null => {
  try {
    return decodeBoard(text).boot;
  } catch {
    return null;
  }
};

const foundIn = ([result]: readonly OpResult[]): KeyValue | null =>
  result?.type === "get" ? result.found : null;

const isCode = (error: unknown, code: string): boolean =>
  error instanceof CodedError && error.code === code;
