/** What is to become of a connection that asks for a disk, but for which others are there. */
import type { FenceSlots } from "./fence-slots.ts";
import type { MemberName } from "./member-name.ts";
import type { RefusalWord } from "./member-refusal.ts";

/** Final for who asks. */
export interface Refusal {
  readonly word: RefusalWord;
  /** For people. */
  readonly text: string;
}

export type Verdict =
  | { readonly type: "admit" }
  /** `refusal`: what becomes of it when it has waited for too long. */
  | { readonly type: "wait"; readonly refusal: Refusal }
  | { readonly type: "refuse"; readonly refusal: Refusal };

export const wait = (word: RefusalWord, text: string): Verdict => ({
  type: "wait",
  refusal: { word, text },
});

export const refuse = (word: RefusalWord, text: string): Verdict => ({
  type: "refuse",
  refusal: { word, text },
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
    return wait("restarted", "this board is not in its cluster now: it serves nobody");
  if (name.life !== life)
    return refuse("restarted", `this is life ${life} of the board, not ${name.life}`);
  const standing = slots.standing(name.session);
  if (standing === "over") return refuse("fenced", "the session is over");
  if (standing === "unseen") return wait("fenced", "the cluster's keys do not tell of the session");
  if (slots.ownerOf(name.session) !== peer)
    return refuse("stranger", `the session is not of the board ${peer}`);
  return { type: "admit" };
};
