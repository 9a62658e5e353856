/** Several threads of a board have the same peer's disk open: what they tell, as one way to it. */

import type { PeerLink } from "../control/peer-boards.ts";

/** A way that one thread gave up is told of only when no other thread has one. */
const BEST_FIRST: readonly PeerLink["state"][] = ["up", "reconnecting", "gone"];

const worse = (a: number | null, b: number | null): number | null =>
  a === null || b === null ? (a ?? b) : Math.max(a, b);

const merge = (a: PeerLink, b: PeerLink): PeerLink => {
  const [living, other] =
    BEST_FIRST.indexOf(a.state) <= BEST_FIRST.indexOf(b.state) ? [a, b] : [b, a];
  const isOver = other.state === "gone" && living.state !== "gone";
  return {
    ...living,
    state: isOver ? living.state : other.state,
    latencyMs: isOver ? living.latencyMs : worse(a.latencyMs, b.latencyMs),
    inFlight: a.inFlight + b.inFlight,
    reconnects: a.reconnects + b.reconnects,
    lastError: living.lastError ?? other.lastError,
  };
};

/** One for each disk, by board and disk. */
export const mergedLinks = (links: Iterable<PeerLink>): readonly PeerLink[] => {
  const byDisk = new Map<string, PeerLink>();
  for (const link of links) {
    const key = `${link.board}/${link.disk}`;
    const known = byDisk.get(key);
    byDisk.set(key, known === undefined ? link : merge(known, link));
  }
  return [...byDisk].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, link]) => link);
};
