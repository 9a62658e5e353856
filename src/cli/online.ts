/** The online verbs: they ask a running daemon over REST, in mdadm's words. */

import type { Command } from "commander";
import type { ArrayResource } from "../api/schemas/array.ts";
import type { DeviceResource } from "../api/schemas/device.ts";
import type { PeerReportResource } from "../api/schemas/peer.ts";
import type { SystemResource } from "../api/schemas/system.ts";
import { CodedError } from "../common/errors.ts";
import { sizeText } from "../common/size-text.ts";
import type { ApiClient } from "./api-client.ts";
import { registerChangeVerbs } from "./change-verbs.ts";
import { registerClusterCommands } from "./cluster-commands.ts";
import { registerEventsCommand } from "./events-command.ts";
import { registerExportCommands } from "./export-commands.ts";
import { registerImportVerbs } from "./import-verbs.ts";
import { registerLocksCommand } from "./locks-command.ts";
import { registerMemberVerbs } from "./member-verbs.ts";
import { registerNodeCommands } from "./node-commands.ts";
import {
  arrayPath,
  clientOf,
  deviceId,
  fetchAll,
  fetchArray,
  type OnlineFlags,
  withAccess,
} from "./online-access.ts";
import { printLines, reportArray, runJob, type VerbFlags } from "./online-verb.ts";
import { outputIsTerminal, printJson, printText } from "./output.ts";
import { boardsLines } from "./peers-text.ts";
import { registerScrubCommands } from "./scrub-command.ts";
import { detailLines, statusLines } from "./status-text.ts";

const WATCH_MS = 1000;
const CLEAR_SCREEN = "\u001b[H\u001b[2J";

const statusText = async (client: ApiClient, names: readonly string[]): Promise<string> => {
  const system = await client.request<SystemResource>("GET", "/api/v1/system");
  const all = await fetchAll<ArrayResource>(client, "arrays");
  const arrays =
    names.length === 0 ? all : await Promise.all(names.map((name) => fetchArray(client, name)));
  const isNamesake = ({ id, name }: ArrayResource): boolean =>
    all.some((other) => other.name === name && other.id !== id);
  const lines = arrays.flatMap((array) => [...statusLines(array, isNamesake(array)), ""]);
  const peers = await client.request<PeerReportResource>("GET", "/api/v1/peers");
  const text = [system.health.sentence, "", ...lines, ...boardsLines(peers)];
  return `${text.join("\n").trimEnd()}\n`;
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
        const peers = await client.request<PeerReportResource>("GET", "/api/v1/peers");
        printJson({ health: system.health, arrays: wanted, boards: peers.items });
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
        reportArray(flags, await fetchArray(client, array.id));
      }
    });

  withAccess(program.command("assemble").description("start an array, as mdadm --assemble"))
    .argument("[array]", "uuid or name of a known or found array")
    .option("--devices <device...>", "start the array that these devices hold")
    .option("--read-only", "start it read-only")
    .option("--run", "although a working member is not given, or the newest copy is elsewhere")
    .action(
      async (
        name: string | undefined,
        flags: OnlineFlags & {
          readonly devices?: string[];
          readonly readOnly?: boolean;
          readonly run?: boolean;
        },
      ) => {
        if ((name === undefined) === (flags.devices === undefined)) {
          throw new CodedError("CLI_BAD_USAGE", "name an array, or give --devices", {
            remedy: "see satsuma assemble --help",
          });
        }
        const client = clientOf(flags);
        const how = { read_only: flags.readOnly ?? false, run: flags.run ?? false };
        const ids = await Promise.all(
          (flags.devices ?? []).map((device) => deviceId(client, device)),
        );
        const body = name === undefined ? { import: ids, ...how } : { assemble: name, ...how };
        const id = await runJob(client, "POST", "/api/v1/arrays", body);
        reportArray(flags, await fetchArray(client, id));
      },
    );
};

/** Registers every online verb. */
export function registerOnlineCommands(program: Command): void {
  registerReading(program);
  registerMemberVerbs(program);
  registerChangeVerbs(program);
  registerImportVerbs(program);
  registerScrubCommands(program);
  registerStarting(program);
  registerExportCommands(program);
  registerEventsCommand(program);
  registerLocksCommand(program);
  registerNodeCommands(program);
  registerClusterCommands(program);
}
