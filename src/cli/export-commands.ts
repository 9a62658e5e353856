/** `satsuma export`: list, create, delete, attach. */

import type { Command } from "commander";
import type { AttachResource, ExportResource } from "../api/schemas/export.ts";
import { sizeText } from "../common/size-text.ts";
import { attachText, targetText } from "./attach-text.ts";
import { clientOf, fetchAll, type OnlineFlags, withAccess } from "./online-access.ts";
import { printJson, printText } from "./output.ts";

const exportPath = (name: string): string => `/api/v1/exports/${encodeURIComponent(name)}`;

const exportLine = ({ name, config, status }: ExportResource): string => {
  const array = status.array_name ?? config.array_id;
  const why = status.reason === null ? "" : `  (${status.reason})`;
  const clients = `${status.clients} clients`;
  const address = status.uris.unix ?? status.uris.tcp ?? "";
  const cells = [name.padEnd(16), status.state.padEnd(9), array.padEnd(16)];
  return `${cells.join(" ")} ${sizeText(status.size).padStart(10)}  ${clients}  ${address}${why}`;
};

const registerList = (group: Command): void => {
  withAccess(group.command("list").description("every export")).action(
    async (flags: OnlineFlags) => {
      const exports = await fetchAll<ExportResource>(clientOf(flags), "exports");
      if (flags.json) {
        printJson(exports);
      } else {
        printText(exports.map((item) => `${exportLine(item)}\n`).join(""));
      }
    },
  );
};

interface CreateFlags extends OnlineFlags {
  readonly readOnly?: boolean;
  readonly tlsRequired?: boolean;
  readonly description?: string;
}

const registerChanging = (group: Command): void => {
  withAccess(group.command("create").description("export an array"))
    .argument("<name>", "name that clients attach")
    .argument("<array>", "uuid or name")
    .option("--read-only", "refuse writes")
    .option("--tls-required", "refuse clients without TLS")
    .option("--description <text>", "shown to clients that list exports")
    .action(async (name: string, array: string, flags: CreateFlags) => {
      const made = await clientOf(flags).request<ExportResource>("POST", "/api/v1/exports", {
        body: {
          name,
          array,
          description: flags.description ?? "",
          read_only: flags.readOnly ?? false,
          tls_required: flags.tlsRequired ?? false,
        },
      });
      if (flags.json) {
        printJson(made);
      } else {
        printText(`${exportLine(made)}\n`);
      }
    });

  withAccess(group.command("delete").description("delete an export"))
    .argument("<name>")
    .option("--force", "even under attached clients")
    .action(async (name: string, flags: OnlineFlags & { readonly force?: boolean }) => {
      const query = flags.force ? "?force=true" : "";
      await clientOf(flags).request("DELETE", `${exportPath(name)}${query}`);
      printText(flags.json ? "{}\n" : `export ${name} deleted\n`);
    });
};

interface AttachFlags extends OnlineFlags {
  readonly target?: string;
  readonly tcp?: boolean;
}

const registerAttach = (group: Command): void => {
  withAccess(group.command("attach").description("commands that attach an export, to paste"))
    .argument("<name>")
    .option("--target <target>", "nbd-client, qemu, nbdinfo, nbdcopy or systemd")
    .option("--tcp", "over TCP instead of the unix socket")
    .action(async (name: string, flags: AttachFlags) => {
      const query = new URLSearchParams({ transport: flags.tcp ? "tcp" : "unix" });
      if (flags.target !== undefined) {
        query.set("target", flags.target);
      }
      const attach = await clientOf(flags).request<AttachResource>(
        "GET",
        `${exportPath(name)}/attach?${query}`,
      );
      if (flags.json) {
        printJson(attach);
      } else if (flags.target !== undefined) {
        printText(targetText(attach));
      } else {
        printText(attachText(attach));
      }
    });
};

/** Registers the group. */
export function registerExportCommands(program: Command): void {
  const group = program.command("export").description("NBD exports");
  registerList(group);
  registerChanging(group);
  registerAttach(group);
}
