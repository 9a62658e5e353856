/** What happens in an array's cluster, in the words of events. */

import type { ClusterHappening } from "../cluster/node/cluster-view.ts";
import { assertNever } from "../common/assert.ts";
import type { ArrayHappening } from "../raid/array-status.ts";

type Told = Pick<ArrayHappening, "type" | "severity" | "message" | "details">;

const told = (
  type: Told["type"],
  severity: Told["severity"],
  message: string,
  details: Told["details"] = {},
): Told => ({ type, severity, message, details });

type Member = Extract<ClusterHappening, { readonly slot: number }>;

/** What happened to the node of a slot. */
const memberWords = (happening: Member): Told => {
  const { type, slot } = happening;
  switch (type) {
    case "joined":
      return told("cluster.joined", "info", `joined the cluster as node of slot ${slot}`, { slot });
    case "node-lost": {
      const { node } = happening;
      const message = `node ${node} of slot ${slot} is gone`;
      return told("cluster.node-lost", "warning", message, { slot, node });
    }
    case "node-joined": {
      const { node } = happening;
      const message = `node ${node} joined as slot ${slot}`;
      return told("cluster.node-joined", "info", message, { slot, node });
    }
    case "node-fenced":
      return told(
        "cluster.node-fenced",
        "info",
        `the node that had slot ${slot} can write no more`,
        { slot },
      );
    case "recovering":
      return told("cluster.recovering", "info", `takes over what the bitmap of slot ${slot} says`, {
        slot,
      });
    case "recovered":
      return told("cluster.recovered", "info", `slot ${slot} is free again`, { slot });
    case "ignored": {
      const { code } = happening;
      const message = `a message of an unknown type (${code}) of slot ${slot} was ignored`;
      return told("cluster.message-ignored", "warning", message, { slot, code });
    }
    case "bad-slot": {
      const message = `a message of slot ${slot}, which the array does not have: ${happening.message}`;
      return told("cluster.message-ignored", "warning", message, { slot });
    }
    case "taking-over": {
      const message = `finishes the ${happening.message} of the node of slot ${slot}`;
      return told("cluster.taking-over", "info", message, { slot });
    }
    default:
      return assertNever(happening);
  }
};

const wordsOf = (happening: ClusterHappening): Told => {
  switch (happening.type) {
    case "entered":
      return told("cluster.entered", "info", "takes part in the cluster, clients may write");
    case "left":
      return told("cluster.left", "info", "left the cluster");
    case "damaged": {
      const { key } = happening;
      return told("cluster.damaged", "critical", `${key}: ${happening.message}`, { key });
    }
    case "expelled": {
      const { reason } = happening;
      const message = `the cluster goes on without this board: ${reason}`;
      return told("cluster.expelled", "critical", message, { reason });
    }
    default:
      return memberWords(happening);
  }
};

/** `time`: milliseconds since the epoch. */
export const clusterHappening = (happening: ClusterHappening, time: number): ArrayHappening => ({
  ...wordsOf(happening),
  time,
});

/** A device that another node adds is here, and is not taken: that node is told it is not seen. */
export const devicePassedOver = (path: string, reason: string, time: number): ArrayHappening => ({
  ...told(
    "cluster.device-passed-over",
    "warning",
    `the device ${path}, which another node adds, is not taken: ${reason}`,
    { path, reason },
  ),
  time,
});
