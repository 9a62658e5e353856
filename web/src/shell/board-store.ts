/** The board as the panel shows it now, kept live while somebody is signed in. */

import { signal } from "@preact/signals";
import type { SystemResource } from "../../../src/api/schemas/system.ts";
import { applyEvent, type Board, boardOf, eventOf, type Snapshot } from "../board/board.ts";
import { LiveConnection, type Liveness } from "../live/live-connection.ts";
import type { SseFrame } from "../live/sse-parser.ts";
import { t } from "../messages/translate.ts";
import { isUnauthenticated, type Session, signOut } from "./session.ts";

const EVENTS_READ = 100;
const JOBS_READ = 100;

/** What is known of the board; null before the first snapshot. */
export const board = signal<Board | null>(null);

/** Whether that is live. */
export const liveness = signal<Liveness>({ state: "connecting" });

/** The board's clock minus this browser's, milliseconds. */
export const clockOffset = signal(0);

let connection: LiveConnection | null = null;

async function readSnapshot({ client }: Session): Promise<Snapshot> {
  const page = async <Item>(path: string): Promise<readonly Item[]> =>
    (await client.send<{ items: Item[] }>({ method: "GET", path })).items;
  const [system, arrays, devices, exports, jobs, events] = await Promise.all([
    client.send<SystemResource>({ method: "GET", path: "/api/v1/system" }),
    client.list<Snapshot["arrays"][number]>("/api/v1/arrays"),
    client.list<Snapshot["devices"][number]>("/api/v1/devices"),
    client.list<Snapshot["exports"][number]>("/api/v1/exports"),
    page<Snapshot["jobs"][number]>(`/api/v1/jobs?limit=${JOBS_READ}`),
    page<Snapshot["events"][number]>(`/api/v1/events?limit=${EVENTS_READ}`),
  ]);
  return { system, arrays, devices, exports, jobs, events };
}

async function loadSnapshot(session: Session): Promise<void> {
  const snapshot = await readSnapshot(session);
  clockOffset.value = Date.parse(snapshot.system.time) - Date.now();
  board.value = boardOf(snapshot);
  const newest = snapshot.events[0]?.id ?? null;
  if (newest !== null) {
    connection?.sawEvent(newest);
  }
}

function applyFrames(frames: readonly SseFrame[]): void {
  let next = board.value;
  for (const frame of frames) {
    const event = eventOf(frame.data);
    if (event !== null && next !== null) {
      next = applyEvent(next, event);
    }
  }
  board.value = next;
}

/** Starts to follow the board with the session; ends an earlier connection. */
export function follow(session: Session): void {
  unfollow();
  connection = new LiveConnection({
    open: async (lastEventId, signal) => await session.client.openEvents(lastEventId, signal),
    loadSnapshot: async () => await loadSnapshot(session),
    onFrames: applyFrames,
    onLiveness: (next) => {
      liveness.value = next;
    },
    isFinal: (error) => {
      if (isUnauthenticated(error)) {
        signOut(t("sign-in.expired"));
        return true;
      }
      return false;
    },
  });
  void connection.start();
}

/** Stops following and forgets the board. */
export function unfollow(): void {
  connection?.stop();
  connection = null;
  board.value = null;
}

/** Tries to reach the board at once. */
export function retryNow(): void {
  connection?.retryNow();
}

/** Reads the exports anew: how many clients they have is not part of the event stream. */
export async function refreshExports(session: Session): Promise<void> {
  const exports = await session.client.list<Snapshot["exports"][number]>("/api/v1/exports");
  for (const item of exports) {
    applyResource("export", item);
  }
}

/** Shows a resource that a reply brought, ahead of its frame. */
export function applyResource(kind: "array" | "device" | "export", resource: object): void {
  if (board.value !== null) {
    board.value = applyEvent(board.value, {
      id: null,
      time: "",
      type: `${kind}.status`,
      severity: "info",
      subject: "",
      node: "",
      message: "",
      data: { ...resource },
    });
  }
}
