/** `satsuma node`: list, impact, drain, maintenance, undrain, restart; `satsuma safe-to-pull`. */

import type { Command } from "commander";
import type { ImpactResource, NodeResource } from "../api/schemas/node.ts";
import { countText } from "../common/count-text.ts";
import { sizeText } from "../common/size-text.ts";
import type { ApiClient } from "./api-client.ts";
import { registerNodeRestart } from "./node-restart.ts";
import { clientOf, deviceId, type OnlineFlags, withAccess } from "./online-access.ts";
import { printLines, runJob, type VerbFlags } from "./online-verb.ts";
import { printJson } from "./output.ts";

/** Path of a board. */
export const nodePath = (name: string): string => `/api/v1/nodes/${encodeURIComponent(name)}`;

const impactLines = ({ sentence, reasons, arrays }: ImpactResource): string[] => [
  sentence,
  ...reasons.map((reason) => `  - ${reason}`),
  ...arrays.flatMap(({ name, dirty_chunks, dirty_bytes, members }) => [
    `  ${name}: ${dirty_chunks} dirty chunks (${sizeText(dirty_bytes)}), members that go: ${members.join(", ") || "none"}`,
  ]),
];

/** Not safe ends with 1, so that scripts can ask. */
const showImpact = (flags: OnlineFlags, impact: ImpactResource): void => {
  if (flags.json) printJson(impact);
  else printLines(impactLines(impact));
  if (!impact.safe) process.exitCode = 1;
};

const lifeText = ({ life, silent_for: seconds }: NodeResource): string => {
  if (life === "up") return "";
  if (life === "unknown") return ": not known from here";
  return seconds === null ? ": gone" : `: not heard of for ${Math.floor(seconds)} s`;
};

/** What a board tells, in lines. */
export const nodeLines = (node: NodeResource): string[] => {
  const { name, here, status } = node;
  if (status === null) return [`${name}${lifeText(node)}`];
  const since = status.since === null ? "" : ` since ${status.since}`;
  const elsewhere = status.elsewhere.flatMap(({ addresses }) => addresses);
  const voters = status.quorum?.voters ?? [];
  const healthy = voters.filter((voter) => voter.healthy).length;
  return [
    `${name}${here ? " (this board)" : ""}: ${status.state}${since}`,
    ...status.arrays.map((array) => {
      const state = array.running ? array.health : "does not run";
      const copies = `${countText(array.copies, "copy", "copies")} in sync`;
      const nodes = array.nodes.join(", ") || "nobody known";
      return `  ${array.name}: ${state}, ${copies}, run by ${nodes}`;
    }),
    ...(elsewhere.length === 0 ? [] : [`  clients go on at ${[...new Set(elsewhere)].join(", ")}`]),
    ...(voters.length === 0 ? [] : [`  etcd: ${healthy} of ${voters.length} members answer`]),
  ];
};

const showNode = async (client: ApiClient, flags: OnlineFlags, name: string): Promise<void> => {
  const node = await client.request<NodeResource>("GET", nodePath(name));
  if (flags.json) printJson(node);
  else printLines(nodeLines(node));
};

const registerReading = (group: Command): void => {
  withAccess(group.command("list").description("boards that are there")).action(
    async (flags: OnlineFlags) => {
      const { items } = await clientOf(flags).request<{ readonly items: NodeResource[] }>(
        "GET",
        "/api/v1/nodes",
      );
      if (flags.json) printJson(items);
      else printLines(items.flatMap(nodeLines));
    },
  );

  withAccess(group.command("impact").description("what is lost if a board stops now"))
    .argument("<name>", "the board, any of them")
    .action(async (name: string, flags: OnlineFlags) => {
      const path = `${nodePath(name)}/impact`;
      showImpact(flags, await clientOf(flags).request<ImpactResource>("GET", path));
    });
};

const registerService = (group: Command): void => {
  const register = (verb: string, about: string, action: string, body?: object): void => {
    const command = withAccess(group.command(verb).description(about)).argument("<name>");
    if (body !== undefined) command.option("--force", "although clients have nowhere to go");
    command.action(async (name: string, flags: VerbFlags) => {
      const client = clientOf(flags);
      const order = body === undefined ? undefined : { ...body, force: flags.force ?? false };
      await runJob(client, "POST", `${nodePath(name)}/actions/${action}`, order);
      await showNode(client, flags, name);
    });
  };
  register("drain", "hand this board's arrays and clients to the others", "drain", {
    mode: "drain",
  });
  register("maintenance", "drain it and fail its disks first, to switch it off", "drain", {
    mode: "maintenance",
  });
  register("undrain", "take the board into service again", "undrain");
};

/** Registers the group and `safe-to-pull`. */
export function registerNodeCommands(program: Command): void {
  const group = program.command("node").description("boards: impact, drain, restart");
  registerReading(group);
  registerService(group);
  registerNodeRestart(group);
  withAccess(program.command("safe-to-pull").description("what is lost if a device is pulled now"))
    .argument("<device>", "id or path")
    .action(async (device: string, flags: OnlineFlags) => {
      const client = clientOf(flags);
      const id = encodeURIComponent(await deviceId(client, device));
      const path = `/api/v1/devices/${id}/impact`;
      showImpact(flags, await client.request<ImpactResource>("GET", path));
    });
}
