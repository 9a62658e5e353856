/**
 * Which of some stopped members a change is made on: those that assembly takes. A change of the
 * UUID that was cut short left members under both; they are still one array for whoever asks for
 * that change again.
 */

import { equalBytes } from "../common/bytes.ts";
import type { ArrayChange } from "./array-change.ts";
import { assemble } from "./assembly.ts";
import type {
  AssemblyCandidate,
  AssemblyMember,
  AssemblyStart,
  AssemblyVerdict,
} from "./assembly-types.ts";
import type { Superblock } from "./superblock-fields.ts";

/** Why the candidates are not to be changed: what assembly says, or the rules. */
export interface CandidatesRefusal {
  readonly ok: false;
  readonly code:
    | Extract<AssemblyVerdict, { verdict: "refuse" }>["code"]
    | "RAID_STALE_MEMBER"
    | "RAID_MEMBER_MISSING";
  readonly message: string;
  readonly remedy: string;
  readonly members: readonly AssemblyMember[];
}

/** One candidate that takes part, by its place in the list, with the superblock it really has. */
export interface ChangeCandidate {
  readonly index: number;
  readonly superblock: Superblock;
}

export type CandidatesChosen =
  | {
      readonly ok: true;
      readonly start: AssemblyStart;
      readonly members: readonly ChangeCandidate[];
    }
  | CandidatesRefusal;

/** How much may be amiss with the candidates. */
export interface CandidateRules {
  /** Those that assembly leaves out stay as they are; else they are refused. */
  readonly allowStale: boolean;
  /** Go on without members that the array believes working, as mdadm's `--run` does. */
  readonly allowMissing: boolean;
}

/** Chooses, or refuses all. */
export function chooseCandidates(
  candidates: readonly AssemblyCandidate[],
  change: ArrayChange,
  rules: CandidateRules,
): CandidatesChosen {
  const asked = change.type === "uuid" ? underOneUuid(candidates, change.setUuid) : candidates;
  const verdict = assemble(asked);
  if (verdict.verdict === "refuse") {
    const { code, message, remedy, members } = verdict;
    return { ok: false, code, message, remedy, members };
  }
  const { members } = verdict;
  const stale = members.find(({ placement }) => !isPart(placement.type));
  if (stale !== undefined && !rules.allowStale) {
    return {
      ok: false,
      code: "RAID_STALE_MEMBER",
      message: `${stale.path} ${stale.text}`,
      remedy: "leave it out",
      members,
    };
  }
  if (!verdict.complete && !rules.allowMissing) {
    return {
      ok: false,
      code: "RAID_MEMBER_MISSING",
      message: "members that the array believes working are not given",
      remedy: "give all of them, or --run to leave the others behind",
      members,
    };
  }
  return {
    ok: true,
    start: verdict,
    members: candidates.flatMap(({ probe }, index): ChangeCandidate[] => {
      const superblock = probe.superblock?.parsed?.value;
      const member = members[index];
      if (superblock === undefined || member === undefined) return [];
      return isPart(member.placement.type) ? [{ index, superblock }] : [];
    }),
  };
}

function isPart(type: AssemblyMember["placement"]["type"]): boolean {
  return type === "in-sync" || type === "rebuilding" || type === "spare";
}

/** All under the new UUID, when some have it already and the rest share another one. */
function underOneUuid(
  candidates: readonly AssemblyCandidate[],
  setUuid: Uint8Array,
): readonly AssemblyCandidate[] {
  const found = candidates.flatMap(({ probe }) => probe.superblock?.parsed?.value ?? []);
  const [first] = found.filter((sb) => !equalBytes(sb.setUuid, setUuid));
  const isMixed = found.some((sb) => equalBytes(sb.setUuid, setUuid));
  if (first === undefined || !isMixed) return candidates;
  return candidates.map((candidate) => {
    const { superblock } = candidate.probe;
    if (superblock?.parsed?.value === undefined) return candidate;
    if (!isSameArray(superblock.parsed.value, first)) return candidate;
    const value = { ...superblock.parsed.value, setUuid };
    const parsed = { ...superblock.parsed, value };
    return { ...candidate, probe: { ...candidate.probe, superblock: { ...superblock, parsed } } };
  });
}

function isSameArray(a: Superblock, b: Superblock): boolean {
  return (
    equalBytes(a.setUuid, b.setUuid) &&
    a.ctime.seconds === b.ctime.seconds &&
    a.ctime.microseconds === b.ctime.microseconds
  );
}
