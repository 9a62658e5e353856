/**
 * Joining, confirming, leaving and recovering as guarded transactions:
 *
 *   free ──join──► live ──declare dead──► dead ──begin──► recovering ──free──► free
 *                   │                                        │
 *                   └──────────── leave clean ──► free       └── its recoverer died: begin again
 *
 * Who joins, and who has recovered a slot, owes a resync pass: the key pass/SLOT says so from the
 * very transaction on, and goes when the pass is over.
 *
 * Each is right to repeat when its outcome is unknown: done twice it is refused, and the refusal
 * tells how things are.
 */
import type {
  Compare,
  KeyValue,
  LeaseId,
  OpResult,
  Revision,
  StoreOp,
  Txn,
} from "./cluster-store.ts";
import { encodeMember, encodeSlot, type MemberRecord, type SlotState } from "./member-records.ts";
import type { Session, StoreKeys } from "./store-keys.ts";

const numberIs = (
  type: "create-revision" | "mod-revision",
  key: string,
  number: number,
): Compare => ({ type, key, relation: "=", number });

const putSlot = (keys: StoreKeys, slot: number, state: SlotState): StoreOp => ({
  type: "put",
  key: keys.slot(slot),
  value: encodeSlot(state),
  lease: null,
});

const putPass = (keys: StoreKeys, slot: number): StoreOp => ({
  type: "put",
  key: keys.pass(slot),
  value: "",
  lease: null,
});

/**
 * Takes a slot that nobody had at `slotRevision`, the mod revision of its key. The epoch is the
 * revision of this transaction. Refused: `readJoin` tells who has the slot.
 */
export const joinTxn = (
  keys: StoreKeys,
  slot: number,
  slotRevision: Revision,
  member: MemberRecord,
  lease: LeaseId,
): Txn => ({
  compares: [
    numberIs("create-revision", keys.member(slot), 0),
    numberIs("mod-revision", keys.slot(slot), slotRevision),
  ],
  success: [
    { type: "put", key: keys.member(slot), value: encodeMember(member), lease },
    { type: "put", key: keys.heartbeat(slot), value: "0", lease },
    putSlot(keys, slot, { type: "live" }),
    putPass(keys, slot),
  ],
  failure: [{ type: "get", key: keys.member(slot) }],
});

/** The epoch that a refused join finds to be its own: an earlier attempt was done after all. */
export const readJoin = (results: readonly OpResult[], member: MemberRecord): Revision | null => {
  const [result] = results;
  const found = result?.type === "get" ? result.found : null;
  return found !== null && found.value === encodeMember(member) ? found.createRevision : null;
};

/** The permission for I/O comes from this, and from nothing else. Refused: the session is over. */
export const confirmTxn = (
  keys: StoreKeys,
  session: Session,
  count: number,
  lease: LeaseId,
): Txn => ({
  compares: [keys.guard(session)],
  success: [{ type: "put", key: keys.heartbeat(session.slot), value: String(count), lease }],
  failure: [],
});

/** The session takes part: no exporter takes its disks for new to it any more. */
export const enterTxn = (keys: StoreKeys, session: Session, lease: LeaseId): Txn => {
  const { slot, epoch } = session;
  const key = keys.entered(slot);
  const success: StoreOp[] = [{ type: "put", key, value: String(epoch), lease }];
  return { compares: [keys.guard(session)], success, failure: [] };
};

/**
 * Says again whose the slot is: something else has written its key, at `slotRevision`. While the
 * member key is there nobody but its session may.
 */
export const restoreTxn = (keys: StoreKeys, me: Session, slotRevision: Revision): Txn => ({
  compares: [keys.guard(me), numberIs("mod-revision", keys.slot(me.slot), slotRevision)],
  success: [putSlot(keys, me.slot, { type: "live", epoch: me.epoch })],
  failure: [],
});

/**
 * Leaves: with a clean bitmap the slot is free at once, else it is to be recovered. `isFenced`:
 * nothing of the session reaches a member any more; else the others find that out, as of one that
 * died.
 */
export const leaveTxn = (
  keys: StoreKeys,
  session: Session,
  isClean: boolean,
  isFenced: boolean,
): Txn => {
  const { slot, epoch } = session;
  const success: StoreOp[] = [
    { type: "delete", key: keys.member(slot) },
    { type: "delete", key: keys.heartbeat(slot) },
  ];
  if (isClean) success.push(putSlot(keys, slot, { type: "free" }));
  else if (isFenced) success.push(putSlot(keys, slot, { type: "dead", epoch }));
  if (isClean) success.push({ type: "delete", key: keys.pass(slot) });
  return { compares: [keys.guard(session)], success, failure: [] };
};

/**
 * Declares a vanished session dead, ONLY once fencing is proven, and lists the lock resources as
 * they are then: the session can write to none of them any more, so all are to be purged of it.
 */
export const deadTxn = (keys: StoreKeys, me: Session, gone: Session): Txn => ({
  compares: [
    keys.guard(me),
    numberIs("create-revision", keys.member(gone.slot), 0),
    // The slot is still as it was seen: as the join of this very session left it, or as something
    // else has written it since.
    numberIs("mod-revision", keys.slot(gone.slot), gone.epoch),
  ],
  success: [
    putSlot(keys, gone.slot, { type: "dead", epoch: gone.epoch }),
    { type: "list", prefix: keys.locks },
  ],
  failure: [
    { type: "get", key: keys.slot(gone.slot) },
    { type: "get", key: keys.member(gone.slot) },
    { type: "list", prefix: keys.locks },
  ],
});

/** Lists members, slots and lock resources, as no read alone may be trusted to. */
export const leftoversTxn = (keys: StoreKeys, me: Session): Txn => ({
  compares: [keys.guard(me)],
  success: [
    putPass(keys, me.slot),
    ...[keys.locks, keys.members, keys.slots].map((prefix) => ({ type: "list", prefix }) as const),
  ],
  failure: [],
});

/** Says whose a slot was that something else has freed, at `slotRevision`. */
export const reopenTxn = (
  keys: StoreKeys,
  me: Session,
  gone: Session,
  slotRevision: Revision,
): Txn => ({
  compares: [
    keys.guard(me),
    numberIs("create-revision", keys.member(gone.slot), 0),
    numberIs("mod-revision", keys.slot(gone.slot), slotRevision),
  ],
  success: [putSlot(keys, gone.slot, { type: "live", epoch: gone.epoch })],
  failure: [{ type: "get", key: keys.slot(gone.slot) }],
});

/**
 * Lists the prefixes as one state that has gone through the store's consensus, as no read alone
 * does: a transaction with a write, which its guard always refuses.
 */
export const consensusTxn = (prefix: string, prefixes: readonly string[]): Txn => {
  const key = `${prefix}never`;
  return {
    compares: [numberIs("create-revision", key, Number.MAX_SAFE_INTEGER)],
    success: [{ type: "put", key, value: "", lease: null }],
    failure: prefixes.map((of) => ({ type: "list", prefix: of })),
  };
};

/** The keys in the lists of these transactions, of either branch. */
export const listedKeys = (results: readonly OpResult[]): readonly KeyValue[] =>
  results.flatMap((result) => (result.type === "list" ? result.found : []));

/**
 * Begins, or takes over, the recovery of a slot: from the state that was found at `slotRevision`,
 * dead, or recovering by a session whose member key is gone.
 */
export const beginRecoveryTxn = (
  keys: StoreKeys,
  me: Session,
  slot: number,
  found: Extract<SlotState, { type: "dead" | "recovering" }>,
  slotRevision: Revision,
): Txn => {
  const { slot: mySlot, epoch: myEpoch } = me;
  const state = { type: "recovering", epoch: found.epoch, by: { slot: mySlot, epoch: myEpoch } };
  const compares = [
    keys.guard(me),
    numberIs("mod-revision", keys.slot(slot), slotRevision),
    // Whatever something else may have written there: a member's bitmap is its own.
    numberIs("create-revision", keys.member(slot), 0),
  ];
  if (found.type === "recovering") {
    const key = keys.member(found.by.slot);
    compares.push({ type: "create-revision", key, relation: "!=", number: found.by.epoch });
  }
  return {
    compares,
    success: [putSlot(keys, slot, state as SlotState)],
    failure: [{ type: "get", key: keys.slot(slot) }],
  };
};

/**
 * The bits of the slot are in my bitmap: the slot may be taken, and I owe a pass over them, as well
 * as the one that its node may have owed.
 */
export const freeSlotTxn = (keys: StoreKeys, me: Session, slot: number, epoch: number): Txn => ({
  compares: [
    keys.guard(me),
    {
      type: "value",
      key: keys.slot(slot),
      relation: "=",
      value: encodeSlot({
        type: "recovering",
        epoch,
        by: { slot: me.slot, epoch: me.epoch },
      }),
    },
  ],
  success: [
    putSlot(keys, slot, { type: "free" }),
    { type: "delete", key: keys.pass(slot) },
    putPass(keys, me.slot),
  ],
  failure: [{ type: "get", key: keys.slot(slot) }],
});

/** The pass that was owed at `passRevision` is over. Refused: another one is owed by now. */
export const endPassTxn = (keys: StoreKeys, me: Session, passRevision: Revision): Txn => ({
  compares: [keys.guard(me), numberIs("mod-revision", keys.pass(me.slot), passRevision)],
  success: [{ type: "delete", key: keys.pass(me.slot) }],
  failure: [],
});
