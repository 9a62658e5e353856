/** The cluster in lines for people. */

import type { ClusterResource } from "../api/schemas/cluster.ts";
import { countText } from "../common/count-text.ts";
import { sizeText } from "../common/size-text.ts";

type MemberResource = ClusterResource["members"][number];

const VOTES: Readonly<Record<MemberResource["vote"], string>> = {
  none: "no vote",
  learner: "gets a vote",
  voter: "votes",
};

const stateText = ({ state, silent_for: seconds }: MemberResource): string =>
  state === "silent" ? `not heard of for ${Math.floor(seconds ?? 0)} s` : state;

const memberLine = (member: MemberResource): string => {
  const { name, role, here, vote, answers, elected, database_bytes } = member;
  const state = stateText(member);
  const words = [
    here ? `${state}, this board` : state,
    vote === "voter" && answers === false ? "has a vote and is silent" : VOTES[vote],
    ...(elected ? ["elected"] : []),
    ...(database_bytes === null ? [] : [`etcd ${sizeText(database_bytes)}`]),
    ...(member.etcd_version === "" ? [] : [`version ${member.etcd_version}`]),
  ];
  return `  ${name.padEnd(16)} ${role.padEnd(8)} ${words.join(", ")}`;
};

/** `satsuma cluster status`. */
export const clusterLines = (cluster: ClusterResource): string[] => {
  const { name, quorum, voters, spare_votes, sentences, warnings, next_step, members } = cluster;
  if (name === null) return [`${cluster.board} is in no cluster`];
  if (!cluster.managed)
    return [`${cluster.board} is in the cluster ${name}, which the configuration names`];
  const votes =
    quorum === "none"
      ? "one board alone"
      : quorum === "unknown"
        ? "nothing is known of its quorum yet"
        : `${quorum}: ${countText(voters, "voter")}, ${spare_votes} of them may be lost`;
  return [
    `cluster ${name}: ${votes}`,
    ...members.map(memberLine),
    ...sentences.map((text) => `  - ${text}`),
    ...(next_step === null ? [] : [`  now: ${next_step}`]),
    ...warnings.map((text) => `  note: ${text}`),
  ];
};
