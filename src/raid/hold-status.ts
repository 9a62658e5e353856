/** What an array tells of client writes that waited for its cluster's sake: plain values. */

/** Why a write waits: another node resyncs there, or the node may do no I/O just now. */
export type HoldReason = "range" | "gate";

/** Figures since the array was started here. */
export interface WriteHoldFigures {
  /** Writes that waited for another node's resync, and for the permission to do I/O. */
  readonly byRange: number;
  readonly byGate: number;
  /** Writes that wait now. */
  readonly held: number;
  /** Milliseconds that those no longer waiting had waited; 0 when there were none. */
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}
