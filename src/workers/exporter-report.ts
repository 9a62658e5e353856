/** What the exporter's thread tells of itself, session by session. */

import { toBitmapSlot } from "../cluster/dlm/slot-table.ts";
import type { ExporterReport, ExporterSession } from "../control/peer-boards.ts";
import type { ExporterView, SeenConnection } from "../peers/exporter-view.ts";

const withOne = (session: ExporterSession, one: SeenConnection): ExporterSession => ({
  ...session,
  disks: [...new Set([...session.disks, one.disk])].sort(),
  connections: session.connections + 1,
  inFlight: session.inFlight + one.atDevice,
  waits: session.waits ?? one.waits,
});

/** Sessions by name. */
export const exporterReport = ({ connections, state, heard }: ExporterView): ExporterReport => {
  const sessions = new Map<string, ExporterSession>();
  for (const one of connections) {
    const { session, peer: board } = one;
    const key = `${session} ${board}`;
    const fresh = { session, board, disks: [], connections: 0, inFlight: 0, waits: null };
    sessions.set(key, withOne(sessions.get(key) ?? fresh, one));
  }
  return {
    heard,
    sessions: [...sessions].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, session]) => session),
    fences: state.unacknowledged.map(({ uuid, slot, epoch }) => ({
      arrayUuid: uuid,
      slot: toBitmapSlot(slot),
      epoch,
    })),
  };
};
