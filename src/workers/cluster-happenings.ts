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

const wordsOf = (happening: ClusterHappening): Told => {
  switch (happening.type) {
    case "joined": {
      const { slot } = happening;
      return told("cluster.joined", "info", `joined the cluster as node of slot ${slot}`, { slot });
    }
    case "entered":
      return told("cluster.entered", "info", "takes part in the cluster, clients may write");
    case "left":
      return told("cluster.left", "info", "left the cluster");
    case "node-lost": {
      const { slot, node } = happening;
      const message = `node ${node} of slot ${slot} is gone`;
      return told("cluster.node-lost", "warning", message, { slot, node });
    }
    case "node-joined": {
      const { slot, node } = happening;
      const message = `node ${node} joined as slot ${slot}`;
      return told("cluster.node-joined", "info", message, { slot, node });
    }
    case "node-fenced": {
      const { slot } = happening;
      const message = `the node that had slot ${slot} can write no more`;
      return told("cluster.node-fenced", "info", message, { slot });
    }
    case "recovering": {
      const { slot } = happening;
      const message = `takes over what the bitmap of slot ${slot} says`;
      return told("cluster.recovering", "info", message, { slot });
    }
    case "recovered": {
      const { slot } = happening;
      return told("cluster.recovered", "info", `slot ${slot} is free again`, { slot });
    }
    case "ignored": {
      const { slot, code } = happening;
      const message = `a message of an unknown type (${code}) of slot ${slot} was ignored`;
      return told("cluster.message-ignored", "warning", message, { slot, code });
    }
    case "bad-slot": {
      const { slot } = happening;
      const message = `a message of slot ${slot}, which the array does not have: ${happening.message}`;
      return told("cluster.message-ignored", "warning", message, { slot });
    }
    case "taking-over": {
      const { slot } = happening;
      const message = `finishes the ${happening.message} of the node of slot ${slot}`;
      return told("cluster.taking-over", "info", message, { slot });
    }
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
      return assertNever(happening);
  }
};

/** `time`: milliseconds since the epoch. */
export const clusterHappening = (happening: ClusterHappening, time: number): ArrayHappening => ({
  ...wordsOf(happening),
  time,
});
