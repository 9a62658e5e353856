/** The verdict on some candidates for people and programs. Pure. */

import { assemble } from "./assembly.ts";
import { refusalToRun } from "./assembly-runnable.ts";
import type { AssemblyReport, FoundArray, FoundMember } from "./assembly-status.ts";
import type { AssemblyCandidate, AssemblyMember, AssemblyVerdict } from "./assembly-types.ts";
import { bitmapClusterName } from "./bitmap-superblock.ts";
import { levelName } from "./examine-lines.ts";
import { arraySizeBytes, describeRole } from "./examine-superblock.ts";
import { formatRaid10Layout } from "./raid10-layout.ts";
import { superblockMinor, superblockName } from "./superblock.ts";
import type { Superblock, SuperblockTime } from "./superblock-fields.ts";
import { MD_FEATURE_BITMAP_OFFSET, SECTOR_BYTES } from "./superblock-fields.ts";
import { uuidToKernelText } from "./uuid.ts";

const millisecondsOf = ({ seconds, microseconds }: SuperblockTime): number =>
  seconds * 1000 + Math.floor(microseconds / 1000);

/**
 * What a read-write start from these candidates would come to. `cluster`: the name of the board's,
 * null in none.
 */
export function assemblyReport(
  candidates: readonly AssemblyCandidate[],
  cluster: string | null = null,
): AssemblyReport {
  const verdict = assemble(candidates);
  const members = verdict.members.map(foundMember);
  const described = describedBy(verdict);
  const sizeBytes =
    verdict.verdict === "start"
      ? verdict.shape.arraySectors * SECTOR_BYTES
      : described && arraySizeBytes(described);
  const array = described === null ? null : foundArray(described, sizeBytes, candidates);
  if (verdict.verdict === "refuse") {
    const { code, message, remedy } = verdict;
    const refusal = { code, message, remedy };
    return { array, refusal, isComplete: false, degraded: 0, needsResync: false, members };
  }
  return {
    array,
    refusal: refusalToRun(verdict, { readOnly: false, cluster }),
    isComplete: verdict.complete,
    degraded: verdict.degraded,
    needsResync: verdict.dirty,
    members,
  };
}

/** The superblock that describes the array: the freshest, or of a refused one the newest. */
function describedBy(verdict: AssemblyVerdict): Superblock | null {
  if (verdict.verdict === "start") return verdict.shape.freshest;
  let newest: Superblock | null = null;
  for (const { superblock } of verdict.members) {
    if (superblock === null) continue;
    if (newest === null || superblock.events > newest.events) newest = superblock;
  }
  return newest;
}

function foundArray(
  sb: Superblock,
  sizeBytes: number | null,
  candidates: readonly AssemblyCandidate[],
): FoundArray {
  const full = superblockName(sb);
  const colon = full.indexOf(":");
  return {
    uuid: uuidToKernelText(sb.setUuid),
    name: full.slice(colon + 1),
    homehost: colon === -1 ? null : full.slice(0, colon),
    level: levelName(sb.level),
    layout: sb.level === 10 ? formatRaid10Layout(sb.layout) : null,
    chunkBytes: sb.chunkSize === 0 ? null : sb.chunkSize * SECTOR_BYTES,
    raidDevices: sb.raidDisks,
    metadata: `1.${superblockMinor(sb)}`,
    sizeBytes,
    memberBytes: sb.size * SECTOR_BYTES,
    createdAt: millisecondsOf(sb.ctime),
    events: sb.events,
    bitmap: foundBitmap(sb, candidates),
  };
}

function foundBitmap(
  sb: Superblock,
  candidates: readonly AssemblyCandidate[],
): FoundArray["bitmap"] {
  if ((sb.featureMap & MD_FEATURE_BITMAP_OFFSET) === 0) {
    return { type: "none", nodes: 0, clusterName: "" };
  }
  for (const { bitmap } of candidates) {
    if (bitmap === null || bitmap === "unreadable" || !bitmap.ok) continue;
    const { nodes } = bitmap.value;
    if (nodes > 0)
      return { type: "clustered", nodes, clusterName: bitmapClusterName(bitmap.value) };
  }
  return { type: "internal", nodes: 0, clusterName: "" };
}

function foundMember({ path, superblock, placement, reason, text }: AssemblyMember): FoundMember {
  return {
    path,
    superblock: superblock === null ? null : foundSuperblock(superblock),
    placement: placement.type,
    raidSlot: "raidSlot" in placement ? placement.raidSlot : null,
    reason,
    text,
  };
}

function foundSuperblock(sb: Superblock): NonNullable<FoundMember["superblock"]> {
  return {
    arrayUuid: uuidToKernelText(sb.setUuid),
    deviceUuid: uuidToKernelText(sb.deviceUuid),
    events: sb.events,
    updatedAt: millisecondsOf(sb.utime),
    role: describeRole(sb),
    dataOffset: sb.dataOffset * SECTOR_BYTES,
    superblockOffset: sb.superOffset * SECTOR_BYTES,
  };
}
