/** A single board's answers to the calls of the cluster port: it is always alone. */

import type { ClusterPort } from "./cluster-port.ts";

export const NO_CLUSTER: ClusterPort = { slot: 0, call: () => ({ ok: true }) };
