/** What of the boards that serve their disks to each other wants a person's attention. Pure. */

import type { Attention } from "./health.ts";
import type { PeerBoards } from "./peer-boards.ts";
import { subjectOf } from "./subject.ts";

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
  const links = peers.links();
  const apart = peers.boards().filter(({ name, isHere }) => {
    const ways = links.filter(({ board }) => board === name);
    return !isHere && ways.length > 0 && ways.every(({ state }) => state === "gone");
  });
  return [
    ...closed,
    ...apart.map(
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
