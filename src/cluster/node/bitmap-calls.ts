/**
 * lock_all_bitmaps and unlock_all_bitmaps: proof that no other node uses the array, before its
 * clustered bitmap goes or comes. Who joins meanwhile waits for the lock of its own bitmap. Source:
 * md-cluster.c lock_all_bitmaps.
 */
import { NL, PW } from "../dlm/lock-mode.ts";
import { nodeName, type SeenSlot } from "./membership.ts";
import { answer, bitmapLock, mustConvert, type NodeContext, OK, refuse } from "./node-context.ts";

export class BitmapCalls {
  readonly #ctx: NodeContext;
  /** DLM slots whose locks are held. */
  #held: number[] = [];

  constructor(ctx: NodeContext) {
    this.#ctx = ctx;
  }

  /** While they are, no slot is recovered: its lock would go. */
  get areHeld(): boolean {
    return this.#held.length > 0;
  }

  /**
   * A slot that waits for its recovery is in use: its bitmap still tells what differs. `isNew`: the
   * array has no such bitmaps yet.
   */
  lockAll(id: number, isNew: boolean): void {
    const { me, nodes, membership } = this.#ctx;
    const isOver = (type: SeenSlot["type"]): boolean =>
      type === "free" || (isNew && (type === "dead" || type === "recovering"));
    const user = membership.slots.find(({ slot, type }) => slot !== me.slot && !isOver(type));
    if (user !== undefined) {
      this.#refuse(id, user.slot);
      return;
    }
    const others = Array.from({ length: nodes }, (_, index) => index + 1).filter(
      (slot) => slot !== me.slot,
    );
    this.#lockNext(id, others);
  }

  unlockAll(id: number): void {
    this.#release(() => answer(this.#ctx, id, OK));
  }

  #lockNext(id: number, slots: readonly number[]): void {
    const ctx = this.#ctx;
    const [slot, ...rest] = slots;
    if (slot === undefined) {
      answer(ctx, id, OK);
      return;
    }
    ctx.locks.convert(bitmapLock(slot), PW, { isNoQueue: true }, ({ status }) => {
      if (status === "granted") {
        this.#held.push(slot);
        this.#lockNext(id, rest);
        return;
      }
      this.#release(() => this.#refuse(id, slot));
    });
  }

  #refuse(id: number, slot: number): void {
    const name = nodeName(this.#ctx.membership, slot);
    refuse(this.#ctx, id, "CLUSTER_BITMAP_IN_USE", `${name} uses the array as well`);
  }

  #release(then: () => void): void {
    const slot = this.#held.shift();
    if (slot === undefined) then();
    else mustConvert(this.#ctx, bitmapLock(slot), NL, {}, () => this.#release(then));
  }
}
