/** The first page: one honest sentence, what needs attention, and everything at a glance. */

import type { EventResource } from "../../../src/api/schemas/event.ts";
import { sortedArrays } from "../board/array-facts.ts";
import type { Board } from "../board/board.ts";
import { sortedJobs } from "../board/board.ts";
import { formatAge } from "../format/duration.ts";
import { t } from "../messages/translate.ts";
import { BoardText } from "../parts/board-text.tsx";
import { EventList } from "../parts/event-list.tsx";
import { HealthIcon } from "../parts/health-mark.tsx";
import { CancelJob, JobProgress, jobTitle } from "../parts/job-line.tsx";
import { Link } from "../parts/link.tsx";
import { Empty, PageHead, Section } from "../parts/section.tsx";
import { now } from "../shell/clock.ts";
import { ArrayCard } from "./array-card.tsx";
import { AttentionList } from "./attention-list.tsx";
import { DeviceStrip } from "./device-strip.tsx";
import { FoundArrays } from "./found-arrays.tsx";

const EVENTS_SHOWN = 8;

/** Jobs have a list of their own beside; only their failures are news. */
const isNews = ({ type }: EventResource): boolean =>
  !type.startsWith("job.") || type === "job.failed";

function Verdict({ board }: { board: Board }) {
  const { health, node, version, started_at } = board.system;
  const uptime = formatAge(Date.parse(started_at), now.value);
  return (
    <div class={`verdict health-${health.state}`} data-health={health.state}>
      <HealthIcon health={health.state} size={40} />
      <div>
        <p class="verdict-word">{t(`health.${health.state}`)}</p>
        <p class="verdict-sentence">
          <BoardText text={health.sentence} />
        </p>
        <p class="faint">{t("overview.board", { node, version, uptime })}</p>
      </div>
    </div>
  );
}

function NoArrays({ board }: { board: Board }) {
  const free = [...board.devices.values()].filter(({ status }) => status.state === "free").length;
  return (
    <Empty
      title={t("overview.no-arrays")}
      why={
        free === 0 ? t("overview.no-arrays-none") : t("overview.no-arrays-enough", { count: free })
      }
      actions={
        free >= 2 ? (
          <Link to="/arrays/new" class="button main">
            {t("action.create-array")}
          </Link>
        ) : (
          <Link to="/devices" class="button main">
            {t("page.devices")}
          </Link>
        )
      }
    />
  );
}

function RunningJobs({ board }: { board: Board }) {
  const running = sortedJobs([...board.jobs.values()]).filter((job) => job.finished_at === null);
  return (
    <Section title={t("overview.jobs")}>
      {running.length === 0 ? (
        <p class="faint">{t("overview.jobs-none")}</p>
      ) : (
        <ul class="job-list">
          {running.map((job) => {
            const title = jobTitle(job, board);
            return (
              <li key={job.id} data-kind={job.kind}>
                <div class="job-head">
                  <span>{title}</span>
                  <CancelJob job={job} title={title} />
                </div>
                <JobProgress job={job} title={title} />
              </li>
            );
          })}
        </ul>
      )}
    </Section>
  );
}

/** The page. */
export function OverviewPage({ board }: { board: Board }) {
  const arrays = sortedArrays(board.arrays.values());
  return (
    <>
      <div class="visually-hidden">
        <PageHead title={t("overview.title")} />
      </div>
      <Verdict board={board} />
      <AttentionList board={board} />
      <div class="columns">
        <div class="column-main">
          <Section
            title={t("overview.arrays")}
            class="bare"
            actions={
              <Link to="/arrays/new" class="button">
                {t("action.create-array")}
              </Link>
            }
          >
            {arrays.length === 0 ? (
              <NoArrays board={board} />
            ) : (
              <div class="cards">
                {arrays.map((array) => (
                  <ArrayCard key={array.id} array={array} />
                ))}
              </div>
            )}
          </Section>
          <FoundArrays board={board} />
          <DeviceStrip board={board} />
        </div>
        <div class="column-side">
          <RunningJobs board={board} />
          <Section
            title={t("overview.events")}
            actions={<Link to="/activity">{t("overview.events-all")}</Link>}
          >
            <EventList events={board.events.filter(isNews).slice(0, EVENTS_SHOWN)} />
          </Section>
        </div>
      </div>
    </>
  );
}
