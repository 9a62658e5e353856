/** Taking arrays over from a Linux PC, and giving them back: import and rescue. */

import type { Command } from "commander";
import type { ArrayCandidateResource } from "../api/schemas/array-candidate.ts";
import type { MismatchesResource } from "../api/schemas/mismatch.ts";
import type { RescueResource } from "../api/schemas/rescue.ts";
import { arrayPath, clientOf, deviceId, fetchArray, withAccess } from "./online-access.ts";
import { printLines, reportArray, runJob, type VerbFlags } from "./online-verb.ts";
import { printJson, printText } from "./output.ts";
import { candidateLines } from "./status-text.ts";

interface ImportFlags extends VerbFlags {
  readonly readOnly?: boolean;
  readonly run?: boolean;
  readonly export?: string;
}

const importArray = async (devices: readonly string[], flags: ImportFlags): Promise<void> => {
  const client = clientOf(flags);
  if (devices.length === 0) {
    const { items } = await client.request<{ items: ArrayCandidateResource[] }>(
      "GET",
      "/api/v1/arrays/candidates",
    );
    if (flags.json) {
      printJson(items);
    } else {
      printLines(items.length === 0 ? ["no arrays found"] : items.flatMap(candidateLines));
    }
    return;
  }
  const ids: string[] = [];
  for (const device of devices) {
    ids.push(await deviceId(client, device));
  }
  const id = await runJob(client, "POST", "/api/v1/arrays", {
    import: ids,
    read_only: flags.readOnly ?? false,
    run: flags.run ?? false,
    ...(flags.export === undefined ? {} : { export: flags.export }),
  });
  reportArray(flags, await fetchArray(client, id));
};

/** Registers the verbs. */
export function registerImportVerbs(program: Command): void {
  withAccess(
    program
      .command("import")
      .description("take over an array that is there already: Linux's, or this cluster's"),
  )
    .argument("[member...]", "ids or paths of its members; none: list what is found")
    .option("--read-only", "start it read-only")
    .option("--run", "start it though a working member is not given, as mdadm --run")
    .option("--export <name>", "also make an NBD export of this name")
    .action(importArray);

  withAccess(
    program.command("rescue").description("the mdadm commands that read an array on any Linux PC"),
  )
    .argument("<array>", "uuid or name")
    .action(async (array: string, flags: VerbFlags) => {
      const rescue = await clientOf(flags).request<RescueResource>(
        "GET",
        `${arrayPath(array)}/rescue`,
      );
      if (flags.json) {
        printJson(rescue);
      } else {
        printText(rescue.text);
      }
    });

  withAccess(
    program.command("mismatches").description("where the last check found the copies different"),
  )
    .argument("<array>", "uuid or name")
    .action(async (array: string, flags: VerbFlags) => {
      const found = await clientOf(flags).request<MismatchesResource>(
        "GET",
        `${arrayPath(array)}/mismatches`,
      );
      if (flags.json) {
        printJson(found);
        return;
      }
      const more = found.truncated ? ["and more"] : [];
      const ranges = found.items.map(({ offset, length }) => `${offset} ${length}`);
      printLines([`${found.mismatch_count} sectors differ`, ...ranges, ...more]);
    });
}
