/** Jobs and events, live. */

import { useState } from "preact/hooks";
import type { EventResource } from "../../../src/api/schemas/event.ts";
import type { JobResource } from "../../../src/api/schemas/job.ts";
import { type Board, sortedJobs } from "../board/board.ts";
import { t } from "../messages/translate.ts";
import { Badge, jobTone } from "../parts/badge.tsx";
import { BoardText } from "../parts/board-text.tsx";
import { type Column, DataTable } from "../parts/data-table.tsx";
import { SeverityIcon } from "../parts/event-list.tsx";
import { CancelJob, JobProgress, jobTitle, PauseJob } from "../parts/job-line.tsx";
import { ProblemBox } from "../parts/problem-box.tsx";
import { TimeAgo } from "../parts/quantities.tsx";
import { PageHead, Section } from "../parts/section.tsx";
import { Tabs } from "../parts/tabs.tsx";

function JobLog({ job }: { job: JobResource }) {
  return (
    <details class="own-line">
      <summary>{t("activity.log")}</summary>
      <ul class="job-log">
        {job.log.map(({ at, message }) => (
          <li key={`${at} ${message}`}>
            <TimeAgo time={at} /> {message}
          </li>
        ))}
      </ul>
    </details>
  );
}

const jobColumns = (board: Board): readonly Column<JobResource>[] => [
  {
    key: "job",
    title: t("activity.job"),
    cell: (job) => (
      <div class="states">
        <span>{jobTitle(job, board)}</span>
        {job.problem !== null && <ProblemBox problem={job.problem} />}
        {job.log.length > 0 && <JobLog job={job} />}
      </div>
    ),
  },
  {
    key: "state",
    title: t("activity.state"),
    cell: ({ state }) => <Badge word={t(`job.${state}`)} tone={jobTone(state)} />,
  },
  {
    key: "progress",
    title: t("activity.progress"),
    cell: (job) => <JobProgress job={job} title={jobTitle(job, board)} />,
  },
  {
    key: "started",
    title: t("activity.started"),
    cell: (job) => <TimeAgo time={job.started_at ?? job.created_at} />,
  },
  { key: "by", title: t("activity.by"), cell: ({ created_by }) => created_by },
  {
    key: "actions",
    title: t("common.actions"),
    kind: "actions",
    cell: (job) => (
      <>
        <PauseJob job={job} title={jobTitle(job, board)} />
        <CancelJob job={job} title={jobTitle(job, board)} />
      </>
    ),
  },
];

const EVENT_COLUMNS: readonly Column<EventResource>[] = [
  {
    key: "what",
    title: t("activity.what"),
    cell: (event) => (
      <span class="event-cell">
        <SeverityIcon severity={event.severity} />
        <BoardText text={event.message || event.type} />
      </span>
    ),
  },
  {
    key: "type",
    title: t("activity.type"),
    kind: "extra",
    cell: ({ type, mdadm_event }) => (
      <code
        {...(mdadm_event === undefined
          ? {}
          : { title: t("activity.mdadm", { name: mdadm_event }) })}
      >
        {type}
      </code>
    ),
  },
  { key: "time", title: t("activity.time"), cell: ({ time }) => <TimeAgo time={time} /> },
];

const LEVELS = ["all", "warning", "critical"] as const;
type Level = (typeof LEVELS)[number];

const isShown = (event: EventResource, level: Level): boolean =>
  level === "all" ||
  event.severity === "critical" ||
  (level === "warning" && event.severity === "warning");

function Events({ board }: { board: Board }) {
  const [level, setLevel] = useState<Level>("all");
  const rows = board.events.filter((event) => isShown(event, level));
  return (
    <Section
      title={t("activity.events")}
      actions={
        <Tabs
          label={t("activity.severity")}
          value={level}
          onValue={(value) => setLevel(LEVELS.find((known) => known === value) ?? "all")}
          options={LEVELS.map((value) => ({ value, label: t(`activity.severity.${value}`) }))}
        />
      }
    >
      {rows.length === 0 ? (
        <p class="faint">{t("activity.no-events")}</p>
      ) : (
        <DataTable
          label={t("activity.events")}
          columns={EVENT_COLUMNS}
          rows={rows}
          rowKey={({ id }) => String(id)}
        />
      )}
    </Section>
  );
}

/** The page. */
export function ActivityPage({ board }: { board: Board }) {
  const jobs = sortedJobs([...board.jobs.values()]);
  return (
    <>
      <PageHead title={t("activity.title")} />
      <Section title={t("activity.jobs")}>
        {jobs.length === 0 ? (
          <p class="faint">{t("activity.no-jobs")}</p>
        ) : (
          <DataTable
            label={t("activity.jobs")}
            columns={jobColumns(board)}
            rows={jobs}
            rowKey={({ id }) => id}
          />
        )}
      </Section>
      <Events board={board} />
    </>
  );
}
