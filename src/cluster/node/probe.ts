/**
 * What a node that joins looks at: first the ranges that living nodes resync, from the value blocks
 * of their bitmap locks; then, when it takes part, the bitmaps of slots that nobody has. Source:
 * md-cluster.c load_bitmaps.
 */
import { CR, NL, PW } from "../dlm/lock-mode.ts";
import { decodeLvb } from "../dlm/lvb-text.ts";
import { toBitmapSlot } from "../dlm/slot-table.ts";
import { decodeResyncRange } from "../md/resync-range.ts";
import type { Session } from "../store/store-keys.ts";
import { suspend } from "./incoming.ts";
import { isUnfenced, seenAt } from "./membership.ts";
import {
  bitmapLock,
  EMPTY_BLOCK,
  mustConvert,
  type NodeContext,
  rangeBlock,
} from "./node-context.ts";

/** More than any array has, in bytes still exact. */
const ALL_SECTORS = 2 ** 44 - 1;

const others = ({ me, nodes }: NodeContext): readonly number[] =>
  Array.from({ length: nodes }, (_, index) => index + 1).filter((slot) => slot !== me.slot);

/** Suspends what other nodes resync. AFTER this node counts as a receiver. */
export const readRanges = (ctx: NodeContext, then: () => void, slots = others(ctx)): void => {
  const [slot, ...rest] = slots;
  if (slot === undefined) {
    then();
    return;
  }
  const next = (): void => readRanges(ctx, then, rest);
  const seen = seenAt(ctx.membership, slot);
  if (seen?.type === "live") readRange(ctx, { slot, epoch: seen.member.epoch }, next);
  else if (seen !== undefined && isUnfenced(seen)) readRange(ctx, seen, next);
  else next();
};

/** By CR, which a PW holder does not mind. */
const readRange = (ctx: NodeContext, owner: Session, then: () => void): void => {
  const lock = bitmapLock(owner.slot);
  mustConvert(ctx, lock, CR, { lvb: EMPTY_BLOCK }, ({ lvb }) => {
    const read = lvb === null ? null : decodeResyncRange(decodeLvb(lvb));
    const range = read === "malformed" ? { lo: 0, hi: ALL_SECTORS } : read;
    mustConvert(ctx, lock, NL, {}, () => {
      if (range === null) then();
      else suspend(ctx, owner, range, then);
    });
  });
};

/**
 * Takes over the bits of slots that nobody has: of arrays that the kernel made, or whose store was
 * lost. The lock is proof that nobody uses the bitmap.
 */
export const takeAbsent = (
  ctx: NodeContext,
  onTaken: () => void,
  then: () => void,
  slots = others(ctx),
): void => {
  const [slot, ...rest] = slots;
  if (ctx.phase !== "entered" || slot === undefined) {
    then();
    return;
  }
  const next = (): void => takeAbsent(ctx, onTaken, then, rest);
  if (seenAt(ctx.membership, slot)?.type !== "free") {
    next();
    return;
  }
  const lock = bitmapLock(slot);
  ctx.locks.convert(lock, PW, { isNoQueue: true, lvb: EMPTY_BLOCK }, ({ status }) => {
    if (status !== "granted") next();
    else
      ctx.notices.tell({ type: "recover-slot", slot: toBitmapSlot(slot), isUnused: true }, () => {
        onTaken();
        mustConvert(ctx, lock, NL, { lvb: rangeBlock(null) }, next);
      });
  });
};
