/** What of the boards that serve their disks to each other wants a person's attention. Pure. */

import { parsePeerPath } from "../hal/peer-path.ts";
import type { Attention } from "./health.ts";
import type { PeerBoard, PeerBoards } from "./peer-boards.ts";
import { subjectOf } from "./subject.ts";

/** Boards that live, and none of whose disks is reached from here. */
const unreached = (peers: PeerBoards): readonly PeerBoard[] => {
  const links = peers.links();
  return peers.boards().filter(({ name, isHere }) => {
    const ways = links.filter(({ board }) => board === name);
    return !isHere && ways.length > 0 && ways.every(({ state }) => state === "gone");
  });
};

/**
 * The board whose disk is at the path, if it does not live or is not reached. One that the cluster
 * has no more brings nothing back.
 */
export function awayBoard(
  peers: PeerBoards | null,
  path: string | null,
  hasBoard: (name: string) => boolean,
): string | null {
  const board = path === null ? null : (parsePeerPath(path)?.board ?? null);
  if (peers === null || board === null || !hasBoard(board)) return null;
  const lives = peers.boards().some(({ name }) => name === board);
  return lives && !unreached(peers).some(({ name }) => name === board) ? null : board;
}

/** `peers`: null of a board that serves no disks. */
export function peerAttention(peers: PeerBoards | null): Attention[] {
  if (peers === null) return [];
  const { isOpen, reason } = peers.gate();
  const closed: Attention[] = isOpen
    ? []
    : [
        {
          severity: "warning",
          code: "member-exports-closed",
          message: `this board serves its disks to nobody: ${reason ?? "it is not in its cluster"}`,
          subject: subjectOf("system", "system"),
          fix: "See to etcd, and to the network between it and this board.",
        },
      ];
  return [
    ...closed,
    ...unreached(peers).map(
      ({ name }): Attention => ({
        severity: "warning",
        code: "peer-unreachable",
        message: isOpen
          ? `board ${name} lives, and its disks cannot be reached from here`
          : `board ${name} cannot be reached, and whether it lives is not known here`,
        subject: subjectOf("node", name),
        fix: isOpen
          ? "See to the network between the two boards."
          : "See to etcd, and to the network between the two boards.",
      }),
    ),
  ];
}
