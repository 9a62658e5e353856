/** What a device holds: md metadata and other signatures. Pure over ranges read ahead. */

import { type ByteRange, memberProbeRanges, type ProbedMember, probeMember } from "./probe.ts";
import { detectSignatures, signatureRanges } from "./signatures.ts";

export interface DeviceContent {
  readonly probe: ProbedMember;
  /** Names of file systems, partition tables, … found; md superblocks are in `probe`. */
  readonly signatures: readonly string[];
}

/** The ranges `deviceContent` looks at. */
export const contentRanges = (sizeBytes: number): readonly ByteRange[] => [
  ...memberProbeRanges(sizeBytes),
  ...signatureRanges(sizeBytes),
];

/** `read` answers for the ranges of `contentRanges`; null = unreadable. */
export const deviceContent = (
  read: (offset: number, length: number) => Uint8Array | null,
  sizeBytes: number,
): DeviceContent => ({
  probe: probeMember(read, sizeBytes),
  signatures: detectSignatures(read, sizeBytes).map(({ name }) => name),
});

/** In words, everything on the device that somebody may want to keep; empty = nothing known. */
export const contentWords = ({ probe, signatures }: DeviceContent): readonly string[] => [
  ...(probe.allSuperblocks.length > 0 ? ["md superblock"] : []),
  ...(probe.superblock090 === null ? [] : ["md 0.90 superblock"]),
  ...probe.foreign,
  ...signatures,
];
