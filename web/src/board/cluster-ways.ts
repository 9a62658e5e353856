/** The ways between boards and disks, as the API tells them path by path. Pure. */

import type { PeerReportResource } from "../../../src/api/schemas/peer.ts";

/** How one board sees one disk. */
export type PathAnswer = PeerReportResource["paths"][number];
type PathState = PathAnswer["state"];

/** The order of boards: `board2` before `board10`. */
export const byName = (a: string, b: string): number => a.localeCompare(b, "en", { numeric: true });

/** How this board reaches the disks of another one. */
export interface Way {
  readonly state: PathState;
  /** Seconds, of the slowest one; null: not measured. */
  readonly latency: number | null;
  readonly reconnects: number;
  readonly lastError: string | null;
}

const WORST: readonly PathState[] = ["down", "reconnecting", "unknown", "up", "local"];

/** The worst of the ways from a board to the disks of another one; null: there is none. */
export function wayOf({ paths }: PeerReportResource, here: string, name: string): Way | null {
  const ways = paths.filter(({ node, device_node }) => node === here && device_node === name);
  if (ways.length === 0 || name === here) return null;
  const measured = ways.flatMap(({ latency }) => latency ?? []);
  return {
    state: WORST.find((state) => ways.some((way) => way.state === state)) ?? "unknown",
    latency: measured.length === 0 ? null : Math.max(...measured),
    reconnects: ways.reduce((sum, way) => sum + way.reconnects, 0),
    lastError: ways.find(({ last_error }) => last_error !== null)?.last_error ?? null,
  };
}

/** One disk, and how each board sees it. */
export interface DiskRow {
  readonly owner: string;
  readonly disk: string;
  readonly deviceId: string;
  /** By name of the board that looks; a board that is away sees nothing. */
  readonly cells: ReadonlyMap<string, PathAnswer>;
}

/** Which board sees which disk. */
export interface Visibility {
  readonly boards: readonly string[];
  readonly disks: readonly DiskRow[];
}

/** Row by row: every disk that a board serves, or served when it was there. */
export function visibilityOf({ items, paths }: PeerReportResource): Visibility {
  const sorted = [...items].sort((a, b) => byName(a.id, b.id));
  const disks = sorted.flatMap(({ id: owner, disks: own }) =>
    own.map(({ id: disk, device_id: deviceId }): DiskRow => {
      const ways = paths.filter((path) => path.device_node === owner && path.disk === disk);
      return { owner, disk, deviceId, cells: new Map(ways.map((way) => [way.node, way])) };
    }),
  );
  return { boards: sorted.map(({ id }) => id), disks };
}
