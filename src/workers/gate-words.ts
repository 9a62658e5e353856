/** Why the reads and writes of a clustered array wait at its gate, in one sentence. Pure. */

import { PERMIT_MS } from "../cluster/store/permission.ts";
import { GATE_CLOSED, GATE_EXPELLED } from "../raid/shared-state.ts";

/** The gate as the array thread holds it; milliseconds of the clock that all threads share. */
export interface GateStand {
  /** As SharedArrayState.gateUntil. */
  readonly until: number;
  /** It does not open again: the array is broken here, and the node leaves. */
  readonly isShut: boolean;
  readonly now: number;
}

/** Null while the node may do I/O. */
export const gateSentence = ({ until, isShut, now }: GateStand): string | null => {
  if (until === GATE_EXPELLED)
    return "reads and writes fail: the cluster goes on without this node";
  if (isShut) return "reads and writes wait: the array is broken here, and this node leaves";
  if (until === GATE_CLOSED)
    return "reads and writes wait: the store has not confirmed this node yet";
  if (now < until) return null;
  const silentMs = now - (until - PERMIT_MS);
  const seconds = (silentMs / 1000).toFixed(1);
  return `reads and writes wait: the store has not confirmed this node for ${seconds} s`;
};
