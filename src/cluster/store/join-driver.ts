/** Gets a board into a cluster: the lowest free slot, by a guarded transaction. */
import { assert } from "../../common/assert.ts";
import { CodedError } from "../../common/errors.ts";
import { SLOTS_MAX } from "../dlm/slot-table.ts";
import type { LeaseId, Revision } from "./cluster-store.ts";
import { LEASE_MS, MemberSession, type SessionOptions } from "./member-session-driver.ts";
import { joinTxn, readJoin } from "./member-txns.ts";
import { fenceTime, PERMIT_MS } from "./permission.ts";
import { RACE_MS_MAX, retryDelay } from "./retry-delay.ts";
import { chooseSlot, type SlotChoice } from "./slot-choice.ts";
import type { StoreClock } from "./store-clock.ts";
import type { Session } from "./store-keys.ts";

/** Attempts to join: each lost race means that another board got a slot. */
const JOIN_ATTEMPTS_MAX = 256;
/** Between looks at slots that are being recovered. */
const LOOK_MS = 250;

export interface JoinOptions extends SessionOptions {
  /** Slots that there are: as many as the array has bitmaps. */
  readonly slots: number;
  /** How long to wait for a slot that is to be recovered; not at all if left out. */
  readonly patienceMs?: number;
  /** What a confirmation permits; 6 s if left out. */
  readonly permitMs?: number;
  /**
   * Asked before a slot is adopted whose session was gone at revision `since`: null when it can
   * write no more for other reasons than time, too; else why not.
   */
  readonly whyNotFenced?: (gone: Session, since: Revision) => Promise<CodedError | null>;
}

interface Place {
  readonly slot: number;
  readonly revision: number;
}

const pause = (clock: StoreClock, ms: number): Promise<void> =>
  new Promise((resolve) => void clock.after(ms, resolve));

/** Errors: CLUSTER_NO_SLOT when all are taken, those of `whyNotFenced` and of the store. */
export const joinCluster = async (options: JoinOptions): Promise<MemberSession> => {
  const { store, clock, random, slots } = options;
  assert(slots >= 1 && slots <= SLOTS_MAX, `${slots} slots`);
  for (let attempt = 1; attempt <= JOIN_ATTEMPTS_MAX; attempt += 1) {
    const place = await findPlace(options);
    if (place === null) break;
    const { id: lease } = await store.leaseGrant(options.leaseMs ?? LEASE_MS);
    const epoch = await take(options, place, lease);
    if (epoch !== null) return new MemberSession(options, { slot: place.slot, epoch }, lease);
    await store.leaseRevoke(lease);
    await pause(clock, retryDelay(attempt, RACE_MS_MAX, random()));
  }
  throw new CodedError("CLUSTER_NO_SLOT", `all ${slots} slots of the cluster are taken`, {
    remedy: "wait until the slot of a failed board is recovered, or raise the array's nodes",
    details: { slots },
  });
};

/**
 * The session epoch, or null when another board was faster. An attempt whose outcome is unknown
 * may still be done: it is made again until that is settled.
 */
const take = async (
  { store, keys, clock, random, member }: JoinOptions,
  { slot, revision }: Place,
  lease: LeaseId,
): Promise<Session["epoch"] | null> => {
  for (let attempt = 1; attempt <= JOIN_ATTEMPTS_MAX; attempt += 1) {
    const outcome = await store.txn(joinTxn(keys, slot, revision, member, lease));
    if (outcome.type === "committed") return outcome.revision;
    if (outcome.type === "refused") return readJoin(outcome.results, member);
    await pause(clock, retryDelay(attempt, RACE_MS_MAX, random()));
  }
  return null;
};

/** Null: there is none, and there will be none in time. */
const findPlace = async (options: JoinOptions): Promise<Place | null> => {
  const { store, keys, clock, slots, member } = options;
  const until = clock.now() + (options.patienceMs ?? 0);
  const fence = fenceTime(options.permitMs ?? PERMIT_MS);
  let adopting: (Place & { readonly since: number; readonly listed: Revision }) | null = null;
  let problem: CodedError | null = null;
  for (;;) {
    const { found, revision: listed } = await store.list(keys.prefix);
    const choice: SlotChoice = chooseSlot(keys, found, slots, member);
    const now = clock.now();
    if (choice.type === "free") return choice;
    if (choice.type === "adopt") {
      const { slot, revision } = choice;
      const isSame: boolean = adopting?.slot === slot && adopting.revision === revision;
      if (!isSame || adopting === null) adopting = { slot, revision, since: now, listed };
      else if (now >= adopting.since + fence) {
        const gone = { slot, epoch: revision };
        problem = (await options.whyNotFenced?.(gone, adopting.listed)) ?? null;
        if (problem === null) return choice;
      }
    } else adopting = null;
    if (adopting === null) problem = null;
    if (problem !== null && now >= until) throw problem;
    if (choice.type === "full" || now >= until) return null;
    await pause(clock, LOOK_MS);
  }
};
