/** The cluster, its boards and tokens, as the API shows them. */

import type { ControlPlane } from "../../control/control-plane.ts";
import type { ClusterResource } from "../schemas/cluster.ts";
import { timeText } from "./times.ts";

type Status = ControlPlane["life"]["status"];
type MemberResource = ClusterResource["members"][number];

/** The cluster as this board sees it. */
export function clusterResource(control: ControlPlane): ClusterResource {
  const { status } = control.life;
  const { identity, sight } = status;
  const { boards } = control.options;
  const step = sight?.step;
  const quorum = sight === null ? "none" : quorumOf(status);
  return {
    name: identity?.cluster ?? (control.life.isManaged ? null : control.engine.cluster),
    board: identity?.board ?? boards.here,
    managed: control.life.isManaged,
    quorum:
      identity !== null && identity.endpoints.length > 0 && sight === null ? "unknown" : quorum,
    voters: sight?.quorum.voters ?? 0,
    spare_votes: Math.max(0, sight?.quorum.spareVotes ?? 0),
    sentences: [...(sight?.quorum.sentences ?? [])],
    warnings: [...(sight?.warnings ?? [])],
    next_step: step === undefined || step.type === "none" ? null : step.why,
    fingerprint: control.life.fingerprint,
    certificate: identity?.ca ?? null,
    members: membersOf(status),
    refused: (sight?.view.refused ?? []).map(({ name, serial }) => ({ name, serial })),
    links: { self: "/api/v1/cluster", tokens: "/api/v1/join-tokens", nodes: "/api/v1/nodes" },
  };
}

const quorumOf = ({ sight }: Status): ClusterResource["quorum"] => {
  if (sight === null || sight.isShutOut || sight.etcd.members.length === 0) return "unknown";
  return sight.quorum.state;
};

const membersOf = ({ identity, sight }: Status): MemberResource[] => {
  if (identity === null) return [];
  const records = sight?.view.records ?? [];
  if (records.length === 0) {
    const { id, board: name, role, host, ports } = identity;
    const address = `${host}:${ports.cluster}`;
    const state = sight?.isShutOut === true ? "unknown" : "online";
    return [{ ...NO_VOTE, id, name, role, address, here: true, state, silent_for: 0 }];
  }
  return records.map(({ id, name, role, address, isLeaving, peerUrl }) => {
    const pulse = sight?.view.pulses.get(id);
    const member = sight?.etcd.members.find(
      (one) => one.name === `satsuma-${id}` || one.peerUrls.includes(peerUrl),
    );
    const isHere = id === identity.id;
    const now = performance.now();
    const silentMs = isHere ? 0 : (sight?.pulses.silentMs(id, now) ?? null);
    const heard = isHere ? "online" : (sight?.pulses.stateOf(id, now) ?? "unknown");
    return {
      ...NO_VOTE,
      id,
      name,
      role,
      address,
      here: isHere,
      state: isLeaving ? "leaving" : heard,
      silent_for: silentMs === null ? null : silentMs / 1000,
      vote: member === undefined ? "none" : member.isLearner ? "learner" : "voter",
      answers: member === undefined ? null : member.status !== null,
      elected: member?.status?.electedId === member?.id && member !== undefined,
      database_bytes: member?.status?.databaseBytes ?? null,
      version: pulse?.version ?? "",
      etcd_version: pulse?.etcdVersion ?? "",
      remark: pulse?.remark ?? "",
    };
  });
};

const NO_VOTE = {
  vote: "none",
  answers: null,
  elected: false,
  database_bytes: null,
  version: "",
  etcd_version: "",
  remark: "",
} as const;

/** A token without its secret. */
export const tokenResource = (token: Status["tokens"][number]) => ({
  id: token.id,
  role: token.role,
  replaces: token.replaces,
  created_at: timeText(token.createdAt),
  expires_at: timeText(token.expiresAt),
  used_at: token.usedAt === null ? null : timeText(token.usedAt),
});
