/**
 * Whether a board may be taken out of service now, and why not. Decisions only.
 *
 * Drain: its clients go elsewhere and its arrays are run by the others; its disks stay served.
 * Maintenance: its disks are failed first as well, so that it can be switched off.
 */

import { quorumWithout } from "./impact.ts";
import type { ImpactArray, ImpactFacts } from "./impact-types.ts";
import { copiesNow, copiesWithout } from "./survival.ts";

export type DrainMode = "drain" | "maintenance";

/** Why not. `mayForce`: an administrator may insist; nothing is lost but service. */
export interface DrainRefusal {
  readonly mayForce: boolean;
  readonly reason: string;
}

/** A member of an array on one of the board's disks. */
export interface OwnMember {
  readonly uuid: string;
  readonly path: string;
}

/** Members in use on the board's own disks: what maintenance fails first. */
export function ownMembers({ arrays, boardOf, here }: ImpactFacts): OwnMember[] {
  return arrays.flatMap(({ uuid, status }) =>
    status.members.flatMap(({ path, states }) =>
      path !== null && boardOf(path) === here && !states.includes("faulty") ? [{ uuid, path }] : [],
    ),
  );
}

const copyRefusal = ({ name, status }: ImpactArray, facts: ImpactFacts): DrainRefusal[] => {
  const left = copiesWithout(status, (path) => facts.boardOf(path) === facts.here);
  if (copiesNow(status) === 0 || left > 0) return [];
  const reason = `${name} has its last in-sync copy on this board's disks`;
  return [{ mayForce: false, reason }];
};

const quorumRefusal = (facts: ImpactFacts): DrainRefusal[] => {
  const { quorum, here } = facts;
  if (quorum === null) return [];
  if (quorum.problem !== null) {
    return [{ mayForce: true, reason: `etcd could not be asked: ${quorum.problem}` }];
  }
  const left = quorumWithout(quorum, here);
  if (left === null || left.isKept) return [];
  const { voters, needed, healthyAfter } = left;
  const need = `${needed} ${needed === 1 ? "is" : "are"} needed`;
  const reason = `etcd would have ${healthyAfter} of ${voters} members, ${need}`;
  return [{ mayForce: false, reason }];
};

/** Every reason against it; none: go on. */
export function drainRefusals(mode: DrainMode, facts: ImpactFacts): DrainRefusal[] {
  const { here, arrays } = facts;
  const alone = arrays.flatMap(({ name, nodes }): DrainRefusal[] =>
    nodes.includes(here) && nodes.length === 1
      ? [{ mayForce: true, reason: `${name} is run by no other board: its clients would stop` }]
      : [],
  );
  if (mode === "drain") return alone;
  const copies = arrays.flatMap((array) => copyRefusal(array, facts));
  return [...copies, ...quorumRefusal(facts), ...alone];
}
