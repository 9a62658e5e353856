/**
 * The export name under which a board asks a peer for one of its disks. It carries the session in
 * which the board asks, so every request on the connection belongs to that session's epoch: the
 * exporter refuses it, and drains what is under way, when the session is over.
 *
 *     member/1/DISK/read|write/node:UUID:SLOT:EPOCH/LIFE/HANDLE/CONNECTION
 *     member/1/DISK/read|write/board:NAME:EPOCH/LIFE/HANDLE/CONNECTION
 */

/** On whose behalf a disk is opened. */
export type PeerSession =
  /** A node of an array's cluster; `slot`: DLM slot, from 1. */
  | { readonly kind: "node"; readonly uuid: string; readonly slot: number; readonly epoch: number }
  /** A board: it reads what a disk holds, or makes a new array on a disk that nobody uses. */
  | { readonly kind: "board"; readonly name: string; readonly epoch: number };

/** What a connection to a member export asks for. */
export interface MemberName {
  /** The device's id on the exporting board. */
  readonly disk: string;
  readonly mode: "read" | "write";
  readonly session: PeerSession;
  /** Board epoch of the exporter: another life of it may have lost what was not flushed. */
  readonly life: number;
  /** One opened device of one thread; a connection replaces the one of its number before. */
  readonly handle: string;
  readonly connection: number;
}

const WORD = /^[A-Za-z0-9][A-Za-z0-9._-]{0,126}$/;
const UUID = /^[0-9a-f-]{8,64}$/;

const isCount = (text: string): boolean => /^(?:0|[1-9]\d{0,15})$/.test(text);

/** The name on the wire. */
export const encodeMemberName = (name: MemberName): string => {
  const { disk, mode, session, life, handle, connection } = name;
  return ["member", 1, disk, mode, sessionText(session), life, handle, connection].join("/");
};

/** Null: no such name; a peer may send anything. */
export const decodeMemberName = (text: string): MemberName | null => {
  const [
    kind,
    version,
    disk = "",
    mode = "",
    who = "",
    life = "",
    handle = "",
    number = "",
    ...more
  ] = text.split("/");
  const session = readSession(who);
  if (kind !== "member" || version !== "1" || more.length > 0 || session === null) return null;
  if (!WORD.test(disk) || !WORD.test(handle) || (mode !== "read" && mode !== "write")) return null;
  if (!isCount(life) || !isCount(number)) return null;
  return { disk, mode, session, life: Number(life), handle, connection: Number(number) };
};

/** A session as one word: `node:UUID:SLOT:EPOCH` or `board:NAME:EPOCH`. */
export const sessionText = (session: PeerSession): string =>
  session.kind === "node"
    ? `node:${session.uuid}:${session.slot}:${session.epoch}`
    : `board:${session.name}:${session.epoch}`;

const readSession = (text: string): PeerSession | null => {
  const [kind, who = "", first = "", second, ...more] = text.split(":");
  if (more.length > 0 || !isCount(first)) return null;
  if (kind === "board" && second === undefined && WORD.test(who))
    return { kind, name: who, epoch: Number(first) };
  if (kind !== "node" || second === undefined || !isCount(second) || !UUID.test(who)) return null;
  return { kind, uuid: who, slot: Number(first), epoch: Number(second) };
};
