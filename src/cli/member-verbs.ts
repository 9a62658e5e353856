/** The online verbs on members: add, re-add, replace, fail, remove, flags; in mdadm's words. */

import type { Command } from "commander";
import { CodedError } from "../common/errors.ts";
import type { ApiClient } from "./api-client.ts";
import { followSync } from "./job-follow.ts";
import { arrayPath, clientOf, deviceId, fetchArray, withAccess } from "./online-access.ts";
import { reportArray, runJob, type VerbFlags } from "./online-verb.ts";

/** Flags of members, in mdadm's words: each pair sets or clears one. */
interface MemberFlags extends VerbFlags {
  readonly writeMostly?: boolean;
  readonly readwrite?: boolean;
  readonly failfast?: boolean;
  readonly nofailfast?: boolean;
}

const memberPath = (array: string, device: string): string =>
  `${arrayPath(array)}/members/${encodeURIComponent(device)}`;

/** Does a verb for each device, one after the other, then tells of the array. */
const each = async (
  array: string,
  devices: readonly string[],
  flags: VerbFlags,
  act: (client: ApiClient, device: string) => Promise<unknown>,
): Promise<void> => {
  const client = clientOf(flags);
  for (const device of devices) {
    await act(client, await deviceId(client, device));
  }
  if (flags.wait) {
    await followSync(client, await fetchArray(client, array));
  }
  reportArray(flags, await fetchArray(client, array));
};

/** The flags to set and clear, as the API takes them. Errors: CLI_BAD_USAGE for a contradiction. */
export function flagsBody(flags: MemberFlags): {
  readonly write_mostly?: boolean;
  readonly failfast?: boolean;
} {
  const { writeMostly = false, readwrite = false, failfast = false, nofailfast = false } = flags;
  if ((writeMostly && readwrite) || (failfast && nofailfast)) {
    throw new CodedError("CLI_BAD_USAGE", "a flag cannot be set and cleared at once", {
      remedy: "give one of the two",
    });
  }
  return {
    ...(writeMostly || readwrite ? { write_mostly: writeMostly } : {}),
    ...(failfast || nofailfast ? { failfast } : {}),
  };
}

const registerJoining = (verb: (name: string, description: string) => Command): void => {
  verb("add", "add devices: rebuilt into an empty raid slot, else spares")
    .option("--force", "take devices that hold something else, or what the array never had")
    .option("--write-mostly", "read them only as a last resort (raid1)")
    .option("--failfast", "fail them at the first error")
    .option("--wait", "wait until the recovery is done")
    .action((array: string, devices: string[], flags: MemberFlags) =>
      each(array, devices, flags, (client, device) =>
        runJob(client, "POST", `${arrayPath(array)}/members`, {
          device_id: device,
          force: flags.force ?? false,
          ...flagsBody(flags),
        }),
      ),
    );
  verb("re-add", "take back members that were here before, by the bitmap")
    .option("--force", "overwrite what they alone hold")
    .option("--wait", "wait until the recovery is done")
    .action((array: string, devices: string[], flags: VerbFlags) =>
      each(array, devices, flags, (client, device) =>
        runJob(client, "POST", `${memberPath(array, device)}/actions/re-add`, {
          force: flags.force ?? false,
        }),
      ),
    );
};

const registerReplace = (verb: (name: string, description: string) => Command): void => {
  verb("replace", "copy members onto spares, which then take their raid slots")
    .option("--with <device...>", "the spares, one per member; else any")
    .option("--wait", "wait until the copy is done")
    .action((array: string, devices: string[], flags: VerbFlags & { readonly with?: string[] }) => {
      const spares = [...(flags.with ?? [])];
      if (spares.length > devices.length) {
        throw new CodedError("CLI_BAD_USAGE", "--with names more spares than there are members", {
          remedy: "give one spare per member",
        });
      }
      return each(array, devices, flags, async (client, device) => {
        const spare = spares.shift();
        const chosen = spare === undefined ? null : await deviceId(client, spare);
        await runJob(client, "POST", `${memberPath(array, device)}/actions/replace`, {
          with: chosen,
        });
      });
    });
};

const registerChanging = (verb: (name: string, description: string) => Command): void => {
  verb("fail", "mark members faulty").action((array: string, devices: string[], flags: VerbFlags) =>
    each(array, devices, flags, (client, device) =>
      client.request("POST", `${memberPath(array, device)}/actions/fail`),
    ),
  );
  verb("remove", "take faulty members or spares out").action(
    (array: string, devices: string[], flags: VerbFlags) =>
      each(array, devices, flags, (client, device) =>
        client.request("DELETE", memberPath(array, device)),
      ),
  );
  verb("update-member", "set or clear flags of members")
    .option("--write-mostly", "read them only as a last resort (raid1)")
    .option("--readwrite", "read them like the others again")
    .option("--failfast", "fail them at the first error")
    .option("--nofailfast", "let errors be repaired again")
    .action((array: string, devices: string[], flags: MemberFlags) => {
      const body = flagsBody(flags);
      if (Object.keys(body).length === 0) {
        throw new CodedError("CLI_BAD_USAGE", "no flag is given", {
          remedy: "give --write-mostly, --readwrite, --failfast or --nofailfast",
        });
      }
      return each(array, devices, flags, (client, device) =>
        client.request("PATCH", memberPath(array, device), { body }),
      );
    });
};

/** Registers the verbs. */
export function registerMemberVerbs(program: Command): void {
  const verb = (name: string, description: string): Command =>
    withAccess(program.command(name).description(description))
      .argument("<array>", "uuid or name")
      .argument("<device...>", "ids or paths");
  registerJoining(verb);
  registerReplace(verb);
  registerChanging(verb);
}
