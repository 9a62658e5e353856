/** Which board reaches which disk, as this board knows it: the device visibility matrix. Pure. */

import type { PeerBoard, PeerLink } from "./peer-boards.ts";

/** `local`: the board's own disk. `unknown`: it has not been looked at. */
export type PathState = "local" | "up" | "reconnecting" | "down" | "unknown";

/** One cell of the matrix. */
export interface PathView {
  /** Who looks. */
  readonly board: string;
  /** Whose disk, and its id there. */
  readonly owner: string;
  readonly disk: string;
  readonly state: PathState;
  /** Milliseconds; null of other boards' ways, and before anything was asked. */
  readonly latencyMs: number | null;
  readonly inFlight: number;
  readonly reconnects: number;
  readonly lastError: string | null;
}

const UNUSED = { latencyMs: null, inFlight: 0, reconnects: 0, lastError: null } as const;

const STATES: Readonly<Record<PeerLink["state"], PathState>> = {
  up: "up",
  reconnecting: "reconnecting",
  gone: "down",
};

/** A disk that nobody here uses is as its board's others are. */
const fromHere = (
  links: readonly PeerLink[],
  owner: string,
  disk: string,
): Omit<PathView, "board" | "owner" | "disk"> => {
  const ways = links.filter((link) => link.board === owner);
  const own = ways.find((link) => link.disk === disk);
  const way = own ?? ways.find(({ state }) => state === "up") ?? ways[0];
  if (way === undefined) return { ...UNUSED, state: "unknown" };
  const { latencyMs, inFlight, reconnects, lastError } = way;
  const state = STATES[way.state];
  return own === undefined
    ? { ...UNUSED, state, latencyMs }
    : { state, latencyMs, inFlight, reconnects, lastError };
};

/** Row by row: each live board, and every disk of every live board. */
export function visibility(
  boards: readonly PeerBoard[],
  links: readonly PeerLink[],
): readonly PathView[] {
  const disks = boards.flatMap(({ name, disks: own }) => own.map(({ id }) => ({ name, id })));
  return boards.flatMap(({ name: board, isHere, reaches }) =>
    disks.map(({ name: owner, id: disk }): PathView => {
      const cell = { board, owner, disk };
      if (owner === board) return { ...cell, ...UNUSED, state: "local" };
      if (isHere) return { ...cell, ...fromHere(links, owner, disk) };
      return { ...cell, ...UNUSED, state: reaches.includes(owner) ? "up" : "down" };
    }),
  );
}
