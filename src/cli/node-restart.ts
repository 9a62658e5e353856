/**
 * `satsuma node restart`: one board, or with --rolling all that are named, one after the other,
 * each only when redundancy and quorum are back.
 */

import { setTimeout as pause } from "node:timers/promises";
import type { Command } from "commander";
import type { ImpactResource, NodeResource } from "../api/schemas/node.ts";
import { CodedError } from "../common/errors.ts";
import {
  type RollingBoard,
  type RollingPlan,
  type RollingStep,
  rollingStep,
} from "../control/rolling-restart.ts";
import type { ApiClient } from "./api-client.ts";
import { clientOf, type OnlineFlags, withAccess } from "./online-access.ts";
import { printLines } from "./online-verb.ts";

const LOOK_MS = 1000;
/** Of one board: from its restart until everything is whole again. */
const WAIT_SECONDS = 1800;
/** It is on its way down, or up. */
const AWAY_CODES: ReadonlySet<string> = new Set([
  "CLI_NO_DAEMON",
  "CLI_API_UNREACHABLE",
  "CLI_API_SILENT",
  "API_NOT_READY",
  "API_OVERLOADED",
]);

interface RestartFlags extends OnlineFlags {
  readonly rolling?: string[];
  readonly force?: boolean;
  readonly timeout: string;
}

/** A board and its data folder, which tells where it is: its next start may be elsewhere. */
interface Target {
  readonly name: string;
  readonly data: string;
}

const hereOf = async (client: ApiClient): Promise<NodeResource> => {
  const { items } = await client.request<{ items: NodeResource[] }>("GET", "/api/v1/nodes");
  const here = items.find((node) => node.here);
  if (here !== undefined) return here;
  throw new CodedError("CLI_UNEXPECTED_REPLY", "the daemon does not name its board", {
    remedy: "check that it is a Satsuma daemon of this version",
  });
};

/** As it looks now; a board that is starting or ending does not answer. */
const look = async ({ name, data }: Target): Promise<RollingBoard> => {
  try {
    const client = clientOf({ data });
    const path = `/api/v1/nodes/${encodeURIComponent(name)}`;
    const { status } = await client.request<NodeResource>("GET", path);
    const impact = await client.request<ImpactResource>("GET", `${path}/impact`);
    if (status === null) return { name, told: null };
    const { quorum } = status;
    return {
      name,
      told: {
        isInService: status.state === "in-service",
        startedAt: status.started_at,
        arrays: status.arrays.map((array) => ({
          name: array.name,
          isRunning: array.running,
          degraded: array.degraded,
          isSyncing: array.syncing,
        })),
        quorum: quorum && {
          voters: quorum.voters.map((voter) => ({ name: voter.name, isHealthy: voter.healthy })),
          problem: quorum.problem,
        },
        impact,
      },
    };
  } catch (error) {
    if (error instanceof CodedError && AWAY_CODES.has(error.code)) return { name, told: null };
    throw error;
  }
};

const restart = async (client: ApiClient, name: string, force: boolean): Promise<void> => {
  const path = `/api/v1/nodes/${encodeURIComponent(name)}/actions/restart`;
  await client.request("POST", path, { body: { force } });
};

/** What is done about a step; the plan from then on. */
const carryOut = async (
  step: RollingStep,
  plan: RollingPlan,
  targets: readonly Target[],
): Promise<RollingPlan> => {
  if (step.type === "restart") {
    const target = targets.find(({ name }) => name === step.name);
    printLines([`${step.name}: restarting`]);
    if (target !== undefined) await restart(clientOf(target), target.name, false);
    const { name, startedAt } = step;
    return { left: plan.left.filter((one) => one !== name), restarting: { name, startedAt } };
  }
  if (step.type === "through") {
    printLines([`${step.name}: back, redundancy and quorum are whole`]);
    return { ...plan, restarting: null };
  }
  return plan;
};

const roll = async (targets: readonly Target[], limitMs: number): Promise<void> => {
  let plan: RollingPlan = { left: targets.map(({ name }) => name), restarting: null };
  let waitedMs = 0;
  let last = "";
  for (;;) {
    const step = rollingStep(plan, await Promise.all(targets.map(look)));
    if (step.type === "done") return;
    if (step.type === "refused") {
      throw new CodedError("CLI_ROLLING_STOPPED", `the rolling restart stops: ${step.why}`, {
        remedy: "see to that, then ask again; boards that are through need not be named",
      });
    }
    if (step.type !== "wait") {
      plan = await carryOut(step, plan, targets);
      waitedMs = 0;
      continue;
    }
    if (step.why !== last) printLines([`waiting: ${step.why}`]);
    last = step.why;
    if (waitedMs >= limitMs) {
      throw new CodedError("CLI_ROLLING_STOPPED", `the rolling restart stops: ${step.why}`, {
        remedy: "see to that, then ask again with the boards that are left, or a longer --timeout",
      });
    }
    await pause(LOOK_MS);
    waitedMs += LOOK_MS;
  }
};

const parseSeconds = (text: string): number => {
  const seconds = Number(text);
  if (Number.isInteger(seconds) && seconds > 0) return seconds;
  throw new CodedError("CLI_BAD_USAGE", `--timeout ${text} is no number of seconds`, {
    remedy: "give a whole number from 1",
  });
};

/** Registers the verb. */
export function registerNodeRestart(group: Command): void {
  withAccess(group.command("restart").description("end a board's daemon cleanly, to start anew"))
    .argument("[name]", "the board that is asked")
    .option("--rolling <dir...>", "one board after the other: the data folder of each")
    .option("--timeout <seconds>", "how long one may take to be whole again", String(WAIT_SECONDS))
    .option("--force", "although data, an array or the quorum is lost")
    .action(async (name: string | undefined, flags: RestartFlags) => {
      const limitMs = parseSeconds(flags.timeout) * 1000;
      if ((name === undefined) === (flags.rolling === undefined)) {
        throw new CodedError("CLI_BAD_USAGE", "name a board, or give --rolling DIR…", {
          remedy: "see satsuma node restart --help",
        });
      }
      if (name !== undefined) {
        await restart(clientOf(flags), name, flags.force ?? false);
        printLines([`${name}: restarting`]);
        return;
      }
      const targets = (flags.rolling ?? []).map(async (data): Promise<Target> => {
        const { name: board } = await hereOf(clientOf({ data }));
        return { name: board, data };
      });
      await roll(await Promise.all(targets), limitMs);
    });
}
