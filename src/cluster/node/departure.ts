/**
 * leave(): the array has stopped, nothing of its I/O is under way. What others still tell counts as
 * carried out; what this node was told to do and has not begun is not done any more.
 *
 *   messages under way end ─► BITMAP_NEEDS_SYNC, if somebody has to go on ─► the exchange is left
 *   ─► all locks are free ─► the session ends: its slot is free, or to be recovered
 */
import { PW } from "../dlm/lock-mode.ts";
import {
  answer,
  bitmapLock,
  mustConvert,
  type NodeContext,
  OK,
  rangeBlock,
  refuse,
  tell,
} from "./node-context.ts";
import type { SyncCalls } from "./sync-calls.ts";

export class Departure {
  readonly #ctx: NodeContext;
  readonly #sync: SyncCalls;
  #id = 0;
  #isClean = true;

  constructor(ctx: NodeContext, sync: SyncCalls) {
    this.#ctx = ctx;
    this.#sync = sync;
  }

  /** `needsSync`: this node's bitmap is not clean. */
  begin(id: number, needsSync: boolean): void {
    const ctx = this.#ctx;
    const isIn = ctx.phase === "entered";
    ctx.phase = "leaving";
    this.#id = id;
    this.#isClean = !needsSync;
    ctx.notices.mute();
    ctx.messages.giveUp(needsSync);
    for (const waiting of [...ctx.calls.keys()])
      if (waiting !== id) refuse(ctx, waiting, "CLUSTER_LEFT", "the node leaves the cluster");
    if (needsSync && isIn) ctx.messages.send({ type: "bitmap-needs-sync" }, () => this.#exchange());
    else this.#exchange();
  }

  /** The exchange is left: nobody waits for this node any more. */
  onLeft(): void {
    const ctx = this.#ctx;
    if (this.#sync.range === null || !this.#isClean) this.#unlock();
    else
      mustConvert(ctx, bitmapLock(ctx.me.slot), PW, { lvb: rangeBlock(null) }, () =>
        this.#unlock(),
      );
  }

  /** The others were faster: it is out, which is what it wanted. */
  onLost(): void {
    answer(this.#ctx, this.#id, OK);
  }

  onSessionLeft(): void {
    const ctx = this.#ctx;
    ctx.phase = "left";
    answer(ctx, this.#id, OK);
    tell(ctx, { type: "left" });
  }

  /** A hold with bits to recover is one that the node cannot finish: its array is broken. */
  #exchange(): void {
    const keepsRight = !this.#isClean && this.#ctx.messages.isHolding;
    this.#ctx.emit({ type: "exchange", call: { type: "leave", keepsRight } });
  }

  #unlock(): void {
    const ctx = this.#ctx;
    ctx.locks.unlockAll(() => ctx.emit({ type: "leave-session", isClean: this.#isClean }));
  }
}
