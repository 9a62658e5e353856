/**
 * Which members make an array, in which roles, and why not the others. A pure decision:
 *
 *   candidates ─► has a superblock? ─► one array? ─► freshest ─► per member: fresh, agrees, fits
 *              ─► one member per raid slot ─► enough? ─► bitmap ─► start, or refuse
 *
 * The member with the most events defines the array; one that is a single update behind is still
 * good but takes its role from the freshest; older ones are kicked. Nothing is written here.
 * Source: drivers/md/md.c analyze_sbs, super_1_validate, md_run; mdadm Assemble.c.
 */

import { equalBytes } from "../common/bytes.ts";
import { chooseBitmap } from "./assembly-bitmap.ts";
import { unusableReason, unusableText } from "./assembly-candidate.ts";
import type { Judgement, Sound } from "./assembly-judge.ts";
import {
  duplicateDevice,
  faulty,
  isRebuilding,
  judge,
  judged,
  ownRole,
  sameDevice,
  unusable,
} from "./assembly-judge.ts";
import { settleSlots } from "./assembly-slots.ts";
import type {
  AssembledShape,
  AssemblyCandidate,
  AssemblyMember,
  AssemblyReason,
  AssemblyRefusalCode,
  AssemblyRefuse,
  AssemblyVerdict,
} from "./assembly-types.ts";
import { raid10ArraySectors, raid10Enough, raid10Geometry } from "./raid10-layout.ts";
import type { Superblock } from "./superblock-fields.ts";
import {
  MAX_DEV_LIMIT,
  MD_FEATURE_JOURNAL,
  MD_FEATURE_MULTIPLE_PPLS,
  MD_FEATURE_PPL,
  MD_FEATURE_RESHAPE_ACTIVE,
} from "./superblock-fields.ts";
import { uuidToMdadmText } from "./uuid.ts";

/** What `assemble` may be told besides the candidates. */
export interface AssemblyOptions {
  /** set_uuid of the wanted array; members of others are then left out instead of refused. */
  readonly setUuid?: Uint8Array;
}

const LEVEL_NAMES: ReadonlyMap<number, string> = new Map([
  [-1, "linear"],
  [0, "raid0"],
  [4, "raid4"],
  [5, "raid5"],
  [6, "raid6"],
]);
const UNSUPPORTED_FEATURES = MD_FEATURE_JOURNAL | MD_FEATURE_PPL | MD_FEATURE_MULTIPLE_PPLS;
/** Decides what the candidates make; see the head of this file. */
export function assemble(
  candidates: readonly AssemblyCandidate[],
  options: AssemblyOptions = {},
): AssemblyVerdict {
  const judgements = new Map<number, Judgement>();
  const sound: Sound[] = [];
  for (const [index, candidate] of candidates.entries()) {
    const reason = unusableReason(candidate);
    const { path, probe } = candidate;
    const sb = probe.superblock?.parsed?.value;
    if (reason === null && sb !== undefined) sound.push({ index, path, sb });
    else judgements.set(index, unusable(reason ?? "damaged", unusableText(candidate)));
  }
  const refuse = (code: AssemblyRefusalCode, message: string, remedy: string): AssemblyRefuse => ({
    verdict: "refuse",
    code,
    message,
    remedy,
    members: membersOf(candidates, judgements),
  });
  const ours = oneArray(sound, options.setUuid, judgements);
  if (ours === "mixed") {
    for (const { index, sb } of sound) judgements.set(index, ofArray(sb));
    return refuse(
      "RAID_MIXED_ARRAYS",
      `the members belong to different arrays: ${describeArrays(sound)}`,
      "give the members of one array, or its UUID",
    );
  }
  const twins = findTwins(ours);
  if (twins !== null) {
    judgements.set(twins[0].index, duplicateDevice(twins[1].path));
    judgements.set(twins[1].index, duplicateDevice(twins[0].path));
    return refuse(
      "RAID_DUPLICATE_MEMBER",
      `${twins.map(({ path }) => path).join(" and ")} carry the same device UUID and event count`,
      "one is a copy: give only the true member",
    );
  }
  const freshest = findFreshest(ours);
  if (freshest === null) return refuseWithoutMembers(candidates, ours, judgements, refuse);
  const shapeProblem = checkShape(freshest.sb);
  if (shapeProblem !== null) {
    for (const { index } of ours) {
      judgements.set(index, unusable("unsupported", "is a member of such an array"));
    }
    return refuse(shapeProblem.code, shapeProblem.message, shapeProblem.remedy);
  }
  for (const member of ours) {
    if (!judgements.has(member.index)) judgements.set(member.index, judge(member, freshest, ours));
  }
  settleSlots(ours, judgements);
  return conclude(candidates, freshest, judgements, refuse);
}

/** Members of the one array that is meant; marks the others. */
function oneArray(
  sound: readonly Sound[],
  wanted: Uint8Array | undefined,
  judgements: Map<number, Judgement>,
): readonly Sound[] | "mixed" {
  const first = sound[0];
  const setUuid = wanted ?? first?.sb.setUuid;
  if (setUuid === undefined) return [];
  const ours = sound.filter(({ sb }) => equalBytes(sb.setUuid, setUuid));
  for (const member of sound) {
    if (ours.includes(member)) continue;
    judgements.set(member.index, ofArray(member.sb));
  }
  return wanted === undefined && ours.length < sound.length ? "mixed" : ours;
}

function ofArray(sb: Superblock): Judgement {
  return unusable("other-array", `belongs to array ${uuidToMdadmText(sb.setUuid)}`);
}

function describeArrays(sound: readonly Sound[]): string {
  return sound.map(({ path, sb }) => `${path} to ${uuidToMdadmText(sb.setUuid)}`).join(", ");
}

/**
 * Two that say they are the same device at the same event count: which one is true is unknowable.
 */
function findTwins(ours: readonly Sound[]): readonly [Sound, Sound] | null {
  for (const [at, member] of ours.entries()) {
    const twin = ours
      .slice(at + 1)
      .find((other) => sameDevice(member, other) && other.sb.events === member.sb.events);
    if (twin !== undefined) return [member, twin];
  }
  return null;
}

/** Most events among those with a raid slot; of equals the one that is not being rebuilt. */
function findFreshest(ours: readonly Sound[]): Sound | null {
  let best: Sound | null = null;
  for (const member of ours) {
    if (ownRole(member.sb).type !== "slot") continue;
    const isBetter =
      best === null ||
      member.sb.events > best.sb.events ||
      (member.sb.events === best.sb.events && isRebuilding(best.sb) && !isRebuilding(member.sb));
    if (isBetter) best = member;
  }
  return best;
}

interface ShapeProblem {
  readonly code: AssemblyRefusalCode;
  readonly message: string;
  readonly remedy: string;
}

/** Why an array described by this superblock is not ours to run, or null. */
function checkShape(sb: Superblock): ShapeProblem | null {
  if (sb.level !== 1 && sb.level !== 10) {
    const level = LEVEL_NAMES.get(sb.level) ?? `level ${sb.level}`;
    return {
      code: "RAID_UNSUPPORTED_LEVEL",
      message: `the array is ${level}; only raid1 and raid10 are supported`,
      remedy: "assemble it with Linux md",
    };
  }
  if ((sb.featureMap & MD_FEATURE_RESHAPE_ACTIVE) !== 0) {
    return {
      code: "RAID_RESHAPE_ACTIVE",
      message: "the array is in the middle of a reshape",
      remedy: "let Linux md finish the reshape first",
    };
  }
  if ((sb.featureMap & UNSUPPORTED_FEATURES) !== 0) {
    return {
      code: "RAID_UNSUPPORTED_FEATURE",
      message: `the array uses a journal or PPL (feature map 0x${sb.featureMap.toString(16)})`,
      remedy: "assemble it with Linux md and remove the journal",
    };
  }
  const isBad =
    sb.raidDisks < 1 ||
    sb.raidDisks > MAX_DEV_LIMIT ||
    sb.size < 1 ||
    (sb.level === 10 && raid10Geometry(sb.layout, sb.raidDisks, sb.chunkSize) === null);
  if (!isBad) return null;
  return {
    code: "RAID_BAD_GEOMETRY",
    message:
      `the superblock describes no possible array: ${sb.raidDisks} raid devices of ${sb.size} ` +
      `sectors, layout 0x${sb.layout.toString(16)}, chunk ${sb.chunkSize} sectors`,
    remedy: "examine the members; the superblock may be damaged",
  };
}

function conclude(
  candidates: readonly AssemblyCandidate[],
  freshest: Sound,
  judgements: ReadonlyMap<number, Judgement>,
  refuse: (code: AssemblyRefusalCode, message: string, remedy: string) => AssemblyRefuse,
): AssemblyVerdict {
  const { sb } = freshest;
  const members = membersOf(candidates, judgements);
  const inSync = new Set<number>();
  const present = new Set<number>();
  for (const { placement } of members) {
    if (placement.type === "in-sync") inSync.add(placement.raidSlot);
    if (placement.type === "in-sync" || placement.type === "rebuilding") {
      present.add(placement.raidSlot);
    }
  }
  const shape = shapeOf(freshest);
  const enough =
    shape.raid10 === null
      ? inSync.size > 0
      : raid10Enough(shape.raid10, (raidSlot) => inSync.has(raidSlot));
  if (!enough) {
    return refuse(
      "RAID_NOT_ENOUGH_MEMBERS",
      `${inSync.size} of ${sb.raidDisks} raid slots have an in-sync member, too few to start${lackText(members, sb, present)}`,
      "give more of the members",
    );
  }
  const slots = Array.from({ length: sb.raidDisks }, (_, raidSlot) => raidSlot);
  return {
    verdict: "start",
    shape,
    members,
    missingSlots: slots.filter((raidSlot) => !present.has(raidSlot)),
    degraded: sb.raidDisks - inSync.size,
    dirty: sb.resyncOffset !== "none" && (shape.raid10 !== null || inSync.size > 1),
    complete: slots.every((raidSlot) => present.has(raidSlot) || !sb.devRoles.includes(raidSlot)),
    bitmap: chooseBitmap(candidates, members, sb),
  };
}

/** Which slots should have a member that is not here, and which have only one being rebuilt. */
function lackText(
  members: readonly AssemblyMember[],
  sb: Superblock,
  present: ReadonlySet<number>,
): string {
  const slots = [...new Set(sb.devRoles)]
    .filter((role) => role < sb.raidDisks)
    .sort((a, b) => a - b);
  const missing = slots.filter((slot) => !present.has(slot)).join(", ");
  const rebuilt = members.flatMap(({ path, placement }) =>
    placement.type === "rebuilding" ? [path] : [],
  );
  return [
    missing === "" ? "" : `; the member of raid slot ${missing} is not here`,
    rebuilt.length === 0 ? "" : `; not rebuilt to the end: ${rebuilt.join(", ")}`,
  ].join("");
}

function shapeOf(freshest: Sound): AssembledShape {
  const { sb, index } = freshest;
  const raid10 = sb.level === 10 ? raid10Geometry(sb.layout, sb.raidDisks, sb.chunkSize) : null;
  const arraySectors = raid10 === null ? sb.size : raid10ArraySectors(raid10, sb.size);
  return { freshest: sb, freshestIndex: index, raid10, arraySectors };
}

function refuseWithoutMembers(
  candidates: readonly AssemblyCandidate[],
  ours: readonly Sound[],
  judgements: Map<number, Judgement>,
  refuse: (code: AssemblyRefusalCode, message: string, remedy: string) => AssemblyRefuse,
): AssemblyRefuse {
  for (const { index, sb } of ours) {
    judgements.set(
      index,
      ownRole(sb).type === "faulty"
        ? faulty("is faulty by its own superblock")
        : judged({ type: "spare" }, "spare", "is a spare"),
    );
  }
  const reasons = [...judgements.values()].map(({ reason }) => reason);
  const isForeign = (reason: AssemblyReason): boolean => reason.startsWith("metadata-");
  if (reasons.length > 0 && reasons.every(isForeign)) {
    const convert = reasons.includes("metadata-0.90")
      ? "convert them with mdadm --assemble --update=metadata, or "
      : "";
    return refuse(
      "RAID_UNSUPPORTED_METADATA",
      "the members carry metadata other than 1.0, 1.1 or 1.2",
      `${convert}assemble them with Linux md`,
    );
  }
  const message = membersOf(candidates, judgements)
    .map(({ path, text }) => `${path} ${text}`)
    .join("; ");
  return refuse(
    "RAID_NO_MEMBERS",
    message === "" ? "no members given" : `no active member: ${message}`,
    "give the array's active members",
  );
}

function membersOf(
  candidates: readonly AssemblyCandidate[],
  judgements: ReadonlyMap<number, Judgement>,
): readonly AssemblyMember[] {
  return candidates.map(({ path, probe }, index) => {
    const judgement = judgements.get(index) ?? unusable("undecided", "was not judged");
    const found = probe.superblock;
    const superblock = found?.problem === null ? (found.parsed?.value ?? null) : null;
    return { path, superblock, ...judgement };
  });
}
