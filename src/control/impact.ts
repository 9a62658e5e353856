/**
 * "What if it stops now?": which arrays lose redundancy, data or their place to run when a board
 * stops or a device is pulled, how much is to be copied afterwards, whether etcd keeps its quorum.
 * Decisions only; node-service.ts gathers the facts.
 */

import type { ArrayStatus } from "../raid/array-status.ts";
import type {
  ArrayImpact,
  ArrayLoss,
  Impact,
  ImpactArray,
  ImpactFacts,
  ImpactSubject,
  ImpactVerdict,
  Quorum,
  QuorumImpact,
} from "./impact-types.ts";
import { unknownsOf } from "./impact-unknown.ts";
import { impactSentence } from "./impact-words.ts";
import { copiesNow, copiesWithout } from "./survival.ts";

/** What a quick network and a quick disk copy. Choice: a gigabit link, full. */
const COPY_SPEED = 110_000_000;

const recoveryOf = (bytes: number, status: ArrayStatus): ArrayImpact["recovery"] => {
  if (bytes === 0) return null;
  const reached = status.sync?.speedBytesPerSecond ?? 0;
  const most = Math.max(1, Math.min(status.syncSpeedMax, reached > 0 ? reached : COPY_SPEED));
  const least = Math.max(1, Math.min(status.syncSpeedMin, most));
  return { low: Math.ceil(bytes / most), high: Math.ceil(bytes / least) };
};

const lossOf = (before: number, after: number, isRun: boolean): ArrayLoss => {
  if (before > 0 && after === 0) return "data";
  if (!isRun) return "outage";
  return after < before ? "redundancy" : "nothing";
};

/**
 * A rebuild that is not through begins anew with another device: its copy is lost as well. What
 * failed because its board went away is missed until that is back.
 */
const isUsed = (states: ArrayStatus["members"][number]["states"], isAway: boolean): boolean =>
  states.includes("in_sync") || states.includes("rebuilding") || (isAway && isOut(states));

const isOut = (states: ArrayStatus["members"][number]["states"]): boolean =>
  states.includes("faulty") || states.includes("missing");

const arrayImpact = (
  { uuid, name, status, nodes, clients, dirtyBytes }: ImpactArray,
  facts: ImpactFacts,
  subject: ImpactSubject,
): ArrayImpact | null => {
  const isGone = (path: string): boolean =>
    subject.kind === "device" ? path === subject.path : facts.boardOf(path) === subject.name;
  const isBoard = subject.kind === "board";
  const isAway = isBoard && facts.away.includes(subject.name);
  const members = status.members.flatMap(({ path, states }) =>
    path !== null && isUsed(states, isAway) && isGone(path) ? [path] : [],
  );
  const isNodeGone = isBoard && nodes.includes(subject.name);
  if (members.length === 0 && !isNodeGone) return null;
  const nodesAfter = isBoard ? nodes.filter((node) => node !== subject.name) : nodes;
  const copiesBefore = copiesNow(status);
  const copiesAfter = copiesWithout(status, isGone);
  const { chunkBytes } = status.bitmap;
  const loss = lossOf(copiesBefore, copiesAfter, nodesAfter.length > 0);
  return {
    uuid,
    name,
    loss: loss === "nothing" && isAway && members.length > 0 ? "redundancy" : loss,
    copiesBefore,
    copiesAfter,
    members,
    nodesAfter,
    clients: isBoard && subject.name === facts.here ? clients : 0,
    dirtyChunks: chunkBytes === 0 ? 0 : Math.ceil(dirtyBytes / chunkBytes),
    dirtyBytes,
    recovery: recoveryOf(dirtyBytes, status),
  };
};

/** Whether etcd goes on without a board's member; null when it is not known, or nothing depends. */
export function quorumWithout(quorum: Quorum | null, board: string): QuorumImpact | null {
  if (quorum === null || quorum.problem !== null) return null;
  const { voters } = quorum;
  const needed = Math.floor(voters.length / 2) + 1;
  const healthy = voters.filter(({ isHealthy }) => isHealthy);
  const healthyAfter = healthy.filter((voter) => voter.board !== board).length;
  return {
    voters: voters.length,
    needed,
    healthyBefore: healthy.length,
    healthyAfter,
    isKept: healthyAfter >= needed,
  };
}

const verdictOf = (
  arrays: readonly ArrayImpact[],
  quorum: QuorumImpact | null,
  isUnknown: boolean,
): ImpactVerdict => {
  const losses = new Set(arrays.map(({ loss }) => loss));
  if (losses.has("data") || losses.has("outage") || quorum?.isKept === false) return "loses";
  if (isUnknown) return "unknown";
  return losses.has("redundancy") ? "degrades" : "safe";
};

/** What is lost when `subject` goes now. */
export function impactOf(facts: ImpactFacts, subject: ImpactSubject): Impact {
  const unknowns = unknownsOf(facts, subject);
  const arrays = facts.arrays.flatMap((array) => arrayImpact(array, facts, subject) ?? []);
  const isBoard = subject.kind === "board";
  const quorum = isBoard ? quorumWithout(facts.quorum, subject.name) : null;
  const problem = isBoard ? (facts.quorum?.problem ?? null) : null;
  const { idle, copyless, unread } = unknowns;
  const unjudged = [...idle, ...copyless];
  const isUnknown = problem !== null || unjudged.length > 0 || unread.length > 0;
  const verdict = verdictOf(arrays, quorum, isUnknown);
  const isAway = isBoard && facts.away.includes(subject.name);
  const words = impactSentence({ subject, isAway, verdict, arrays, quorum, problem, unknowns });
  return { subject, verdict, ...words, arrays, quorum, unjudged };
}
