/** What `schedule` prints: the schedule in one line, what comes next, the last scrubs. */

import type { ArrayResource } from "../api/schemas/array.ts";
import type { ScheduleResource, ScrubResource } from "../api/schemas/schedule.ts";
import { sizeText } from "../common/size-text.ts";

type Config = NonNullable<ScheduleResource["config"]>;

const configLine = (config: Config): string => {
  const due =
    config.cron === null
      ? `${config.every_days} days after the last one`
      : `at \`${config.cron}\` ${config.time_zone}`;
  const { window } = config;
  const hours =
    window === null ? "" : `, between ${window.start} and ${window.end} ${config.time_zone}`;
  const speed = config.max_speed === null ? "" : `, at most ${sizeText(config.max_speed)}/s`;
  return `${config.action} ${due}${hours}${speed}${config.enabled ? "" : " (switched off)"}`;
};

/** One scrub: when, how far, what it found, how it stands. */
const scrubLine = (scrub: ScrubResource, size: number): string => {
  const end = scrub.to ?? size;
  const total = end - scrub.from;
  const percent = total === 0 ? 100 : ((scrub.position - scrub.from) / total) * 100;
  const cells = [
    scrub.started_at,
    scrub.action.padEnd(6),
    scrub.state.padEnd(9),
    `${Math.floor(percent)} %`.padStart(5),
    `${scrub.mismatch_count} sectors differ`,
  ];
  return `      ${cells.join("  ")}${scrub.note === null ? "" : `  (${scrub.note})`}`;
};

/** The lines. */
export function scheduleLines(
  array: ArrayResource,
  { config, status }: ScheduleResource,
  scrubs: readonly ScrubResource[],
): string[] {
  const wait = status.waiting_for;
  return [
    `${array.name}: ${config === null ? "no schedule" : configLine(config)}`,
    ...(status.next_start_at === null ? [] : [`      next start: ${status.next_start_at}`]),
    ...(wait === null || wait.code === "not-due" ? [] : [`      waits: ${wait.message}`]),
    `      last whole check: ${status.last_check_at ?? "none"}`,
    ...scrubs.map((scrub) => scrubLine(scrub, array.config.size)),
  ];
}
