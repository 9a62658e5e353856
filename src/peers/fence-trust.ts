/**
 * Whether a node that begins may take what is on a disk for what its array has. When a life of a
 * board's exports ends, what was not flushed there may be lost; the nodes that use the array learn
 * of it with their next request, and record the disk as faulty. Until then its superblock says in
 * sync, and whoever begins would read old bytes. So a node that takes no part in the array yet gets
 * the disk only when every node that does has it open in this life of the board.
 */
import type { FenceSlots } from "./fence-slots.ts";
import { type MemberName, type PeerSession, sessionText } from "./member-name.ts";

export type NodeSession = Extract<PeerSession, { kind: "node" }>;

/** The exporter. `boot`: of this start of its board; null: all nodes of it count. */
export interface OwnBoard {
  readonly board: string;
  readonly boot: string | null;
}

/** A connection to one of its disks. */
interface Use {
  readonly ask: { readonly name: MemberName };
  /** Its session, as one word. */
  readonly who: string;
  readonly state: "asking" | "open" | "closing";
}

/** The first session that takes part and has not met this life of the board; null: all have. */
export const whoDistrusts = (
  session: NodeSession,
  disk: string,
  slots: FenceSlots,
  uses: readonly Use[],
  { board, boot }: OwnBoard,
): NodeSession | null => {
  const parties = slots.parties(session.uuid);
  if (parties.some(({ slot, epoch }) => slot === session.slot && epoch === session.epoch))
    return null;
  const open = new Set(uses.filter((use) => isOpen(use, disk)).map(({ who }) => who));
  for (const { slot, epoch, ...other } of parties) {
    const party: NodeSession = { kind: "node", uuid: session.uuid, slot, epoch };
    const isHere = other.node === board && (boot === null || other.boot === boot);
    if (slot !== session.slot && !isHere && !open.has(sessionText(party))) return party;
  }
  return null;
};

const isOpen = ({ state, ask: { name } }: Use, disk: string): boolean =>
  state === "open" && name.mode === "write" && name.disk === disk;
