/**
 * `satsuma create`: makes a new array on files or block devices. Everything is checked on every
 * member before the first byte is written; superblocks are written last, when all the rest is
 * durable, so that a create that ends early leaves nothing that looks like an array.
 */

import { randomFillSync } from "node:crypto";
import { CodedError } from "../common/errors.ts";
import type { CreateMember, CreateOptions, CreatePlan, PlannedWrite } from "../raid/create-plan.ts";
import { planCreate } from "../raid/create-plan.ts";
import type { ByteRange, ProbedMember } from "../raid/probe.ts";
import { detectSignatures } from "../raid/signatures.ts";
import { SUPERBLOCK_090_BYTES, superblock090Sector } from "../raid/superblock-090.ts";
import { SECTOR_BYTES, SUPERBLOCK_MAX_BYTES } from "../raid/superblock-fields.ts";
import type { MemberFile } from "./member-file.ts";
import { closeMembers, identifyMember, openMembers, probeFile, readRange } from "./member-file.ts";

/** A request to create, options already understood. */
export interface CreateRequest {
  readonly options: CreateOptions;
  /** Paths, or the word `missing`, in mdadm's order. */
  readonly members: readonly string[];
  /** Overwrite members that hold something. */
  readonly force: boolean;
}

interface CheckedMember {
  readonly file: MemberFile;
  readonly stale: readonly ByteRange[];
}

/**
 * Checks, plans, writes, and makes durable. Returns what was made.
 * Errors: RAID_DUPLICATE_MEMBER, RAID_MEMBER_NOT_EMPTY, refusals of planCreate, HAL_*; nothing was
 * written unless the failure is HAL_IO_ERROR or HAL_NO_SPACE.
 */
export async function createArray(request: CreateRequest): Promise<CreatePlan> {
  const paths = request.members.filter((member) => member !== "missing");
  refuseTwice(paths);
  const files = await openMembers(paths, "write");
  try {
    const checked = checkContents(files, request.force);
    const byPath = new Map(checked.map((member) => [member.file.path, member]));
    const outcome = planCreate(
      request.options,
      request.members.map((path) => toPlanMember(byPath.get(path))),
    );
    if (!outcome.ok) {
      throw new CodedError(outcome.code, outcome.message, { remedy: outcome.remedy });
    }
    writePlan(outcome.value, files);
    return outcome.value;
  } finally {
    await closeMembers(files);
  }
}

function toPlanMember(member: CheckedMember | undefined): CreateMember {
  if (member === undefined) return "missing";
  const { file, stale } = member;
  const deviceUuid = randomFillSync(new Uint8Array(16));
  return { path: file.path, sizeBytes: file.sizeBytes, deviceUuid, stale };
}

function refuseTwice(paths: readonly string[]): void {
  const seen = new Map<string, string>();
  for (const path of paths) {
    const { identity } = identifyMember(path);
    const other = seen.get(identity);
    if (other !== undefined) {
      throw new CodedError("RAID_DUPLICATE_MEMBER", `${other} and ${path} are the same device`, {
        remedy: "give each member once",
      });
    }
    seen.set(identity, path);
  }
}

function checkContents(files: readonly MemberFile[], force: boolean): readonly CheckedMember[] {
  const checked: CheckedMember[] = [];
  const occupied: string[] = [];
  for (const file of files) {
    const probe = probeFile(file);
    const found = describeContents(file, probe);
    if (probe.unreadable) {
      throw new CodedError("HAL_IO_ERROR", `${file.path}: cannot be read where metadata lies`, {
        remedy: "choose another member",
      });
    }
    if (found.length > 0) occupied.push(`${file.path} holds ${found.join(" and ")}`);
    checked.push({ file, stale: staleRanges(probe) });
  }
  if (occupied.length > 0 && !force) {
    throw new CodedError("RAID_MEMBER_NOT_EMPTY", occupied.join("; "), {
      remedy: "choose other members, or repeat with --force to lose what they hold",
    });
  }
  return checked;
}

/** What a member holds, in words; empty when nothing is known to be there. */
function describeContents(file: MemberFile, probe: ProbedMember): readonly string[] {
  const found: string[] = probe.allSuperblocks.map(({ minor }) => `an md 1.${minor} superblock`);
  if (probe.superblock090 !== null) found.push("an md 0.90 superblock");
  found.push(...probe.foreign.map((name) => `${name.toUpperCase()} RAID metadata`));
  const read = (offset: number, length: number): Uint8Array | null =>
    readRange(file, offset, length);
  for (const { kind, name } of detectSignatures(read, file.sizeBytes)) {
    found.push(kind === "partition-table" ? `a ${name} partition table` : `${kind} ${name}`);
  }
  return found;
}

/** Old md metadata, which is blanked so that nothing takes it for the new. */
function staleRanges(probe: ProbedMember): readonly ByteRange[] {
  const ranges = probe.allSuperblocks.map(({ positionSectors }) => {
    const offset = positionSectors * SECTOR_BYTES;
    return { offset, length: Math.min(SUPERBLOCK_MAX_BYTES, probe.sizeBytes - offset) };
  });
  const sector = superblock090Sector(Math.floor(probe.sizeBytes / SECTOR_BYTES));
  if (probe.superblock090 !== null && sector !== null) {
    ranges.push({ offset: sector * SECTOR_BYTES, length: SUPERBLOCK_090_BYTES });
  }
  return ranges;
}

function writePlan(plan: CreatePlan, files: readonly MemberFile[]): void {
  const work = plan.members.flatMap((member) => {
    const file = files.find(({ path }) => path === member?.path);
    return member === null || file === undefined ? [] : [{ file, writes: member.writes }];
  });
  const writeAll = (wanted: (write: PlannedWrite) => boolean): void => {
    for (const { file, writes } of work) {
      for (const write of writes.filter(wanted)) file.calls.write([write.bytes], write.offset);
    }
    for (const { file } of work) file.calls.flush();
  };
  writeAll(({ kind }) => kind !== "superblock");
  try {
    writeAll(({ kind }) => kind === "superblock");
  } catch (error) {
    blankSuperblocks(work);
    throw error;
  }
}

/** After a failed create: no member is left that claims to be part of an array. */
function blankSuperblocks(
  work: readonly { readonly file: MemberFile; readonly writes: readonly PlannedWrite[] }[],
): void {
  for (const { file, writes } of work) {
    for (const { kind, offset, bytes } of writes) {
      if (kind !== "superblock") continue;
      try {
        file.calls.write([new Uint8Array(bytes.length)], offset);
        file.calls.flush();
      } catch (error) {
        // This member fails writes: whatever it kept, the caller reports the first failure.
        if (!(error instanceof CodedError)) throw error;
      }
    }
  }
}
