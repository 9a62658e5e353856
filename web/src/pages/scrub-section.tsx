/** Regular checks of an array: the schedule, what comes next, what the last scrub found where. */

import { useEffect, useState } from "preact/hooks";
import type { ArrayResource } from "../../../src/api/schemas/array.ts";
import type { ScheduleResource, ScrubResource } from "../../../src/api/schemas/schedule.ts";
import { requests } from "../api/api-request.ts";
import { formatTime } from "../format/duration.ts";
import { formatBytes } from "../format/quantity.ts";
import { t } from "../messages/translate.ts";
import { BoardText } from "../parts/board-text.tsx";
import { perform } from "../parts/perform.ts";
import { TimeAgo } from "../parts/quantities.tsx";
import { Section } from "../parts/section.tsx";
import { liveness } from "../shell/board-store.ts";
import { Fact } from "./array-sections.tsx";
import { RemoveSchedule, ScheduleDialog } from "./schedule-dialog.tsx";

const REFRESH_MS = 3000;
const RANGES_SHOWN = 20;

/** The schedule and the newest scrub, as last read. */
interface Scrubs {
  readonly schedule: ScheduleResource;
  readonly latest: ScrubResource | null;
}

/** Reads both while the page is looked at; they are not part of the event stream. */
function useScrubs(array: ArrayResource): Scrubs | null {
  const [scrubs, setScrubs] = useState<Scrubs | null>(null);
  const { id } = array;
  useEffect(() => {
    let isWanted = true;
    const read = async (): Promise<void> => {
      const [schedule, { items }] = await Promise.all([
        perform<ScheduleResource>(requests.schedule(id)),
        perform<{ readonly items: readonly ScrubResource[] }>(requests.latestScrub(id)),
      ]);
      if (isWanted) {
        setScrubs({ schedule, latest: items[0] ?? null });
      }
    };
    const refresh = (): void => {
      if (document.visibilityState === "visible" && liveness.peek().state === "live") {
        // What cannot be read now is read the next time; the live mark tells of lost connections.
        void read().catch(() => undefined);
      }
    };
    refresh();
    const timer = window.setInterval(refresh, REFRESH_MS);
    return () => {
      isWanted = false;
      clearInterval(timer);
    };
  }, [id]);
  return scrubs;
}

type Config = NonNullable<ScheduleResource["config"]>;

const scheduleText = (config: Config): string => {
  const action = t(`sync.action.${config.action}`);
  const text =
    config.every_days === null
      ? t("scrub.cron", { action, cron: config.cron ?? "" })
      : t("scrub.every", { action, count: config.every_days });
  return config.enabled ? text : `${text} (${t("scrub.off")})`;
};

const windowText = ({ window, time_zone }: Config): string =>
  window === null ? t("scrub.any-time") : t("scrub.window-of", { ...window, zone: time_zone });

function ScheduleFacts({ config, status }: { config: Config; status: ScheduleResource["status"] }) {
  const wait = status.waiting_for;
  return (
    <>
      <Fact name={t("scrub.schedule")}>{scheduleText(config)}</Fact>
      <Fact name={t("scrub.window")}>{windowText(config)}</Fact>
      {status.next_start_at !== null && (
        <Fact name={t("scrub.next")}>{formatTime(Date.parse(status.next_start_at))}</Fact>
      )}
      {wait !== null && wait.code !== "not-due" && (
        <Fact name={t("scrub.waits")}>
          <BoardText text={wait.message} />
        </Fact>
      )}
    </>
  );
}

function Mismatches({ scrub }: { scrub: ScrubResource }) {
  const { ranges, truncated } = scrub.mismatches;
  if (ranges.length === 0) {
    return null;
  }
  const isCut = truncated || ranges.length > RANGES_SHOWN;
  return (
    <details class="own-line">
      <summary>{t("scrub.where")}</summary>
      <ul class="reasons" aria-label={t("scrub.where")}>
        {ranges.slice(0, RANGES_SHOWN).map(({ offset, length }) => (
          <li key={offset} class="number">
            {t("scrub.range", { offset, length: formatBytes(length) })}
          </li>
        ))}
      </ul>
      {isCut && <p class="faint">{t("scrub.more")}</p>}
    </details>
  );
}

/** The section. */
export function ScrubSection({ array }: { array: ArrayResource }) {
  const scrubs = useScrubs(array);
  if (scrubs === null) {
    return null;
  }
  const { schedule, latest } = scrubs;
  const { config, status } = schedule;
  return (
    <Section
      title={t("scrub.title")}
      actions={
        <>
          <ScheduleDialog array={array} schedule={schedule} />
          {config !== null && <RemoveSchedule array={array} />}
        </>
      }
    >
      {config === null && <p class="faint">{t("scrub.none")}</p>}
      <dl class="facts" data-schedule={config === null ? "none" : config.action}>
        {config !== null && <ScheduleFacts config={config} status={status} />}
        <Fact name={t("scrub.last")}>
          {status.last_check_at === null ? (
            t("scrub.never")
          ) : (
            <TimeAgo time={status.last_check_at} />
          )}
        </Fact>
        {latest !== null && (
          <Fact name={t("scrub.latest")}>
            {t("scrub.latest-of", {
              action: t(`sync.action.${latest.action}`),
              state: t(`scrub.state.${latest.state}`),
            })}
            <br />
            {t("scrub.found", { count: latest.mismatch_count })}
          </Fact>
        )}
      </dl>
      {latest !== null && <Mismatches scrub={latest} />}
    </Section>
  );
}
