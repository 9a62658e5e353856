/** What is to become of a connection that asks for a disk, but for which others are there. */
import type { FenceSlots } from "./fence-slots.ts";
import type { MemberName } from "./member-name.ts";

/** `unknown`: there is no such thing here; `policy`: it is there, and not for whoever asks. */
export interface Refusal {
  readonly kind: "unknown" | "policy";
  /** For people. */
  readonly text: string;
}

export type Verdict =
  | { readonly type: "admit" }
  /** `text`: what it waits for, for people. */
  | { readonly type: "wait"; readonly text: string }
  | { readonly type: "refuse"; readonly refusal: Refusal };

const refuse = (kind: Refusal["kind"], text: string): Verdict => ({
  type: "refuse",
  refusal: { kind, text },
});

/**
 * Whether who asks may at all. `peer`: the name in its certificate. `life`: the exporter's board
 * epoch; null while it has none.
 */
export const judgeSession = (
  name: MemberName,
  peer: string,
  life: number | null,
  slots: FenceSlots,
): Verdict => {
  if (life === null)
    return { type: "wait", text: "this board is not in its cluster now: it serves nobody" };
  if (name.life !== life)
    return refuse("unknown", `this is life ${life} of the board, not ${name.life}`);
  const standing = slots.standing(name.session);
  if (standing === "over") return refuse("policy", "the session is over");
  if (standing === "unseen")
    return { type: "wait", text: "the cluster's keys do not tell of the session" };
  if (slots.ownerOf(name.session) !== peer)
    return refuse("policy", `the session is not of the board ${peer}`);
  return { type: "admit" };
};
