/**
 * Why a would-be member is no member of anything, in a word for programs and a sentence for people.
 */

import type { AssemblyCandidate, AssemblyReason } from "./assembly-types.ts";
import type { SuperblockReason } from "./superblock.ts";

type Found = Pick<AssemblyCandidate, "probe" | "isUnsettled">;

/** What each rule of the superblock decoder means to people. */
const DAMAGE: Readonly<Record<SuperblockReason, string>> = {
  truncated: "has a superblock that is cut off",
  "no-magic": "has a superblock without its magic number",
  "major-version": "has a superblock of an unknown major version",
  "max-dev": "has a superblock that names more devices than fit",
  "out-of-range": "has a superblock with a position or count beyond 2^53",
  "super-offset": "has a superblock that belongs at another position",
  "feature-map": "has a superblock with a feature that no known md has",
  checksum: "has a superblock with a wrong checksum",
  padding: "has a superblock with padding that is not zero",
  "data-size": "has a superblock that leaves no room for data",
  "data-offset": "has a superblock that puts the data over itself",
  "raid0-layout": "has a superblock with the raid0 layout feature at another level",
  "device-too-small": "is smaller than its superblock says",
};

/** A sentence for a broken rule of the superblock decoder. */
export function superblockReasonText(reason: SuperblockReason): string {
  return DAMAGE[reason];
}

/** Why this member cannot take part in any array, or null when its superblock is sound. */
export function unusableReason({ probe, isUnsettled = false }: Found): AssemblyReason | null {
  if (isUnsettled) return "unreadable";
  const found = probe.superblock;
  if (found !== null) {
    if (found.problem === null) return null;
    return found.problem === "device-too-small" ? "too-small" : "damaged";
  }
  if (probe.superblock090 !== null) return "metadata-0.90";
  if (probe.foreign.includes("ddf")) return "metadata-ddf";
  if (probe.foreign.includes("imsm")) return "metadata-imsm";
  return probe.unreadable ? "unreadable" : "no-superblock";
}

/** The sentence for `unusableReason`, without a full stop. */
export function unusableText({ probe, isUnsettled = false }: Found): string {
  if (isUnsettled) return "cannot be flushed: what it says last may not be on its medium";
  const found = probe.superblock;
  if (found !== null) {
    if (found.problem === "device-too-small") {
      const needed = found.parsed?.value.dataSize ?? 0;
      return `${DAMAGE["device-too-small"]} (${needed} sectors of data in ${probe.sizeBytes} bytes)`;
    }
    return found.problem === null ? "" : DAMAGE[found.problem];
  }
  if (probe.superblock090 !== null) {
    return "has metadata 0.90; convert it with mdadm --assemble --update=metadata";
  }
  if (probe.foreign.length > 0) return `has ${probe.foreign.join(" and ").toUpperCase()} metadata`;
  return probe.unreadable ? "could not be read where superblocks lie" : "has no md superblock";
}
