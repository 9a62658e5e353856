/** Boards and impact answers, as the API shows them. */

import type { ControlPlane } from "../../control/control-plane.ts";
import { type Hearing, hearing } from "../../control/hearing.ts";
import type { Impact } from "../../control/impact-types.ts";
import { secondsSince } from "../../control/peer-boards.ts";
import { subjectOf } from "../../control/subject.ts";
import { copiesNow } from "../../control/survival.ts";
import type { ImpactResource, NodeResource } from "../schemas/node.ts";
import { timeText, timeTextOrNull } from "./times.ts";

type NodeStatus = NonNullable<NodeResource["status"]>;

const stateOf = (control: ControlPlane): NodeStatus["state"] => {
  const { record } = control.drains;
  if (record === null) return "in-service";
  if (!record.isDone) return "draining";
  return record.mode === "drain" ? "drained" : "maintenance";
};

/** Arrays that run here or should; one that was stopped by request is nobody's concern. */
const arraysOf = (control: ControlPlane): NodeStatus["arrays"] =>
  control.arrays
    .list()
    .filter(({ isRunning, record }) => isRunning || record.desiredState === "started")
    .map(({ record, status, isRunning, health }) => ({
      array_id: record.uuid,
      name: record.name,
      running: isRunning,
      health,
      copies: status === null ? 0 : copiesNow(status),
      degraded: status?.degraded ?? 0,
      syncing: status?.sync != null || status?.cluster?.resync != null,
      nodes:
        status?.peers?.nodes.map(({ node }) => node) ?? (isRunning ? [control.nodes.here] : []),
    }));

const statusOf = async (control: ControlPlane): Promise<NodeStatus> => {
  const { record } = control.drains;
  const quorum = await control.options.boards.quorum();
  return {
    state: stateOf(control),
    since: timeTextOrNull(record?.since ?? null),
    started_at: timeText(control.startedAt),
    arrays: arraysOf(control),
    elsewhere: (record?.arrays ?? []).map(({ uuid, elsewhere }) => ({
      array_id: uuid,
      addresses: elsewhere.map(({ address }) => address),
    })),
    quorum:
      quorum === null
        ? null
        : {
            voters: quorum.voters.map(({ name, board, isHealthy }) => ({
              name,
              board,
              healthy: isHealthy,
            })),
            problem: quorum.problem,
          },
  };
};

const silenceOf = async ({ engine }: ControlPlane, name: string): Promise<number | null> => {
  const { peers } = engine;
  return peers === null ? null : secondsSince(await peers.report(), peers.gate(), name);
};

/** One that runs an array and is no live board any more is waited for. */
const lifeOf = ({ engine }: ControlPlane, name: string, silentFor: number | null): Hearing => {
  const { peers } = engine;
  // Boards on disks that all of them see: known by the arrays that they run.
  if (peers === null) return "up";
  const isGone = peers.gate().isOpen && !peers.boards().some((one) => one.name === name);
  return isGone ? "silent" : hearing(silentFor);
};

/** One board; of another one only its name is known here. */
export async function nodeResource(control: ControlPlane, name: string): Promise<NodeResource> {
  const here = name === control.nodes.here;
  const silentFor = here ? 0 : await silenceOf(control, name);
  const self = subjectOf("node", name);
  return {
    id: name,
    name,
    here,
    life: lifeOf(control, name, silentFor),
    silent_for: silentFor,
    status: here ? await statusOf(control) : null,
    links: { self, impact: `${self}/impact` },
  };
}

/** An impact answer. */
export function impactResource(impact: Impact): ImpactResource {
  const { subject, verdict, sentence, reasons, arrays, quorum, unjudged } = impact;
  return {
    subject: { kind: subject.kind, name: subject.name },
    safe: verdict === "safe" || verdict === "degrades",
    verdict,
    sentence,
    reasons: [...reasons],
    arrays: arrays.map((array) => ({
      array_id: array.uuid,
      name: array.name,
      loss: array.loss,
      copies_before: array.copiesBefore,
      copies_after: array.copiesAfter,
      members: [...array.members],
      nodes_after: [...array.nodesAfter],
      clients: array.clients,
      dirty_chunks: array.dirtyChunks,
      dirty_bytes: array.dirtyBytes,
      recovery: array.recovery === null ? null : { ...array.recovery },
    })),
    quorum:
      quorum === null
        ? null
        : {
            voters: quorum.voters,
            needed: quorum.needed,
            healthy_before: quorum.healthyBefore,
            healthy_after: quorum.healthyAfter,
            kept: quorum.isKept,
          },
    unjudged: [...unjudged],
  };
}
