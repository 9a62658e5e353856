/** What an impact answer says to people: one sentence, and a reason for each thing that is lost. */

import { countText } from "../common/count-text.ts";
import { sizeText } from "../common/size-text.ts";
import type {
  ArrayImpact,
  Impact,
  ImpactSubject,
  ImpactVerdict,
  QuorumImpact,
  Unknowns,
} from "./impact-types.ts";

/** What is put into words. */
export interface ImpactOutcome {
  readonly subject: ImpactSubject;
  /** A board that does not live now. */
  readonly isAway: boolean;
  readonly verdict: ImpactVerdict;
  readonly arrays: readonly ArrayImpact[];
  readonly quorum: QuorumImpact | null;
  /** Why etcd could not be asked. */
  readonly problem: string | null;
  readonly unknowns: Unknowns;
}

const listOf = (names: readonly string[]): string =>
  names.length < 2
    ? (names[0] ?? "")
    : `${names.slice(0, -1).join(", ")} and ${names[names.length - 1]}`;

const copies = (count: number): string => countText(count, "in-sync copy", "in-sync copies");

const secondsText = ({ low, high }: { readonly low: number; readonly high: number }): string =>
  low === high ? `${low} s` : `${low} to ${high} s`;

const copyText = ({ dirtyBytes, dirtyChunks, recovery }: ArrayImpact): string => {
  if (recovery === null) return "; nothing is to be copied now";
  const chunks = `${countText(dirtyChunks, "dirty chunk")} (${sizeText(dirtyBytes)})`;
  const verb = dirtyChunks === 1 ? "is" : "are";
  return `; ${chunks} ${verb} to be copied, in ${secondsText(recovery)}`;
};

const arrayReason = (array: ArrayImpact): string => {
  const { name, loss, copiesBefore, copiesAfter, nodesAfter, clients } = array;
  const moved =
    clients === 0
      ? ""
      : `; ${countText(clients, "client attaches", "clients attach")} at ${listOf(nodesAfter)}`;
  switch (loss) {
    case "data":
      return `${name} loses its last in-sync copy: what it holds is gone until that is back`;
    case "outage":
      return `${name} is run by no other board: its clients stop`;
    case "redundancy": {
      const last = copiesAfter === 1 ? ", which must not fail then" : "";
      if (copiesAfter === copiesBefore)
        return `${name} has ${copies(copiesAfter)} without it${last}`;
      return `${name} keeps ${copiesAfter} of ${copies(copiesBefore)}${last}${moved}${copyText(array)}`;
    }
    case "nothing":
      return `${name} keeps all of its ${copies(copiesBefore)}${moved}${copyText(array)}`;
  }
};

const quorumReason = ({ voters, needed, healthyAfter, isKept }: QuorumImpact): string => {
  const left = `${healthyAfter} of ${voters} members of etcd are left, ${needed} ${needed === 1 ? "is" : "are"} needed`;
  return isKept ? left : `${left}: reads and writes of all boards wait until one is back`;
};

const what = ({ subject, isAway }: ImpactOutcome): string => {
  if (subject.kind === "device") return `${subject.name} is pulled`;
  return isAway ? `${subject.name} stays away` : `${subject.name} stops`;
};

const unreadText = (names: readonly string[]): string =>
  `what ${listOf(names)} ${names.length === 1 ? "holds" : "hold"} is not known here`;

const runText = (names: readonly string[]): string =>
  `${listOf(names)} ${names.length === 1 ? "does" : "do"} not run on the board that was asked, which cannot judge ${names.length === 1 ? "it" : "them"}`;

const copylessText = (names: readonly string[]): string =>
  `${listOf(names)} ${names.length === 1 ? "has" : "have"} no in-sync copy: which disk would bring ${names.length === 1 ? "it" : "them"} back is not known`;

const unknownText = ({ problem, unknowns }: ImpactOutcome): string[] => [
  ...(problem === null ? [] : [`etcd could not be asked for its members: ${problem}`]),
  ...(unknowns.unread.length === 0 ? [] : [unreadText(unknowns.unread)]),
  ...(unknowns.idle.length === 0 ? [] : [runText(unknowns.idle)]),
  ...(unknowns.copyless.length === 0 ? [] : [copylessText(unknowns.copyless)]),
];

const headOf = (outcome: ImpactOutcome): string => {
  const { verdict, arrays } = outcome;
  const event = what(outcome);
  const names = (losses: readonly string[]): string =>
    listOf(arrays.filter(({ loss }) => losses.includes(loss)).map(({ name }) => name));
  const lost = names(["data", "outage"]);
  switch (verdict) {
    case "safe":
      return `Safe: nothing is lost when ${event}.`;
    case "degrades":
      return `Clients go on when ${event}; ${names(["redundancy"])} has less redundancy until it is back.`;
    case "unknown":
      return `Not known: ${unknownText(outcome).join("; ")}.`;
    case "loses":
      return lost === ""
        ? `Not safe: etcd loses its quorum when ${event}.`
        : `Not safe: ${lost} cannot be used when ${event}.`;
  }
};

/** Worst first. */
const ORDER: readonly ArrayImpact["loss"][] = ["data", "outage", "redundancy", "nothing"];

/** The sentence and the reasons. */
export function impactSentence(outcome: ImpactOutcome): Pick<Impact, "sentence" | "reasons"> {
  const { arrays, quorum, subject, isAway } = outcome;
  const worst = [...arrays].sort((a, b) => ORDER.indexOf(a.loss) - ORDER.indexOf(b.loss));
  return {
    sentence: headOf(outcome),
    reasons: [
      ...(isAway ? [`${subject.name} is away: what stops with it has stopped already`] : []),
      ...(quorum?.isKept === false ? [quorumReason(quorum)] : []),
      ...worst.map(arrayReason),
      ...(quorum?.isKept === true ? [quorumReason(quorum)] : []),
      ...unknownText(outcome),
    ],
  };
}
