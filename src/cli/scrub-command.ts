/** The verbs of scrubs and spares: check, repair, pause, resume, schedule, spare-group. */

import type { Command } from "commander";
import type { ArrayResource } from "../api/schemas/array.ts";
import type { JobResource } from "../api/schemas/job.ts";
import type {
  SchedulePutRequest,
  ScheduleResource,
  ScrubResource,
  SpareGroupResource,
} from "../api/schemas/schedule.ts";
import { CodedError } from "../common/errors.ts";
import type { ApiClient } from "./api-client.ts";
import { followSync } from "./job-follow.ts";
import { arrayPath, clientOf, fetchArray, type OnlineFlags, withAccess } from "./online-access.ts";
import { reportArray } from "./online-verb.ts";
import { printJson, printText } from "./output.ts";
import { scheduleLines } from "./schedule-text.ts";
import { parseCount, parseSize } from "./size-syntax.ts";

const HISTORY = 5;

interface ScrubFlags extends OnlineFlags {
  readonly wait?: boolean;
  readonly from?: string;
  readonly to?: string;
}

const registerScrubs = (program: Command): void => {
  for (const [action, description] of [
    ["check", "compare all copies"],
    ["repair", "compare all copies and make them equal"],
  ] as const) {
    withAccess(program.command(action).description(description))
      .argument("<array>", "uuid or name")
      .option("--from <size>", "begin at this byte of the array")
      .option("--to <size>", "end at this byte of the array")
      .option("--wait", "wait until it is done")
      .action(async (name: string, flags: ScrubFlags) => {
        const client = clientOf(flags);
        const range = {
          ...(flags.from === undefined ? {} : { from: parseSize(flags.from, "--from", 1) }),
          ...(flags.to === undefined ? {} : { to: parseSize(flags.to, "--to", 1) }),
        };
        await client.request("PUT", `${arrayPath(name)}/sync-action`, {
          body: { action, ...range },
        });
        if (flags.wait) {
          await followSync(client, await fetchArray(client, name));
        }
        reportArray(flags, await fetchArray(client, name));
      });
  }
};

/** The newest job in that state which works on the array. */
const jobIn = async (
  client: ApiClient,
  array: ArrayResource,
  state: JobResource["state"],
): Promise<string | undefined> => {
  const subject = encodeURIComponent(`/api/v1/arrays/${array.id}`);
  const path = `/api/v1/jobs?limit=1&state=${state}&subject=${subject}`;
  const { items } = await client.request<{ readonly items: JobResource[] }>("GET", path);
  return items[0]?.id;
};

const registerPause = (program: Command): void => {
  withAccess(program.command("pause").description("pause the sync action of an array"))
    .argument("<array>", "uuid or name")
    .action(async (name: string, flags: OnlineFlags) => {
      const client = clientOf(flags);
      const array = await fetchArray(client, name);
      const id = array.status.sync?.job_id ?? (await jobIn(client, array, "interrupted"));
      if (id === undefined) {
        throw new CodedError("CLI_NOTHING_TO_PAUSE", `no sync action runs on ${array.name}`, {
          remedy: "see `satsuma status`",
        });
      }
      await client.request<JobResource>("POST", `/api/v1/jobs/${id}/actions/pause`);
      reportArray(flags, await fetchArray(client, array.id));
    });

  withAccess(program.command("resume").description("let a paused sync action go on"))
    .argument("<array>", "uuid or name")
    .action(async (name: string, flags: OnlineFlags) => {
      const client = clientOf(flags);
      const array = await fetchArray(client, name);
      const id = await jobIn(client, array, "paused");
      if (id === undefined) {
        throw new CodedError("CLI_NOTHING_TO_RESUME", `nothing is paused on ${array.name}`, {
          remedy: "see `satsuma status`",
        });
      }
      const job = await client.request<JobResource>("POST", `/api/v1/jobs/${id}/actions/resume`);
      reportArray(flags, await fetchArray(client, array.id));
      if (job.state === "paused" && !flags.json) {
        printText(`${job.log.at(-1)?.message ?? "it is still paused"}\n`);
      }
    });
};

interface ScheduleFlags extends OnlineFlags {
  readonly cron?: string;
  readonly every?: string;
  readonly action?: string;
  readonly window?: string;
  readonly anyTime?: boolean;
  readonly timeZone?: string;
  readonly maxSpeed?: string;
  readonly minSpeed?: string;
  readonly disable?: boolean;
  readonly enable?: boolean;
  readonly off?: boolean;
}

const windowOf = (text: string): { readonly start: string; readonly end: string } => {
  const [, start, end] = /^([0-9]{2}:[0-9]{2})-([0-9]{2}:[0-9]{2})$/.exec(text) ?? [];
  if (start === undefined || end === undefined) {
    throw new CodedError("CLI_BAD_USAGE", `--window ${text} is not two times of day`, {
      remedy: "write it as 01:00-05:00",
    });
  }
  return { start, end };
};

/** What the flags ask to change, as fields of the schedule; empty: nothing. */
export const scheduleChange = (flags: ScheduleFlags): Partial<SchedulePutRequest> => ({
  ...(flags.action === undefined ? {} : { action: flags.action as "check" | "repair" }),
  ...(flags.cron === undefined ? {} : { cron: flags.cron, every_days: null }),
  ...(flags.every === undefined
    ? {}
    : { cron: null, every_days: parseCount(flags.every, "--every", 1, 366) }),
  ...(flags.window === undefined ? {} : { window: windowOf(flags.window) }),
  ...(flags.anyTime === true ? { window: null } : {}),
  ...(flags.timeZone === undefined ? {} : { time_zone: flags.timeZone }),
  ...(flags.minSpeed === undefined
    ? {}
    : { min_speed: parseSize(flags.minSpeed, "--min-speed", 1) }),
  ...(flags.maxSpeed === undefined
    ? {}
    : { max_speed: parseSize(flags.maxSpeed, "--max-speed", 1) }),
  ...(flags.disable === true ? { enabled: false } : {}),
  ...(flags.enable === true ? { enabled: true } : {}),
});

const setSchedule = async (
  client: ApiClient,
  path: string,
  flags: ScheduleFlags,
): Promise<ScheduleResource> => {
  if (flags.off) {
    return await client.request<ScheduleResource>("DELETE", path);
  }
  const schedule = await client.request<ScheduleResource>("GET", path);
  const change = scheduleChange(flags);
  if (Object.keys(change).length === 0) {
    return schedule;
  }
  const body = { ...(schedule.config ?? {}), ...change };
  return await client.request<ScheduleResource>("PUT", path, { body });
};

const registerSchedule = (program: Command): void => {
  withAccess(
    program
      .command("schedule")
      .description("show or set when an array is checked; what is not given stays as it is"),
  )
    .argument("<array>", "uuid or name")
    .option("--cron <fields>", 'due times, such as "0 2 * * 0": Sundays at two')
    .option("--every <days>", "instead: this many days after the last whole scrub")
    .option("--action <action>", "check or repair")
    .option("--window <from-to>", "only between these times of day, such as 01:00-05:00")
    .option("--any-time", "without a window")
    .option("--time-zone <zone>", "of cron and window, such as Europe/Berlin; UTC unless given")
    .option("--max-speed <size>", "at most so much per second while it runs")
    .option("--min-speed <size>", "at least so much per second beside clients")
    .option("--disable", "keep the schedule, start nothing")
    .option("--enable", "start again what is due")
    .option("--off", "remove the schedule")
    .action(async (name: string, flags: ScheduleFlags) => {
      const client = clientOf(flags);
      const array = await fetchArray(client, name);
      const schedule = await setSchedule(client, `${arrayPath(array.id)}/schedule`, flags);
      if (flags.json) {
        printJson(schedule);
        return;
      }
      const path = `${arrayPath(array.id)}/scrubs?limit=${HISTORY}`;
      const { items } = await client.request<{ readonly items: ScrubResource[] }>("GET", path);
      printText(`${scheduleLines(array, schedule, items).join("\n")}\n`);
    });
};

const registerSpareGroup = (program: Command): void => {
  withAccess(
    program.command("spare-group").description("show or set with which arrays spares are shared"),
  )
    .argument("<array>", "uuid or name")
    .argument("[group]", "name of the group")
    .option("--none", "share with none")
    .action(
      async (
        name: string,
        group: string | undefined,
        flags: OnlineFlags & { readonly none?: boolean },
      ) => {
        const client = clientOf(flags);
        const path = `${arrayPath(name)}/spare-group`;
        const isSet = group !== undefined || flags.none === true;
        const spareGroup = isSet
          ? await client.request<SpareGroupResource>("PUT", path, {
              body: { spare_group: flags.none ? null : group },
            })
          : await client.request<SpareGroupResource>("GET", path);
        if (flags.json) {
          printJson(spareGroup);
        } else {
          printText(`${name}: ${spareGroup.spare_group ?? "no spare group"}\n`);
        }
      },
    );
};

/** Registers the verbs. */
export function registerScrubCommands(program: Command): void {
  registerScrubs(program);
  registerPause(program);
  registerSchedule(program);
  registerSpareGroup(program);
}
