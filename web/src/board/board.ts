/**
 * What the panel knows of the board: a snapshot of every resource, kept up to date by the frames of
 * the event stream. Pure: a frame turns one board into the next.
 */

import type { ArrayResource } from "../../../src/api/schemas/array.ts";
import type { DeviceResource } from "../../../src/api/schemas/device.ts";
import type { EventResource } from "../../../src/api/schemas/event.ts";
import type { ExportResource } from "../../../src/api/schemas/export.ts";
import type { JobResource } from "../../../src/api/schemas/job.ts";
import type { SystemResource } from "../../../src/api/schemas/system.ts";

/** Events and jobs kept; older ones fall out. */
export const EVENTS_KEPT = 200;
export const JOBS_KEPT = 200;

/** Resources by id; `events` newest first. */
export interface Board {
  readonly system: SystemResource;
  readonly arrays: ReadonlyMap<string, ArrayResource>;
  readonly devices: ReadonlyMap<string, DeviceResource>;
  readonly exports: ReadonlyMap<string, ExportResource>;
  readonly jobs: ReadonlyMap<string, JobResource>;
  readonly events: readonly EventResource[];
}

/** Lists as the API returns them. */
export interface Snapshot {
  readonly system: SystemResource;
  readonly arrays: readonly ArrayResource[];
  readonly devices: readonly DeviceResource[];
  readonly exports: readonly ExportResource[];
  readonly jobs: readonly JobResource[];
  readonly events: readonly EventResource[];
}

interface Identified {
  readonly id: string;
}

const byId = <R extends Identified>(list: readonly R[]): ReadonlyMap<string, R> =>
  new Map(list.map((resource) => [resource.id, resource]));

/** The board a snapshot describes. */
export function boardOf(snapshot: Snapshot): Board {
  return {
    system: snapshot.system,
    arrays: byId(snapshot.arrays),
    devices: byId(snapshot.devices),
    exports: byId(snapshot.exports),
    jobs: keepNewest(byId(snapshot.jobs)),
    events: withEvents([], snapshot.events),
  };
}

/** `known` and `fresh` together: each id once, newest first, at most EVENTS_KEPT. */
export function withEvents(
  known: readonly EventResource[],
  fresh: readonly EventResource[],
): readonly EventResource[] {
  const ids = new Set(known.map((event) => event.id));
  const added = fresh.filter((event) => event.id !== null && !ids.has(event.id));
  if (added.length === 0) {
    return known;
  }
  return [...added, ...known].sort((a, b) => (b.id ?? 0) - (a.id ?? 0)).slice(0, EVENTS_KEPT);
}

const isEnded = (job: JobResource): boolean => job.finished_at !== null;

function keepNewest(jobs: ReadonlyMap<string, JobResource>): ReadonlyMap<string, JobResource> {
  if (jobs.size <= JOBS_KEPT) {
    return jobs;
  }
  const newest = sortedJobs([...jobs.values()]);
  return byId(newest.filter((job, index) => index < JOBS_KEPT || !isEnded(job)));
}

/** Jobs under way first, then the newest first. */
export function sortedJobs(jobs: readonly JobResource[]): readonly JobResource[] {
  return [...jobs].sort(
    (a, b) =>
      Number(isEnded(a)) - Number(isEnded(b)) ||
      b.created_at.localeCompare(a.created_at) ||
      a.id.localeCompare(b.id),
  );
}

const changed = <R extends Identified>(
  map: ReadonlyMap<string, R>,
  data: Readonly<Record<string, unknown>>,
): ReadonlyMap<string, R> => {
  const id = data["id"];
  if (typeof id !== "string") {
    return map;
  }
  const next = new Map(map);
  if (data["deleted"] === true) {
    next.delete(id);
  } else {
    next.set(id, data as unknown as R);
  }
  return next;
};

/**
 * The board after a frame: state frames (`array.status` and its like) replace a resource whole or
 * delete it, every other frame with an id is history. Frames of unknown kinds change nothing.
 */
export function applyEvent(board: Board, event: EventResource): Board {
  switch (event.type) {
    case "system.status":
      return { ...board, system: event.data as unknown as SystemResource };
    case "array.status":
      return { ...board, arrays: changed(board.arrays, event.data) };
    case "device.status":
      return { ...board, devices: changed(board.devices, event.data) };
    case "export.status":
      return { ...board, exports: changed(board.exports, event.data) };
    case "job.status":
      return { ...board, jobs: keepNewest(changed(board.jobs, event.data)) };
    default:
      return event.id === null ? board : { ...board, events: withEvents(board.events, [event]) };
  }
}

/** The event that the data of a frame holds; null when it holds something else. */
export function eventOf(data: string): EventResource | null {
  try {
    const value: unknown = JSON.parse(data);
    const event = value as Partial<EventResource> | null;
    const isEvent = typeof event?.type === "string" && typeof event.data === "object";
    return isEvent && event.data !== null ? (event as EventResource) : null;
  } catch {
    return null;
  }
}
