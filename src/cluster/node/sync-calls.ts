/**
 * Calls of a sync action: one resyncer per array, and the range it is at, which a node that joins
 * reads from its bitmap lock and everybody else is told by RESYNCING. Source: md-cluster.c
 * resync_start, resync_info_update, resync_finish.
 */
import type { ClusterCall, SectorRange } from "../../raid/cluster-port.ts";
import { EX, NL, PW } from "../dlm/lock-mode.ts";
import { RESYNC } from "../md/lock-names.ts";
import type { ResyncRange } from "../md/resync-range.ts";
import {
  answer,
  bitmapLock,
  mustConvert,
  type NodeContext,
  OK,
  rangeBlock,
  refuse,
} from "./node-context.ts";

type SyncCall = Extract<
  ClusterCall,
  { type: "resync-start" | "resync-info-update" | "resync-finish" }
>;

export class SyncCalls {
  readonly #ctx: NodeContext;
  /** One after the other; the first one is under way. */
  readonly #calls: { readonly id: number; readonly call: SyncCall; readonly owed: number }[] = [];
  /** What this node resyncs, as its bitmap lock says. */
  range: ResyncRange | null = null;
  /** Slots recovered here so far. */
  #owed = 0;
  /**
   * The right for the pass under way was asked for after the last slot was recovered here. When it
   * was granted does not count: the array gives back what it had asked for before, and asks anew.
   */
  #covers = false;
  /** Such a pass is over: what this node owed is done. */
  isPassOver = false;

  constructor(ctx: NodeContext) {
    this.#ctx = ctx;
  }

  get hasLock(): boolean {
    return this.#ctx.locks.mode(RESYNC) === EX;
  }

  call(id: number, call: SyncCall): void {
    this.#calls.push({ id, call, owed: this.#owed });
    if (this.#calls.length === 1) this.#serve();
    else if (call.type === "resync-finish" && this.#calls[0]?.call.type === "resync-start")
      this.#ctx.locks.cancel(RESYNC);
  }

  /** Bits of another slot are in this node's bitmap from now on: another pass is owed. */
  oweAnother(): void {
    this.#owed++;
    this.#covers = false;
    this.isPassOver = false;
  }

  #serve(): void {
    const [first] = this.#calls;
    if (first === undefined || this.#ctx.phase === "leaving") return;
    const { id, call, owed } = first;
    if (call.type === "resync-start") this.#start(id, owed);
    else if (call.type === "resync-info-update") this.#announce(call, () => this.#done(id));
    else this.#finish(id);
  }

  #done(id: number): void {
    this.#calls.shift();
    answer(this.#ctx, id, OK);
    this.#serve();
  }

  #start(id: number, owed: number): void {
    const ctx = this.#ctx;
    ctx.locks.convert(RESYNC, EX, {}, ({ status }) => {
      if (status === "granted") {
        this.#covers = owed === this.#owed;
        this.#done(id);
        return;
      }
      if (status !== "ECANCEL") {
        ctx.lose(`the lock ${RESYNC} ended with ${status}`);
        return;
      }
      this.#calls.shift();
      refuse(ctx, id, "CLUSTER_CANCELLED", "the sync action was given up before it began");
      this.#serve();
    });
  }

  /** First the lock, for who joins from now on, then the message, for who is there. */
  #announce({ lo, hi }: SectorRange, then: () => void): void {
    const ctx = this.#ctx;
    this.range = lo < hi ? { lo, hi } : null;
    const { range } = this;
    mustConvert(ctx, bitmapLock(ctx.me.slot), PW, { lvb: rangeBlock(range) }, () =>
      ctx.messages.send({ type: "resyncing", ...(range ?? { lo: 0, hi: 0 }) }, then),
    );
  }

  #finish(id: number): void {
    this.#announce({ lo: 0, hi: 0 }, () => {
      if (this.#covers) this.isPassOver = true;
      this.#covers = false;
      mustConvert(this.#ctx, RESYNC, NL, {}, () => this.#done(id));
    });
  }
}
