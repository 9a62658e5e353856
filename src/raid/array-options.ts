/** What an array machine is told once, at its start. */

export interface ArrayOptions {
  /** Milliseconds without a write until the array is marked clean. Source: md safe_mode_delay. */
  readonly safeModeMs: number;
  /** Milliseconds that a member may owe an answer before it is failed; null: no limit. */
  readonly answerLimitMs: number | null;
  /** Part of the link that sync actions may use; none: all of it. */
  readonly linkShare?: number | null | undefined;
  /** Least bytes that a cluster's node resyncs at a time; for tests. */
  readonly windowBytes?: number | undefined;
}
