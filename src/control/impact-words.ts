/** What an impact answer says to people: one sentence, and a reason for each thing that is lost. */

import { countText } from "../common/count-text.ts";
import { sizeText } from "../common/size-text.ts";
import type {
  ArrayImpact,
  Impact,
  ImpactSubject,
  ImpactVerdict,
  QuorumImpact,
} from "./impact-types.ts";

/** What is put into words. */
export interface ImpactOutcome {
  readonly subject: ImpactSubject;
  readonly verdict: ImpactVerdict;
  readonly arrays: readonly ArrayImpact[];
  readonly quorum: QuorumImpact | null;
  /** Why etcd could not be asked. */
  readonly problem: string | null;
  readonly unjudged: readonly string[];
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

const what = (subject: ImpactSubject): string =>
  subject.kind === "board" ? `${subject.name} stops` : `${subject.name} is pulled`;

const unknownText = ({ problem, unjudged }: ImpactOutcome): string[] => [
  ...(problem === null ? [] : [`etcd could not be asked for its members: ${problem}`]),
  ...(unjudged.length === 0
    ? []
    : [`${listOf(unjudged)} does not run on the board that was asked, which cannot judge it`]),
];

const headOf = (outcome: ImpactOutcome): string => {
  const { subject, verdict, arrays } = outcome;
  const event = what(subject);
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
  const { arrays, quorum } = outcome;
  const worst = [...arrays].sort((a, b) => ORDER.indexOf(a.loss) - ORDER.indexOf(b.loss));
  return {
    sentence: headOf(outcome),
    reasons: [
      ...(quorum?.isKept === false ? [quorumReason(quorum)] : []),
      ...worst.map(arrayReason),
      ...(quorum?.isKept === true ? [quorumReason(quorum)] : []),
      ...unknownText(outcome),
    ],
  };
}
