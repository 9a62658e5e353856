/** `satsuma locks`: locks, messages and nodes of clustered arrays, and why something waits. */

import type { Command } from "commander";
import type { DlmResource } from "../api/schemas/dlm.ts";
import type { PeerReportResource } from "../api/schemas/peer.ts";
import { CodedError } from "../common/errors.ts";
import { absentLines, locksLines } from "./locks-text.ts";
import { clientOf, type OnlineFlags, withAccess } from "./online-access.ts";
import { printLines } from "./online-verb.ts";
import { printJson } from "./output.ts";
import { exporterLines } from "./peers-text.ts";

const TRACE_MAX = 1000;

/** Registers the verb. */
export function registerLocksCommand(program: Command): void {
  withAccess(program.command("locks").description("locks, messages and nodes of clustered arrays"))
    .argument("[array]", "only this one: uuid or name")
    .option("--trace <count>", "also the last events of each", "0")
    .action(async (name: string | undefined, flags: OnlineFlags & { readonly trace: string }) => {
      const traced = Number(flags.trace);
      if (!Number.isInteger(traced) || traced < 0 || traced > TRACE_MAX) {
        throw new CodedError("CLI_BAD_USAGE", `--trace ${flags.trace} is no count`, {
          remedy: `give a number from 0 to ${TRACE_MAX}`,
        });
      }
      const dlm = await clientOf(flags).request<DlmResource>("GET", "/api/v1/dlm");
      const isMeant = (one: { readonly name: string; readonly array: string }): boolean =>
        name === undefined || one.name === name || one.array === name;
      const items = dlm.items.filter(isMeant);
      const absent = dlm.absent.filter(isMeant);
      if (name !== undefined && items.length + absent.length === 0) {
        throw new CodedError("CLI_NOT_CLUSTERED", `no clustered array ${name} runs here`, {
          remedy: "see satsuma status; only arrays with a clustered bitmap have locks",
        });
      }
      const peers = await clientOf(flags).request<PeerReportResource>("GET", "/api/v1/peers");
      if (flags.json) {
        printJson({ ...dlm, items, absent, exporter: peers.exporter });
      } else if (items.length + absent.length === 0 && peers.exporter === null) {
        const where = dlm.cluster === null ? "the board is in no cluster" : "it knows none";
        printLines([`no clustered array: ${where}`]);
      } else {
        const blocks = [
          ...items.map((item) => locksLines(item, traced)),
          ...absent.map(absentLines),
          exporterLines(peers),
        ].filter((lines) => lines.length > 0);
        printLines([blocks.map((lines) => lines.join("\n")).join("\n\n")]);
      }
    });
}
