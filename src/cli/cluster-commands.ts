/** `satsuma cluster`: create, join, leave, evict, rename, tokens, status, discover. */

import type { Command } from "commander";
import type {
  ClusterResource,
  DiscoveredNodeResource,
  JoinTokenResource,
  NewJoinTokenResource,
} from "../api/schemas/cluster.ts";
import { clusterLines } from "./cluster-text.ts";
import { clientOf, type OnlineFlags, withAccess } from "./online-access.ts";
import { printLines, type VerbFlags } from "./online-verb.ts";
import { printJson } from "./output.ts";
import { tokenFrom } from "./token-input.ts";

const PATH = "/api/v1/cluster";
const TOKENS = "/api/v1/join-tokens";

interface JoinFlags extends OnlineFlags {
  readonly name?: string;
  readonly tokenFile?: string;
}

const show = (flags: OnlineFlags, cluster: ClusterResource): void => {
  if (flags.json) printJson(cluster);
  else printLines(clusterLines(cluster));
};

const nodePath = (name: string): string => `/api/v1/nodes/${encodeURIComponent(name)}`;

const registerMembership = (group: Command): void => {
  withAccess(group.command("create").description("make a cluster of this board alone"))
    .argument("<name>", "name of the cluster")
    .action(async (name: string, flags: OnlineFlags) => {
      const client = clientOf(flags);
      show(flags, await client.request<ClusterResource>("POST", PATH, { body: { name } }));
    });

  withAccess(group.command("join").description("join by a token that a board of the cluster made"))
    .argument("[token]", "what satsuma cluster token printed there; - reads it from the input")
    .option("--token-file <file>", "a file with the token")
    .option("--name <name>", "the board's name in the cluster (default: its own)")
    .action(async (argument: string | undefined, flags: JoinFlags) => {
      const token = tokenFrom(argument, flags.tokenFile);
      const client = clientOf(flags);
      const body = flags.name === undefined ? { token } : { token, name: flags.name };
      const cluster = await client.request<ClusterResource>("POST", `${PATH}/actions/join`, {
        body,
      });
      if (flags.json) printJson(cluster);
      else
        printLines([`${cluster.board} is in the cluster ${cluster.name}, and starts anew in it`]);
    });

  withAccess(group.command("leave").description("leave the cluster; the vote is handed over"))
    .option("--force", "although arrays of the cluster run here, or nobody answers")
    .action(async (flags: VerbFlags) => {
      const client = clientOf(flags);
      const body = { force: flags.force ?? false };
      show(flags, await client.request<ClusterResource>("POST", `${PATH}/actions/leave`, { body }));
    });
};

const registerTokens = (group: Command): void => {
  withAccess(group.command("token").description("a token by which one newcomer joins, for an hour"))
    .option("--witness", "for a machine that only votes")
    .option("--replace <name>", "for new hardware in the place of this board")
    .action(
      async (flags: OnlineFlags & { readonly witness?: boolean; readonly replace?: string }) => {
        const role = flags.witness ? "witness" : "board";
        const body = flags.replace === undefined ? { role } : { role, replaces: flags.replace };
        const client = clientOf(flags);
        const made = await client.request<NewJoinTokenResource>("POST", TOKENS, {
          body,
        });
        if (flags.json) printJson(made);
        else printLines([made.command, "", `works once, until ${made.expires_at}`]);
      },
    );
};

const tokenLine = ({ id, role, replaces, expires_at, used_at }: JoinTokenResource): string => {
  const use = used_at === null ? `works once, until ${expires_at}` : `was used at ${used_at}`;
  return `${id}  ${role}${replaces === null ? "" : ` in place of ${replaces}`}, ${use}`;
};

const registerTokenBook = (group: Command): void => {
  withAccess(group.command("tokens").description("tokens that this board made lately")).action(
    async (flags: OnlineFlags) => {
      const { items } = await clientOf(flags).request<{ readonly items: JoinTokenResource[] }>(
        "GET",
        TOKENS,
      );
      if (flags.json) printJson(items);
      else printLines(items.length === 0 ? ["no tokens"] : items.map(tokenLine));
    },
  );

  withAccess(group.command("revoke").description("take a token back: nobody joins by it"))
    .argument("<id>", "its id, as satsuma cluster tokens lists it")
    .action(async (id: string, flags: OnlineFlags) => {
      await clientOf(flags).request("DELETE", `${TOKENS}/${encodeURIComponent(id)}`);
      if (!flags.json) printLines([`the token ${id} lets nobody join`]);
    });
};

const registerReading = (group: Command): void => {
  withAccess(
    group.command("status").description("boards, witnesses, votes, what it survives"),
  ).action(async (flags: OnlineFlags) => {
    show(flags, await clientOf(flags).request<ClusterResource>("GET", PATH));
  });

  withAccess(group.command("discover").description("boards that answer on this network")).action(
    async (flags: OnlineFlags) => {
      const { items } = await clientOf(flags).request<{
        readonly items: DiscoveredNodeResource[];
      }>("GET", "/api/v1/discovered-nodes");
      if (flags.json) return printJson(items);
      if (items.length === 0) return printLines(["no other board answers on this network"]);
      printLines(
        items.map(({ name, cluster, api, addresses }) => {
          const where = api === "" ? addresses.join(", ") : api;
          return `${name.padEnd(20)} ${cluster === null ? "in no cluster" : `cluster ${cluster}`}  ${where}`;
        }),
      );
    },
  );
};

const registerOthers = (group: Command): void => {
  withAccess(group.command("evict").description("take another board or a witness out"))
    .argument("<name>", "the board or witness")
    .option(
      "--force",
      "although arrays lose a copy; or it is off, and will not come back as it was",
    )
    .action(async (name: string, flags: VerbFlags) => {
      const client = clientOf(flags);
      const body = { force: flags.force ?? false };
      const path = `${nodePath(name)}/actions/evict`;
      show(flags, await client.request<ClusterResource>("POST", path, { body }));
    });

  withAccess(group.command("rename").description("give a board another name; it starts anew"))
    .argument("<name>", "the board")
    .argument("<new-name>", "its name from now on")
    .option("--force", "although arrays have a copy less until it is back")
    .action(async (name: string, wanted: string, flags: VerbFlags) => {
      const client = clientOf(flags);
      const body = { name: wanted, force: flags.force ?? false };
      show(flags, await client.request<ClusterResource>("PATCH", nodePath(name), { body }));
    });
};

/** Registers the group. */
export function registerClusterCommands(program: Command): void {
  const group = program
    .command("cluster")
    .description("make, join and leave a cluster; its boards, witnesses and votes");
  registerReading(group);
  registerMembership(group);
  registerTokens(group);
  registerTokenBook(group);
  registerOthers(group);
}
