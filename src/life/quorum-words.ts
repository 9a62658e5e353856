/** What a cluster survives and what it does not, in plain words. */
import { majorityOf, type PlanBoard, type PlanInput, wantedVoters } from "./etcd-plan.ts";

/** `at-risk`: the next loss may stop it. */
export type QuorumState = "quorate" | "at-risk" | "lost";

/** How the votes stand. */
export interface Quorum {
  readonly state: QuorumState;
  readonly voters: number;
  /** Voters that may still be lost, any of them. */
  readonly spareVotes: number;
  /** Two boards would survive the loss of either with one. */
  readonly isWitnessMissing: boolean;
  /** Boards that should have a vote and can have none now, with the reasons. */
  readonly voteless: readonly string[];
  readonly sentences: readonly string[];
}

/** How the votes stand, from what the plan is made from. */
export const describeQuorum = ({ boards, members }: PlanInput): Quorum => {
  const voters = members.filter(({ isLearner }) => !isLearner);
  const well = voters.filter(({ silentMs }) => silentMs === 0);
  const spareVotes = well.length - majorityOf(voters.length);
  const full = boards.filter(({ isWitness, isLeaving }) => !isWitness && !isLeaving);
  const witnesses = boards.filter(({ isWitness }) => isWitness);
  const isWitnessMissing = full.length === 2 && witnesses.length === 0;
  const nameOf = (owner: string): string =>
    boards.find(({ id }) => id === owner)?.name ?? "a board that is gone";
  const silent = voters.filter(({ silentMs }) => silentMs > 0).map(({ owner }) => nameOf(owner));
  const voteless = votelessOf({ boards, members: voters });
  const sentences = [
    ...voteless,
    ...silent.map((name) => `the voter on ${name} does not answer`),
    ...(full.length === 1 && witnesses.length === 0 ? [ALONE] : []),
    ...(isWitnessMissing
      ? twoBoards(
          full,
          voters.map(({ owner }) => nameOf(owner)),
        )
      : []),
  ];
  if (spareVotes < 0) {
    // Before the first answer nothing is known of voters.
    if (voters.length === 0) {
      const unknown = "no member of etcd has answered yet: who votes is not known";
      return { ...shutOutQuorum(""), sentences: [unknown] };
    }
    const lost = `${well.length} of ${voters.length} voters answer: no majority, so all boards' reads and writes wait`;
    return {
      state: "lost",
      voters: voters.length,
      spareVotes,
      isWitnessMissing,
      voteless,
      sentences: [lost, ...sentences],
    };
  }
  // A board alone has nothing to agree upon.
  const isAtRisk = spareVotes === 0 && boards.length > 1;
  const state = isAtRisk ? "at-risk" : "quorate";
  return { state, voters: voters.length, spareVotes, isWitnessMissing, voteless, sentences };
};

/** What this machine knows when the cluster refuses it. */
export const shutOutQuorum = (board: string): Quorum => ({
  state: "lost",
  voters: 0,
  spareVotes: -1,
  isWitnessMissing: false,
  voteless: [],
  sentences: [
    `the cluster refuses ${board}: every member of etcd that is there closes the connection. It was taken out (evicted, or other hardware has its place), or its clock or files are not those it had`,
    "nothing of the cluster runs here meanwhile; if it was taken out: satsuma cluster leave --force, then join by a new token",
  ],
});

/** While there are fewer voters than there should be. */
const votelessOf = ({ boards, members }: Omit<PlanInput, "graceMs">): readonly string[] => {
  if (members.length === 0 || members.length >= wantedVoters(boards)) return [];
  const without = boards.filter(
    ({ id, canVote, isLeaving }) =>
      !canVote && !isLeaving && !members.some(({ owner }) => owner === id),
  );
  return without.map(({ name, whyNot = "" }) => {
    const why = whyNot === "" ? "it does not say why" : whyNot;
    return `${name} gets no vote now: ${why}`;
  });
};

const ALONE = "the cluster has one board: nothing is served while it is off";

/** What two boards without a witness cannot do. */
const twoBoards = (boards: readonly PlanBoard[], voters: readonly string[]): readonly string[] => {
  const [voter = boards[0]?.name ?? "one board"] = voters;
  const other = boards.find(({ name }) => name !== voter)?.name ?? "the other one";
  return [
    `two boards cannot tell whether the other one died or the cable did, so only ${voter} has a vote`,
    `if ${other} stops, ${voter} goes on`,
    `if ${voter} stops, ${other} reads and writes nothing until ${voter} is back`,
    "a witness on any third machine changes that: satsuma cluster token --witness, then satsuma witness",
  ];
};
