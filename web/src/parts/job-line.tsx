/** A job: what it does to what, how far it is, and its end. */

import type { JobResource } from "../../../src/api/schemas/job.ts";
import { requests } from "../api/api-request.ts";
import type { Board } from "../board/board.ts";
import { formatPercent } from "../format/quantity.ts";
import { t } from "../messages/translate.ts";
import { ActionButton } from "./action-button.tsx";
import { Meter } from "./meter.tsx";
import { timeLeftText } from "./sync-bar.tsx";

/** What a job is called: its kind, and the array it works on. */
export function jobTitle(job: JobResource, board: Board): string {
  const id = job.result?.["array_id"] ?? decodeURIComponent(job.subject.split("/").at(-1) ?? "");
  const name = board.arrays.get(String(id))?.name;
  const kind = t(`job.${job.kind}`);
  return name === undefined ? kind : `${kind}: ${name}`;
}

/** Percent and bar; nothing for jobs without progress. */
export function JobProgress({ job, title }: { job: JobResource; title: string }) {
  if (job.progress === null) {
    return <span class="faint">{t("common.none")}</span>;
  }
  const percent = formatPercent(job.progress.percent);
  const isRunning = job.finished_at === null;
  return (
    <div class="job-progress" data-action={job.kind.split(".")[1]}>
      <span class="number faint">
        {isRunning ? `${percent}, ${timeLeftText(job.progress)}` : percent}
      </span>
      <Meter label={title} percent={job.progress.percent} text={percent} tone="sync" />
    </div>
  );
}

/** The button that pauses a job, or lets a paused one go on. */
export function PauseJob({ job, title }: { job: JobResource; title: string }) {
  if (job.state === "paused") {
    return (
      <ActionButton
        label={t("action.resume-job")}
        name={t("action.resume-job-of", { job: title })}
        request={requests.resumeJob(job.id)}
        done={t("done.resume-job", { job: title })}
      />
    );
  }
  return job.pausable ? (
    <ActionButton
      label={t("action.pause-job")}
      name={t("action.pause-job-of", { job: title })}
      request={requests.pauseJob(job.id)}
      done={t("done.pause-job", { job: title })}
    />
  ) : null;
}

/** The button that cancels a job, if it can be cancelled. */
export function CancelJob({ job, title }: { job: JobResource; title: string }) {
  return job.cancelable ? (
    <ActionButton
      label={t("action.cancel-job")}
      name={t("action.cancel-job-of", { job: title })}
      request={requests.cancelJob(job.id)}
      done={t("done.cancel-job", { job: title })}
    />
  ) : null;
}
