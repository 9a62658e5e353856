/**
 * Looks at each change of a lock resource in the simulated store.
 *   I1 granted modes of a lock are compatible
 *   I2 nobody waits at the head of a queue for what can be granted
 *   I3 each lock call that was accepted is completed once
 *   I4 the value block changes only where a holder of PW or EX writes it; who loses it so is told
 */

import { DLM_LKF_VALBLK } from "../../../src/cluster/dlm/lock-flags.ts";
import { PW } from "../../../src/cluster/dlm/lock-mode.ts";
import {
  type DlmLock,
  EMPTY_RESOURCE,
  type LockOwner,
  type LockResource,
} from "../../../src/cluster/dlm/lock-resource.ts";
import { excludes, keyText } from "../../helpers/lock-oracle.ts";

/** What the checks tell: the invariant's name, and what is wrong. */
export type Tell = (invariant: string, what: string) => void;

export class LockChecks {
  readonly #tell: Tell;
  /** Whether a session was a member's until this transaction. */
  readonly #isMember: (owner: LockOwner) => boolean;
  readonly #known = new Map<string, LockResource>();

  constructor(tell: Tell, isMember: (owner: LockOwner) => boolean) {
    this.#tell = tell;
    this.#isMember = isMember;
  }

  /** The resource as it is now. */
  see(name: string, now: LockResource): void {
    const was = this.#known.get(name) ?? EMPTY_RESOURCE;
    this.#known.set(name, now);
    this.#areCompatible(name, now);
    this.#isNobodyForgotten(name, now);
    this.#areCompleted(name, was, now);
    this.#isBlockRight(name, was, now);
  }

  #areCompatible(name: string, { granted, converting }: LockResource): void {
    const holders = [...granted, ...converting];
    for (const [at, one] of holders.entries())
      for (const other of holders.slice(at + 1))
        if (excludes(one.granted, other.granted))
          this.#tell("I1", `${name}: ${keyText(one)} and ${keyText(other)} exclude each other`);
  }

  #isNobodyForgotten(name: string, { granted, converting, waiting }: LockResource): void {
    const holders = [...granted, ...converting];
    const mayHave = (lock: DlmLock): boolean =>
      !holders.some((other) => other !== lock && excludes(other.granted, lock.requested));
    const head = converting[0] ?? waiting[0];
    if (head !== undefined && mayHave(head))
      this.#tell("I2", `${name}: ${keyText(head)} waits for what can be granted`);
  }

  /** Calls that are open, that came and that were completed add up, for each lock. */
  #areCompleted(name: string, was: LockResource, now: LockResource): void {
    const before = new Map(locksOf(was).map((lock) => [keyText(lock), lock]));
    for (const lock of locksOf(now)) {
      const old = before.get(keyText(lock));
      const wasOpen = (old?.requested ?? null) !== null;
      // An operation on a lock that waits takes back what it waits for.
      const isCall = !wasOpen && lock.op !== old?.op;
      const due = wasOpen || isCall ? 1 : 0;
      const open = lock.requested === null ? 0 : 1;
      const done = lock.astCount - (old?.astCount ?? 0);
      if (done !== due - open)
        this.#tell("I3", `${name}: ${done} completions of ${keyText(lock)}, not ${due - open}`);
    }
  }

  #isBlockRight(name: string, was: LockResource, now: LockResource): void {
    if (locksOf(now).length === 0) return;
    const left = new Set(locksOf(now).map(keyText));
    const holders = locksOf(was).filter(({ granted }) => granted !== null && granted >= PW);
    const isWritten = now.lvbSeq !== was.lvbSeq;
    const isWriter = (lock: DlmLock): boolean => {
      const after = locksOf(now).find((other) => keyText(other) === keyText(lock));
      return after === undefined || after.astCount > lock.astCount;
    };
    if (now.lvbSeq < was.lvbSeq || (isWritten && !holders.some(isWriter)))
      this.#tell("I4", `${name}: the value block was written by nobody who may`);
    if (!isWritten && (now.lvb !== was.lvb || (was.isLvbInvalid && !now.isLvbInvalid)))
      this.#tell("I4", `${name}: the value block is another one, and nobody has written it`);
    const isLost = (lock: DlmLock): boolean =>
      !left.has(keyText(lock)) && (lock.flags & DLM_LKF_VALBLK) !== 0 && !this.#isMember(lock);
    if (!isWritten && !now.isLvbInvalid && holders.some(isLost))
      this.#tell("I4", `${name}: its writer is gone, and the value block counts as valid`);
  }
}

const locksOf = ({ granted, converting, waiting }: LockResource): readonly DlmLock[] => [
  ...granted,
  ...converting,
  ...waiting,
];

/**
 * I3 as a node sees it: calls and completions of each lock follow one another in its trace, and
 * none is open. Null: so they do.
 */
export const openCompletion = (
  trace: readonly { readonly what: string; readonly text: string }[],
): string | null => {
  const isOpen = new Map<string, boolean>();
  for (const { what, text } of trace) {
    if (what !== "lock" && what !== "ast") continue;
    const [resource = "", word = ""] = text.split(" ");
    const isCall = what === "lock";
    // What came before the oldest entry is not known.
    const was = isOpen.get(resource) ?? !isCall;
    if (was === isCall) return `${resource} ${word} after another ${what} of it`;
    isOpen.set(resource, isCall);
  }
  const open = [...isOpen].find(([, waits]) => waits);
  return open === undefined ? null : `a call for ${open[0]} has no completion`;
};
