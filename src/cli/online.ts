/** The online verbs: they ask a running daemon over REST, in mdadm's words. */

import type { Command } from "commander";
import type { ArrayResource } from "../api/schemas/array.ts";
import type { DeviceResource } from "../api/schemas/device.ts";
import type { JobResource } from "../api/schemas/job.ts";
import type { SyncActionResource } from "../api/schemas/sync-action.ts";
import type { SystemResource } from "../api/schemas/system.ts";
import { CodedError } from "../common/errors.ts";
import type { ApiClient } from "./api-client.ts";
import { registerEventsCommand } from "./events-command.ts";
import { registerExportCommands } from "./export-commands.ts";
import { followJob, followSync } from "./job-follow.ts";
import {
  arrayPath,
  clientOf,
  deviceId,
  fetchAll,
  fetchArray,
  type OnlineFlags,
  withAccess,
} from "./online-access.ts";
import { outputIsTerminal, printJson, printText } from "./output.ts";
import { detailLines, sizeText, statusLines } from "./status-text.ts";

/** Seconds a verb waits for its job before it tells that the job goes on. */
const VERB_WAIT_SECONDS = 60;
const WATCH_MS = 1000;
const CLEAR_SCREEN = "\u001b[H\u001b[2J";

interface VerbFlags extends OnlineFlags {
  readonly force?: boolean;
  readonly wait?: boolean;
}

const printLines = (lines: readonly string[]): void => printText(`${lines.join("\n")}\n`);

const statusText = async (client: ApiClient, names: readonly string[]): Promise<string> => {
  const system = await client.request<SystemResource>("GET", "/api/v1/system");
  const arrays =
    names.length === 0
      ? await fetchAll<ArrayResource>(client, "arrays")
      : await Promise.all(names.map((name) => fetchArray(client, name)));
  const lines = arrays.flatMap((array) => [...statusLines(array), ""]);
  return `${[system.health.sentence, "", ...lines].join("\n").trimEnd()}\n`;
};

const registerReading = (program: Command): void => {
  withAccess(program.command("status").description("arrays and syncs, as in /proc/mdstat"))
    .argument("[array...]", "only these")
    .option("--watch", "show it anew every second")
    .action(async (names: string[], flags: OnlineFlags & { readonly watch?: boolean }) => {
      const client = clientOf(flags);
      if (flags.json) {
        const system = await client.request<SystemResource>("GET", "/api/v1/system");
        const arrays = await fetchAll<ArrayResource>(client, "arrays");
        const wanted = arrays.filter(
          ({ id, name }) => names.length === 0 || names.includes(id) || names.includes(name),
        );
        printJson({ health: system.health, arrays: wanted });
        return;
      }
      printText(await statusText(client, names));
      while (flags.watch) {
        await new Promise((resolve) => setTimeout(resolve, WATCH_MS));
        const text = await statusText(client, names);
        printText(outputIsTerminal() ? CLEAR_SCREEN + text : `\n${text}`);
      }
    });

  withAccess(program.command("detail").description("one array, as mdadm --detail"))
    .argument("<array>", "uuid or name")
    .action(async (name: string, flags: OnlineFlags) => {
      const array = await fetchArray(clientOf(flags), name);
      if (flags.json) {
        printJson(array);
      } else {
        printLines(detailLines(array));
      }
    });

  withAccess(program.command("devices").description("devices of the board, usable or not")).action(
    async (flags: OnlineFlags) => {
      const devices = await fetchAll<DeviceResource>(clientOf(flags), "devices");
      if (flags.json) {
        printJson(devices);
        return;
      }
      printLines(
        devices.map(({ id, status }) => {
          const why = status.reasons.map(({ message }) => message).join("; ");
          const cells = [id.padEnd(16), status.state.padEnd(9), sizeText(status.size).padStart(10)];
          return `${cells.join(" ")}  ${status.path}${why === "" ? "" : `  (${why})`}`;
        }),
      );
    },
  );
};

/** Prints what a verb on an array led to. */
const report = (flags: OnlineFlags, array: ArrayResource): void => {
  if (flags.json) {
    printJson(array);
  } else {
    printLines(statusLines(array));
  }
};

/** Runs a verb that answers with a job or the final resource, and waits for the job. */
const runJob = async (
  client: ApiClient,
  method: string,
  path: string,
  body?: unknown,
): Promise<void> => {
  const reply = await client.request<Partial<JobResource>>(method, path, {
    wait: VERB_WAIT_SECONDS,
    ...(body === undefined ? {} : { body }),
  });
  if (reply.kind !== undefined && reply.id !== undefined && reply.state !== "succeeded") {
    await followJob(client, reply.id);
  }
};

const registerMembers = (program: Command): void => {
  const verb = (name: string, description: string): Command =>
    withAccess(program.command(name).description(description))
      .argument("<array>", "uuid or name")
      .argument("<device...>", "ids or paths");
  const each = async (
    name: string,
    devices: readonly string[],
    flags: VerbFlags,
    act: (client: ApiClient, device: string) => Promise<void>,
  ): Promise<void> => {
    const client = clientOf(flags);
    for (const device of devices) {
      await act(client, await deviceId(client, device));
    }
    if (flags.wait) {
      await followSync(client, await fetchArray(client, name));
    }
    report(flags, await fetchArray(client, name));
  };
  const memberPath = (name: string, device: string): string =>
    `${arrayPath(name)}/members/${encodeURIComponent(device)}`;

  verb("add", "add devices: rebuilt into an empty raid slot, else spares")
    .option("--force", "take devices that hold something else")
    .option("--wait", "wait until the recovery is done")
    .action((name: string, devices: string[], flags: VerbFlags) =>
      each(name, devices, flags, (client, device) =>
        runJob(client, "POST", `${arrayPath(name)}/members`, {
          device_id: device,
          force: flags.force ?? false,
        }),
      ),
    );
  verb("re-add", "take back members that were here before, by the bitmap")
    .option("--wait", "wait until the recovery is done")
    .action((name: string, devices: string[], flags: VerbFlags) =>
      each(name, devices, flags, (client, device) =>
        runJob(client, "POST", `${memberPath(name, device)}/actions/re-add`),
      ),
    );
  verb("fail", "mark members faulty").action((name: string, devices: string[], flags: VerbFlags) =>
    each(name, devices, flags, (client, device) =>
      client.request("POST", `${memberPath(name, device)}/actions/fail`),
    ),
  );
  verb("remove", "take faulty members or spares out").action(
    (name: string, devices: string[], flags: VerbFlags) =>
      each(name, devices, flags, (client, device) =>
        client.request("DELETE", memberPath(name, device)),
      ),
  );
};

const registerSync = (program: Command): void => {
  for (const [action, description] of [
    ["check", "compare all copies"],
    ["repair", "compare all copies and make them equal"],
  ] as const) {
    withAccess(program.command(action).description(description))
      .argument("<array>", "uuid or name")
      .option("--wait", "wait until it is done")
      .action(async (name: string, flags: VerbFlags) => {
        const client = clientOf(flags);
        await client.request<SyncActionResource>("PUT", `${arrayPath(name)}/sync-action`, {
          body: { action },
        });
        if (flags.wait) {
          await followSync(client, await fetchArray(client, name));
        }
        report(flags, await fetchArray(client, name));
      });
  }
};

const registerStarting = (program: Command): void => {
  withAccess(program.command("stop").description("stop an array, as mdadm --stop"))
    .argument("<array>", "uuid or name")
    .option("--force", "even under attached clients")
    .option("--forget", "also drop it and its exports from the list")
    .action(async (name: string, flags: VerbFlags & { readonly forget?: boolean }) => {
      const client = clientOf(flags);
      const array = await fetchArray(client, name);
      const { force = false, forget = false } = flags;
      // Naming the array on the command line is the confirmation.
      await runJob(client, "DELETE", arrayPath(array.id), { confirm: array.name, force, forget });
      if (forget) {
        printText(flags.json ? "{}\n" : `${array.name} stopped and forgotten\n`);
      } else {
        report(flags, await fetchArray(client, array.id));
      }
    });

  withAccess(program.command("assemble").description("start an array, as mdadm --assemble"))
    .argument("[array]", "uuid or name of a known or found array")
    .option("--devices <device...>", "start the array that these devices hold")
    .option("--read-only", "start it read-only")
    .action(
      async (
        name: string | undefined,
        flags: OnlineFlags & { readonly devices?: string[]; readonly readOnly?: boolean },
      ) => {
        if ((name === undefined) === (flags.devices === undefined)) {
          throw new CodedError("CLI_BAD_USAGE", "name an array, or give --devices", {
            remedy: "see satsuma assemble --help",
          });
        }
        const client = clientOf(flags);
        const read_only = flags.readOnly ?? false;
        const ids = await Promise.all(
          (flags.devices ?? []).map((device) => deviceId(client, device)),
        );
        const body =
          name === undefined ? { import: ids, read_only } : { assemble: name, read_only };
        const started = await client.request<ArrayResource | JobResource>(
          "POST",
          "/api/v1/arrays",
          { body, wait: VERB_WAIT_SECONDS },
        );
        if ("kind" in started) {
          await followJob(client, started.id);
        }
        const id = "kind" in started ? (started.subject.split("/").at(-1) ?? "") : started.id;
        report(flags, await fetchArray(client, id));
      },
    );
};

/** Registers every online verb. */
export function registerOnlineCommands(program: Command): void {
  registerReading(program);
  registerMembers(program);
  registerSync(program);
  registerStarting(program);
  registerExportCommands(program);
  registerEventsCommand(program);
}
