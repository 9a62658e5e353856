/**
 * `satsuma update`: changes a stopped array on its members, as mdadm's `--assemble --update` and
 * `--grow` do. Members that missed updates, or are in use, are refused.
 */

import type { Command } from "commander";
import { CodedError } from "../common/errors.ts";
import type { ArrayChange } from "../raid/array-change.ts";
import { assemble } from "../raid/assembly.ts";
import type { AssemblyCandidate, AssemblyStart } from "../raid/assembly-types.ts";
import { readCandidate } from "../raid/candidate-driver.ts";
import { type ArrayChanged, changeArray } from "../raid/change-array-driver.ts";
import { superblockName } from "../raid/superblock.ts";
import { SECTOR_BYTES } from "../raid/superblock-fields.ts";
import { uuidToMdadmText } from "../raid/uuid.ts";
import { closeMembers, type MemberFile, openMembers } from "./member-file.ts";
import { EXIT_FAILED, printJson, printText, printWarning } from "./output.ts";
import { type TypedUpdateOptions, toArrayChange } from "./update-options.ts";

/** Adds the verb to the program. */
export function registerUpdate(program: Command): void {
  program
    .command("update")
    .description("change a stopped array on its members, as mdadm --update and --grow do")
    .option("-N, --name <name>", "another name, behind the same host")
    .option("-u, --uuid <uuid>", "another UUID of the array")
    .option("-b, --bitmap <kind>", "internal, clustered or none")
    .option("--bitmap-chunk <size>", "what one bit covers, KiB without a suffix")
    .option("--nodes <n>", "clustered: number of bitmap slots")
    .option("--home-cluster <name>", "clustered: cluster name")
    .option("-z, --size <size>", "use this much of each member, KiB without a suffix, or max")
    .option("-n, --raid-devices <n>", "number of raid devices of a raid1")
    .option("--resync", "every copy counts as different from the next start on")
    .option("--bbl", "a bad-block list for every member")
    .option("--no-bbl", "no bad-block lists, unless one has entries")
    .option("--force-no-bbl", "no bad-block lists; members with entries are recovered whole")
    .option("-R, --run", "go on without members that the array believes working")
    .option("--json", "print the result as JSON")
    .argument("<member...>", "all members: files or block devices")
    .action(async (members: string[], typed: TypedUpdateOptions) => {
      const change = toArrayChange(typed);
      const { outcome, after } = await updateArray(members, change, typed.run === true);
      for (const { path, message } of outcome.failed) {
        printWarning(`${path} failed and was left behind: ${message}`);
        process.exitCode = EXIT_FAILED;
      }
      if (typed.json === true) printJson(updateJson(outcome, after));
      else printText(updateText(outcome, after));
    });
}

interface Updated {
  readonly outcome: ArrayChanged;
  readonly after: AssemblyStart;
}

async function updateArray(
  paths: readonly string[],
  change: ArrayChange,
  run: boolean,
): Promise<Updated> {
  const files = await openMembers(paths, "write");
  try {
    const rules = { allowStale: false, allowMissing: run };
    const outcome = await changeArray(files, change, Date.now(), rules);
    return { outcome, after: await lookAgain(files) };
  } catch (error) {
    throw error instanceof CodedError ? withReasons(error) : error;
  } finally {
    await closeMembers(files);
  }
}

/** The array as it is now. */
async function lookAgain(files: readonly MemberFile[]): Promise<AssemblyStart> {
  const candidates: AssemblyCandidate[] = [];
  for (const { path, device } of files) candidates.push(await readCandidate(path, device));
  const verdict = assemble(candidates);
  if (verdict.verdict === "start") return verdict;
  throw new CodedError(verdict.code, verdict.message, { remedy: verdict.remedy });
}

/** Which member is at fault is told where the message alone does not. */
function withReasons(error: CodedError): CodedError {
  const { members } = error.details;
  if (error.code !== "RAID_NOT_ENOUGH_MEMBERS" || !Array.isArray(members)) return error;
  const texts = members.map(({ path, text }: { path: string; text: string }) => `${path} ${text}`);
  const message = [error.message, ...texts].join("; ");
  return new CodedError(error.code, message, { remedy: error.remedy, details: error.details });
}

function updateJson({ isChanged, failed }: ArrayChanged, after: AssemblyStart): unknown {
  const { freshest, arraySectors } = after.shape;
  const bitmap = after.bitmap.state === "usable" ? after.bitmap.superblock : null;
  return {
    changed: isChanged,
    array_uuid: uuidToMdadmText(freshest.setUuid),
    name: superblockName(freshest),
    raid_devices: freshest.raidDisks,
    member_size_bytes: freshest.size * SECTOR_BYTES,
    size_bytes: arraySectors * SECTOR_BYTES,
    bitmap: bitmap === null ? "none" : bitmap.nodes > 0 ? "clustered" : "internal",
    bitmap_chunk_bytes: bitmap?.chunkBytes ?? null,
    nodes: bitmap?.nodes ?? 0,
    resync_needed: after.dirty,
    members: after.members.map(({ path, reason }) => ({ path, reason })),
    failed: failed.map(({ path, message }) => ({ path, message })),
  };
}

function updateText({ isChanged }: ArrayChanged, after: AssemblyStart): string {
  const { freshest } = after.shape;
  const array = `${superblockName(freshest)} ${uuidToMdadmText(freshest.setUuid)}`;
  if (!isChanged) return `array ${array} is that way already\n`;
  return `changed array ${array}${after.dirty ? "; it resyncs at its next start" : ""}\n`;
}
