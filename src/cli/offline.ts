/**
 * The verbs that need no daemon: create, examine, examine-bitmap, read, update. They work on files
 * and block devices, with mdadm's words.
 */

import { hostname } from "node:os";
import type { Command } from "commander";
import { CodedError } from "../common/errors.ts";
import { levelName } from "../raid/examine-lines.ts";
import { humanSize } from "../raid/human-size.ts";
import { SECTOR_BYTES } from "../raid/superblock-fields.ts";
import { uuidToMdadmText } from "../raid/uuid.ts";
import { createArray } from "./create-command.ts";
import { type TypedCreateOptions, toCreateOptions } from "./create-options.ts";
import { type Examined, examineBitmapOf, examineMember } from "./examine-command.ts";
import { EXIT_FAILED, outputIsTerminal, printError, printJson, printText } from "./output.ts";
import { type ReadOutcome, readArray } from "./read-command.ts";
import { parseSize } from "./size-syntax.ts";
import { registerUpdate } from "./update-command.ts";

/** Adds the offline verbs to the program. */
export function registerOfflineCommands(program: Command): void {
  registerCreate(program);
  registerExamine(program);
  registerRead(program);
  registerUpdate(program);
}

function registerCreate(program: Command): void {
  program
    .command("create")
    .description("make a new array; MEMBER is a file, a block device, or the word missing")
    .requiredOption("-l, --level <level>", "raid1 or raid10")
    .requiredOption("-n, --raid-devices <n>", "number of raid devices")
    .option("-x, --spare-devices <n>", "number of spares", "0")
    .option("--layout <layout>", "raid10: n2, f2, o2, n3 … (default: n2)")
    .option("-c, --chunk <size>", "raid10: chunk, KiB without a suffix (default: 512K)")
    .option("-b, --bitmap <kind>", "internal, clustered or none", "internal")
    .option("--bitmap-chunk <size>", "what one bit covers, KiB without a suffix")
    .option("--nodes <n>", "clustered: number of bitmap slots (default: 4)")
    .option("--home-cluster <name>", "clustered: cluster name (default: satsuma)")
    .option("-e, --metadata <version>", "1.0, 1.1 or 1.2", "1.2")
    .option("-N, --name <name>", "name of the array", "md0")
    .option("--homehost <host>", "host name put before the name", hostname())
    .option("-u, --uuid <uuid>", "UUID of the array (default: random)")
    .option("-z, --size <size>", "use only this much of each member, KiB without a suffix")
    .option("--assume-clean", "the members are known to be equal: no first resync")
    .option("-f, --force", "overwrite members that hold something")
    .option("--json", "print the result as JSON")
    .argument("<member...>", "raid devices first, then spares")
    .action(async (members: string[], typed: TypedCreateOptions) => {
      const options = toCreateOptions(typed, Math.floor(Date.now() / 1000));
      const plan = await createArray({ options, members, force: typed.force === true });
      const sizeBytes = plan.arraySectors * SECTOR_BYTES;
      const uuid = uuidToMdadmText(options.setUuid);
      const level = levelName(options.level);
      if (typed.json === true) {
        printJson({
          array_uuid: uuid,
          level,
          raid_devices: options.raidDevices,
          spare_devices: options.spareDevices,
          size_bytes: sizeBytes,
          bitmap_chunk_bytes: plan.bitmap?.chunkBytes ?? null,
          members: plan.members.map((member) => member?.path ?? null),
        });
        return;
      }
      const size = `${sizeBytes / 1024} KiB${humanSize(sizeBytes)}`;
      printText(`created ${level} array ${uuid} of ${options.raidDevices} raid devices, ${size}\n`);
    });
}

function registerExamine(program: Command): void {
  program
    .command("examine")
    .description("show what members say of themselves, as mdadm --examine does")
    .option("--homehost <host>", "host name that array names are compared with", hostname())
    .option("--json", "print the result as JSON")
    .argument("<member...>", "files or block devices")
    .action(async (members: string[], typed: { homehost: string; json?: boolean }) => {
      await showEach(members, typed.json === true, (path) => examineMember(path, typed.homehost));
    });
  program
    .command("examine-bitmap")
    .description("show the write-intent bitmaps of members, as mdadm --examine-bitmap does")
    .option("--json", "print the result as JSON")
    .argument("<member...>", "files or block devices")
    .action(async (members: string[], typed: { json?: boolean }) => {
      await showEach(members, typed.json === true, examineBitmapOf);
    });
}

async function showEach(
  paths: readonly string[],
  asJson: boolean,
  examine: (path: string) => Promise<Examined>,
): Promise<void> {
  const reports: Examined[] = [];
  for (const path of paths) {
    const report = await examine(path);
    if (!asJson) printText(report.text);
    if (report.problem !== null) {
      printError(report.problem);
      process.exitCode = EXIT_FAILED;
    }
    reports.push(report);
  }
  if (asJson) printJson(reports.map(({ values }) => values));
}

interface TypedReadOptions {
  readonly output: string;
  readonly offset: string;
  readonly length?: string;
  readonly json?: boolean;
}

function registerRead(program: Command): void {
  program
    .command("read")
    .description("read an array's content from its members without writing to them")
    .option("-o, --output <file>", "where to; - is standard output", "-")
    .option("--offset <size>", "first byte to read", "0")
    .option("--length <size>", "how much to read (default: to the end)")
    .option("--json", "with --output FILE: print what was read as JSON")
    .argument("<member...>", "files or block devices")
    .action(async (members: string[], typed: TypedReadOptions) => {
      const output = typed.output === "-" ? null : typed.output;
      if (output === null && (outputIsTerminal() || typed.json === true)) {
        throw new CodedError("CLI_BAD_USAGE", "the content needs standard output for itself", {
          remedy: "give --output FILE, or redirect the output",
        });
      }
      const outcome = await readArray({
        members,
        output,
        offset: parseSize(typed.offset, "--offset", 1),
        length: typed.length === undefined ? null : parseSize(typed.length, "--length", 1),
      });
      if (typed.json === true) printJson(readJson(outcome));
    });
}

function readJson({ start, bytes }: ReadOutcome): Record<string, unknown> {
  const { freshest, arraySectors } = start.shape;
  return {
    array_uuid: uuidToMdadmText(freshest.setUuid),
    level: levelName(freshest.level),
    size_bytes: arraySectors * SECTOR_BYTES,
    bytes_read: bytes,
    degraded: start.degraded,
    dirty: start.dirty,
    bitmap: start.bitmap.state,
    members: start.members.map(({ path, placement, reason, text }) => ({
      path,
      placement: placement.type,
      reason,
      text,
    })),
  };
}
