/**
 * What the panel knows of the boards of a cluster: what the API tells of votes, services and ways,
 * put together board by board. Pure.
 */

import type { ClusterResource } from "../../../src/api/schemas/cluster.ts";
import type { ImpactResource, NodeResource } from "../../../src/api/schemas/node.ts";
import type { PeerReportResource, PeerResource } from "../../../src/api/schemas/peer.ts";
import { byName, type Way, wayOf } from "./cluster-ways.ts";

/** Answers of the board, all of about one moment. */
export interface ClusterAnswers {
  readonly cluster: ClusterResource;
  readonly nodes: readonly NodeResource[];
  readonly peers: PeerReportResource;
  readonly impacts: readonly ImpactResource[];
}

/** A board or a witness of a cluster that the boards look after themselves. */
export type MemberAnswer = ClusterResource["members"][number];
type NodeStatus = NonNullable<NodeResource["status"]>;

/** One board. */
export interface BoardRow {
  readonly name: string;
  readonly isHere: boolean;
  readonly state: "up" | "silent" | "unknown" | "away" | "leaving";
  /** Of this board only: others tell of themselves. */
  readonly status: NodeStatus | null;
  readonly version: string;
  readonly address: string;
  /** URL of its panel; null: not known. */
  readonly panel: string | null;
  /** Null where the configuration names the cluster. */
  readonly member: MemberAnswer | null;
  /** Its member of etcd answers; null: it has none, or that is not known. */
  readonly answers: boolean | null;
  readonly way: Way | null;
  /** Which of this board's arrays it runs; null: this board runs none, so it does not know. */
  readonly runs: readonly string[] | null;
}

/** True for a board that is in no cluster. */
export function isAlone({ cluster, nodes, peers }: ClusterAnswers): boolean {
  return cluster.name === null && peers.items.length < 2 && nodes.length < 2;
}

const stateOf = (
  member: MemberAnswer | null,
  peer: PeerResource | undefined,
): BoardRow["state"] => {
  if (member?.state === "leaving") return "leaving";
  if (member?.state === "offline" || peer?.state === "away") return "away";
  if (member?.state === "unknown" || peer?.state === "unknown") return "unknown";
  return member?.state === "silent" || peer?.state === "silent" ? "silent" : "up";
};

const arraysOf = (arrays: NodeStatus["arrays"], name: string): readonly string[] =>
  arrays.filter(({ nodes }) => nodes.includes(name)).map((array) => array.name);

const webAddress = (url: string | undefined): string | null =>
  url !== undefined && /^https?:\/\//.test(url) ? url : null;

/** Every board, by name. */
export function boardRows({ cluster, nodes, peers }: ClusterAnswers): readonly BoardRow[] {
  const status = nodes.find(({ here }) => here)?.status ?? null;
  const running = (status?.arrays ?? []).filter((array) => array.running);
  const names = [
    ...cluster.members.filter(({ role }) => role === "board"),
    ...nodes,
    ...peers.items.map(({ id }) => ({ name: id })),
  ].map(({ name }) => name);
  return [...new Set(names)].sort(byName).map((name) => {
    const member = cluster.members.find((one) => one.name === name) ?? null;
    const peer = peers.items.find(({ id }) => id === name);
    const voter = status?.quorum?.voters.find(({ board }) => board === name);
    const isHere = name === cluster.board;
    return {
      name,
      isHere,
      state: stateOf(member, peer),
      status: isHere ? status : null,
      version: peer?.version || member?.version || "",
      address: peer?.address || member?.address || "",
      panel: isHere ? null : webAddress(peer?.api),
      member,
      answers: member === null ? (voter?.healthy ?? null) : member.answers,
      way: wayOf(peers, cluster.board, name),
      runs: isHere || running.length > 0 ? arraysOf(running, name) : null,
    };
  });
}

/** Machines that only vote. */
export function witnesses({ cluster }: ClusterAnswers): readonly MemberAnswer[] {
  return cluster.members.filter(({ role }) => role === "witness");
}

/** The board looks after a cluster itself: boards and witnesses come and go by its word. */
export function isManaged({ cluster }: ClusterAnswers): boolean {
  return cluster.managed && cluster.name !== null;
}

/** How the votes stand. */
export interface Votes {
  readonly state: "quorate" | "at-risk" | "lost" | "unknown";
  readonly voters: number;
  readonly answering: number;
  /** Voters that may still be lost, any of them. */
  readonly spare: number;
}

/** Null: nobody votes, because there is one board or no etcd. */
export function votesOf(answers: ClusterAnswers): Votes | null {
  const { cluster, nodes } = answers;
  const quorum = nodes.find(({ here }) => here)?.status?.quorum ?? null;
  if (isManaged(answers)) {
    const { quorum: state, voters, spare_votes: spare, members } = cluster;
    const answering = members.filter((one) => one.vote === "voter" && one.answers).length;
    // What is left of a cluster has an etcd, and nobody to agree with.
    const isOne = state === "none" || (state === "quorate" && members.length < 2);
    return isOne ? null : { state, voters, answering, spare };
  }
  if (quorum === null) return null;
  const voters = quorum.voters.length;
  if (quorum.problem !== null || voters === 0) {
    return { state: "unknown", voters, answering: 0, spare: 0 };
  }
  const answering = quorum.voters.filter(({ healthy }) => healthy).length;
  const spare = answering - (Math.floor(voters / 2) + 1);
  const state = spare < 0 ? "lost" : spare === 0 ? "at-risk" : "quorate";
  return { state, voters, answering, spare: Math.max(0, spare) };
}

/** Two boards stop with one of them, and a witness would change that. */
export function lacksWitness(answers: ClusterAnswers): boolean {
  const staying = answers.cluster.members.filter(
    ({ role, state }) => role === "board" && state !== "leaving",
  );
  return isManaged(answers) && staying.length === 2 && witnesses(answers).length === 0;
}
