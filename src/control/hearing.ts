/** Whether a board is heard of, by the seconds since it was heard last. Pure. */

/** It confirms more often; etcd and its watch take their part. Choice. */
export const LATE_SECONDS = 3;

/** `unknown`: this board is cut off itself, and hears of nobody. */
export type Hearing = "up" | "silent" | "unknown";

/** `seconds`: since it was heard; null: that cannot be known here. */
export const hearing = (seconds: number | null, late = LATE_SECONDS): Hearing => {
  if (seconds === null) return "unknown";
  return seconds > late ? "silent" : "up";
};
