/**
 * The end of other nodes, in the order of the document, chapter 4.1, with what must come before:
 *
 *   its member key is gone ─► nobody balances reads ─► it can write no more: declared dead, its
 *   locks purged ─► one node begins (compare-and-swap) ─► messages of before are finished ─► PW on
 *   its bitmap lock ─► the array takes its bits over ─► the lock, then the slot are free ─► a
 *   resync pass ─► reads are balanced
 *
 * Level-triggered: each step follows from how the slots stand now. A recoverer that dies is a slot
 * of its own, and the slot that it recovered waits for the next one.
 */
import { NL, PW } from "../dlm/lock-mode.ts";
import { isSameOwner } from "../dlm/lock-resource.ts";
import { toBitmapSlot } from "../dlm/slot-table.ts";
import type { Session } from "../store/store-keys.ts";
import { suspend } from "./incoming.ts";
import { isOver, isUnfenced, isUnfinished, type SeenSlot, seenAt } from "./membership.ts";
import {
  bitmapLock,
  EMPTY_BLOCK,
  mustConvert,
  type NodeContext,
  note,
  rangeBlock,
  tell,
} from "./node-context.ts";
import type { SyncCalls } from "./sync-calls.ts";

/**
 * How much longer each next member waits before it does what the first one has not done. Choice:
 * longer than the first one needs.
 */
const RANK_MS = 1000;

/** A slot that this node has begun to recover. */
interface Recovery {
  readonly slot: number;
  /** Of the session whose bits are taken over. */
  readonly epoch: number;
  isBegun: boolean;
  /** The bits are this node's; the slot is about to be freed. */
  isTaken: boolean;
}

/** Slots that wait for somebody to go on. */
type Unfinished = Extract<SeenSlot, { type: "gone" | "damaged" | "dead" | "recovering" }>;

export class Recoveries {
  readonly #ctx: NodeContext;
  readonly #sync: SyncCalls;
  readonly #isHeld: () => boolean;
  /** Since when a slot may be gone on with, by slot and what is next. */
  readonly #since = new Map<string, number>();
  /** Sessions that are being declared dead and purged, or were, as they stand. */
  readonly #declared = new Set<string>();
  /** Slots whose end this node is the first to say, as far as it knows. */
  readonly #fencing = new Set<number>();
  /** Sessions whose slots this node has freed, and which are still shown. */
  readonly #freed = new Set<string>();
  /** Sessions that are about to leave with bits to recover. */
  #doubted: readonly Session[] = [];
  #active: Recovery | null = null;
  #isEndingPass = false;
  #isSuspended: boolean | null = null;

  /** `isHeld`: the bitmap locks are, for good reason. */
  constructor(ctx: NodeContext, sync: SyncCalls, isHeld: () => boolean) {
    this.#ctx = ctx;
    this.#sync = sync;
    this.#isHeld = isHeld;
  }

  /** Copies may differ anywhere: reads are not balanced. */
  get isSuspended(): boolean {
    return this.#isSuspended === true;
  }

  /** The DLM slot that is recovered here, or null. */
  get slot(): number | null {
    return this.#active?.slot ?? null;
  }

  /** The session leaves with bits to recover: copies may differ until its slot says so itself. */
  doubt(session: Session): void {
    this.#doubted = [...this.#doubted, session];
    this.#balance();
  }

  /** What the slots ask for now. */
  pump(): void {
    this.#balance();
    this.#liftRanges();
    const { membership } = this.#ctx;
    const due = new Set<string>();
    for (const seen of membership.slots) this.#pumpSlot(seen, due);
    for (const key of this.#since.keys()) if (!due.has(key)) this.#since.delete(key);
    for (const key of this.#declared) if (!due.has(key)) this.#declared.delete(key);
    const shown = new Set(membership.slots.filter(isUnrecovered).map(sessionOf));
    for (const key of this.#freed) if (!shown.has(key)) this.#freed.delete(key);
    if (this.#ctx.phase !== "leaving") this.#endPass();
  }

  /** Milliseconds of the clock at which to look again; null: only when something changes. */
  get wakeAt(): number | null {
    let at: number | null = null;
    for (const seen of this.#ctx.membership.slots) {
      if (!isUnrecovered(seen) || seen.slot === this.#ctx.me.slot) continue;
      const from = this.#dueAt(seen);
      // What other boards have to say first is seen when they do.
      if (!Number.isFinite(from)) continue;
      if (from > this.#ctx.now && (at === null || from < at)) at = from;
    }
    return at;
  }

  onDeclared(slot: number): void {
    if (this.#fencing.delete(slot))
      tell(this.#ctx, { type: "node-fenced", slot: toBitmapSlot(slot) });
  }

  onBegun(slot: number, isMine: boolean): void {
    const active = this.#active;
    if (active === null || active.slot !== slot || active.isBegun) return;
    if (isMine) {
      this.#begun(active);
      return;
    }
    this.#active = null;
    const seen = seenAt(this.#ctx.membership, slot);
    const isOpen = seen !== undefined && isUnrecovered(seen);
    if (isOpen) this.#since.set(keyOf(seen), this.#ctx.now + RANK_MS);
  }

  onFreed(slot: number): void {
    if (this.#active?.slot !== slot) return;
    this.#freed.add(sessionOf(this.#active));
    this.#active = null;
    tell(this.#ctx, { type: "recovered", slot: toBitmapSlot(slot) });
  }

  onPassEnded(): void {
    this.#isEndingPass = false;
  }

  #pumpSlot(seen: SeenSlot, due: Set<string>): void {
    const { me, now } = this.#ctx;
    if (!isUnrecovered(seen) || seen.slot === me.slot) return;
    const key = keyOf(seen);
    due.add(key);
    if (!this.#since.has(key)) this.#since.set(key, now);
    if (isUnfenced(seen)) {
      if (now >= this.#dueAt(seen)) this.#declare(seen);
      return;
    }
    // What is shown may be older than this node's own last step.
    const isMine = this.#active?.slot === seen.slot || this.#freed.has(sessionOf(seen));
    if (isMine || !this.#mayBegin(seen) || now < this.#dueAt(seen)) return;
    if (this.#mustWait(seen.slot)) {
      // What this node waits for may be what the dead one has: its locks (whoever declared it dead
      // may have died before it had purged them), or its right to send.
      this.#declare(seen);
      return;
    }
    const { slot, epoch } = seen;
    this.#active = { slot, epoch, isBegun: false, isTaken: false };
    this.#ctx.emit({ type: "begin-recovery", slot, epoch });
  }

  #declare(seen: Unfinished): void {
    const key = keyOf(seen);
    if (this.#declared.has(key)) return;
    this.#declared.add(key);
    const { slot, epoch } = seen;
    if (isUnfenced(seen)) this.#fencing.add(slot);
    note(this.#ctx, "member", `node ${slot} can write no more`);
    this.#ctx.emit({ type: "declare-dead", slot, epoch });
  }

  /** Not while another node does, or one that is gone could still. */
  #mayBegin(seen: Unfinished): boolean {
    if (seen.type !== "recovering") return seen.type === "dead";
    const { me, membership } = this.#ctx;
    return isSameOwner(seen.by, me) || !isUnfinished(membership, seen.by);
  }

  /** Another slot is first, or there is no array to take bits over, or none that can. */
  #mustWait(slot: number): boolean {
    const isReady = this.#ctx.phase === "entered" && !this.#isHeld();
    return this.#active !== null || !isReady || !this.#canTakeOver(slot);
  }

  /**
   * An array at rest can merge no bitmap: the end of the node that changes it comes before any
   * other, and lets this one start anew. Whoever has recovered that node ends the rest of all, or
   * is gone.
   */
  #canTakeOver(slot: number): boolean {
    const { restsFor, membership } = this.#ctx;
    if (restsFor === null || restsFor.slot === slot) return true;
    const seen = seenAt(membership, restsFor.slot);
    if (seen === undefined) return false;
    if (seen.type === "free") return true;
    if (isUnfenced(seen)) return seen.epoch < restsFor.epoch;
    const { epoch } = seen.type === "live" ? seen.member : seen;
    return epoch !== restsFor.epoch;
  }

  /** The first member goes on at once, others when it has not. */
  #dueAt(seen: Unfinished): number {
    const since = this.#since.get(keyOf(seen)) ?? this.#ctx.now;
    const from = isUnfenced(seen) ? this.#ctx.fencedAt(seen.slot) : since;
    return Math.max(from, since) + this.#rank() * RANK_MS;
  }

  #rank(): number {
    const { me, membership } = this.#ctx;
    return membership.slots.filter(({ type, slot }) => type === "live" && slot < me.slot).length;
  }

  #begun(active: Recovery): void {
    const ctx = this.#ctx;
    const { slot } = active;
    active.isBegun = true;
    tell(ctx, { type: "recovering", slot: toBitmapSlot(slot) });
    const isOurs = (): boolean => this.#active === active && ctx.phase === "entered";
    ctx.messages.barrier(() => {
      if (!isOurs()) return;
      const lock = bitmapLock(slot);
      mustConvert(ctx, lock, PW, { lvb: EMPTY_BLOCK }, () => {
        if (!this.#canTakeOver(slot)) {
          // The change came in between. The slot is begun again afterwards.
          this.#active = null;
          return;
        }
        ctx.restsFor = null;
        ctx.notices.tell({ type: "recover-slot", slot: toBitmapSlot(slot) }, () => {
          if (isOurs()) this.#taken(active, lock);
        });
      });
    });
  }

  #taken(active: Recovery, lock: string): void {
    const ctx = this.#ctx;
    this.#sync.oweAnother();
    active.isTaken = true;
    mustConvert(ctx, lock, NL, { lvb: rangeBlock(null) }, () => {
      const { slot, epoch } = active;
      ctx.emit({ type: "free-slot", slot, epoch });
    });
  }

  /** What a node that is gone resynced is nobody's any more, once it can write no more. */
  #liftRanges(): void {
    const { ranges, membership } = this.#ctx;
    for (const [slot, { epoch }] of [...ranges]) {
      const session = { slot, epoch };
      if (isOver(membership, session)) suspend(this.#ctx, session, { lo: 0, hi: 0 }, () => {});
    }
  }

  #balance(): void {
    const { phase, membership } = this.#ctx;
    const isOut = phase !== "entered" && phase !== "leaving";
    this.#doubted = this.#doubted.filter((session) => isUnfinished(membership, session));
    const isDoubtful =
      this.#doubted.length > 0 ||
      membership.passes.length > 0 ||
      membership.slots.some(({ type }) => type !== "free" && type !== "live");
    const isSuspended = isOut || isDoubtful;
    if (isSuspended === this.#isSuspended) return;
    this.#isSuspended = isSuspended;
    this.#ctx.emit({ type: "state", state: { type: "read-balancing", isSuspended } });
  }

  #endPass(): void {
    const { me, membership } = this.#ctx;
    const owed = membership.passes.find(({ slot }) => slot === me.slot);
    if (!this.#sync.isPassOver || owed === undefined || this.#isEndingPass) return;
    // A slot that was taken over is freed by a transaction that says anew what is owed.
    if (this.#active?.isTaken === true) return;
    this.#isEndingPass = true;
    this.#ctx.emit({ type: "end-pass", revision: owed.revision });
  }
}

const isUnrecovered = (seen: SeenSlot): seen is Unfinished =>
  isUnfenced(seen) || seen.type === "dead" || seen.type === "recovering";

const sessionOf = ({ slot, epoch }: Session): string => `${slot}/${epoch}`;

const keyOf = (seen: Unfinished): string => {
  const by = seen.type === "recovering" ? `${seen.by.slot}/${seen.by.epoch}` : "";
  return `${seen.slot} ${seen.type} ${seen.epoch} ${by}`;
};
