/**
 * How much of the network a sync action takes: a share of what its own copies to and from other
 * boards' disks reach. They are measured while some are under way, so the pauses that the cap makes
 * do not count; clients, of this board and of others, slow copies down like anything else that uses
 * the same link or disk, and the share falls with that.
 */

import { parsePeerPath } from "../hal/peer-path.ts";
import type { CopyPlan } from "./array-messages.ts";
import type { ArrayState } from "./array-state.ts";
import type { LinkBest, SyncRun } from "./sync-run.ts";

export const NO_LINK_BEST: LinkBest = { since: 0, now: 0, before: 0 };

/** Beyond twice this time the best is forgotten: the link may have become another one. Choice. */
const BEST_MS = 30_000;
/** However slow copies have become, this part of the share stays. Choice. */
const EASE_LEAST = 0.25;

/** The best rate with `rate` measured now. */
export const noteBest = (best: LinkBest, rate: number, now: number): LinkBest => {
  const age = now - best.since;
  if (age < BEST_MS) return { ...best, now: Math.max(best.now, rate) };
  return { since: now, now: rate, before: age < 2 * BEST_MS ? best.now : 0 };
};

/**
 * Bytes per second that may be copied, on average, where copies reach `rate` while they are under
 * way; infinite while nothing is known. Where they reach half of the best, others use the other
 * half: half of the share is left to them, on top of what they have taken.
 */
export const shareOf = (share: number, rate: number, best: LinkBest): number => {
  if (rate <= 0) return Number.POSITIVE_INFINITY;
  const most = Math.max(rate, best.now, best.before);
  return share * rate * Math.max(EASE_LEAST, rate / most);
};

/** Whether a piece goes to or comes from another board. */
const isOverLink = (state: ArrayState, { mode, extents }: CopyPlan): boolean =>
  extents.some(({ sources, targets }) => {
    // A rebuild reads the first of them; everything else compares all.
    const read = mode === "copy" ? sources.slice(0, 1) : sources;
    return [...read, ...targets].some(({ member }) => {
      const path = state.members.get(member)?.path;
      return path !== undefined && parsePeerPath(path) !== null;
    });
  });

/** A piece begins. */
export const noteLinkPiece = (state: ArrayState, run: SyncRun, plan: CopyPlan): void => {
  run.isOverLink = isOverLink(state, plan);
};

/** A piece is through, and `rate` is measured anew. */
export const noteLinkRate = (state: ArrayState, run: SyncRun): void => {
  if (run.isOverLink && run.rate > 0) run.linkBest = noteBest(run.linkBest, run.rate, state.now);
};

/** Bytes per second that the run may take of the link; infinite where it uses none. */
export const linkCap = ({ options }: ArrayState, run: SyncRun): number => {
  const { linkShare } = options;
  if (!run.isOverLink || linkShare == null) return Number.POSITIVE_INFINITY;
  return shareOf(linkShare, run.rate, run.linkBest);
};

/** True when the share of the link, not the speed limit, is what holds the run back. */
export const isLinkCapped = (state: ArrayState, run: SyncRun): boolean =>
  linkCap(state, run) < state.syncSpeedMax;
