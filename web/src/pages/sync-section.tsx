/** The sync of an array: bar, speed, time left, scope, and what the bitmap saved. */

import type { ArrayResource, SyncResource } from "../../../src/api/schemas/array.ts";
import type { JobResource } from "../../../src/api/schemas/job.ts";
import { requests } from "../api/api-request.ts";
import type { Board } from "../board/board.ts";
import { formatBytes, formatPercent, formatRate } from "../format/quantity.ts";
import { t } from "../messages/translate.ts";
import { ActionButton } from "../parts/action-button.tsx";
import { CancelJob, jobTitle, PauseJob } from "../parts/job-line.tsx";
import { Meter } from "../parts/meter.tsx";
import { Bytes, TimeAgo } from "../parts/quantities.tsx";
import { Section } from "../parts/section.tsx";
import { actionText, etaText } from "../parts/sync-bar.tsx";
import { Fact } from "./array-sections.tsx";
import { SpeedLimit } from "./speed-limit.tsx";

function StopSync({ array, sync }: { array: ArrayResource; sync: SyncResource }) {
  const isUserAction = sync.action === "check" || sync.action === "repair";
  return isUserAction ? (
    <ActionButton
      label={t("action.stop-sync", { action: t(`sync.action.${sync.action}`).toLowerCase() })}
      request={requests.setSync(array.id, { action: "idle" })}
      done={t("done.stop-sync", { array: array.name })}
    />
  ) : null;
}

function SyncFacts({ sync }: { sync: SyncResource }) {
  const isCompare = sync.action === "check" || sync.action === "repair";
  return (
    <dl class="facts wide">
      <Fact name={t("sync.speed")}>
        <span class="number">{formatRate(sync.speed)}</span>
      </Fact>
      <Fact name={t("sync.eta")}>
        <span class="number">{etaText(sync)}</span>
      </Fact>
      <Fact name={t("sync.done")}>
        <span class="number">
          {t("sync.done-of", {
            done: formatBytes(sync.completed),
            total: formatBytes(sync.total),
          })}
        </span>
      </Fact>
      <Fact name={isCompare ? t("sync.compared") : t("sync.copied")}>
        <Bytes value={sync.copied} />
      </Fact>
      <Fact name={t("sync.scope")}>{t(`sync.scope.${sync.scope}`)}</Fact>
      {sync.scope === "bitmap" && (
        <Fact name={t("sync.saved")}>
          <Bytes value={sync.skipped_by_bitmap} />
        </Fact>
      )}
      <Fact name={t("sync.reason")}>{t(`sync.reason.${sync.reason}`)}</Fact>
      <Fact name={t("sync.started")}>
        <TimeAgo time={sync.started_at} />
      </Fact>
    </dl>
  );
}

/** The job of a sync action that stands still and will go on, if there is one. */
const heldJob = (array: ArrayResource, board: Board): JobResource | undefined =>
  [...board.jobs.values()].find(
    ({ subject, state }) =>
      subject.endsWith(`/arrays/${array.id}`) && (state === "paused" || state === "interrupted"),
  );

function HeldSync({ array, board, job }: { array: ArrayResource; board: Board; job: JobResource }) {
  const title = jobTitle(job, board);
  const percent = formatPercent(job.progress?.percent ?? 0);
  return (
    <Section
      title={t("sync.title")}
      actions={
        <>
          <SpeedLimit array={array} />
          <PauseJob job={job} title={title} />
          <CancelJob job={job} title={title} />
        </>
      }
    >
      <div class="sync" data-held={job.kind}>
        <p class="sync-line">{t("sync.held", { action: t(`job.${job.kind}`), percent })}</p>
        <p class="faint">{job.log.at(-1)?.message}</p>
      </div>
    </Section>
  );
}

/** What is said when nothing runs here: another board of the cluster may. */
const LEADS = {
  none: "sync.nothing",
  REMOTE: "sync.elsewhere",
  PENDING: "sync.pending",
} as const;

/** The section; says so when nothing runs. */
export function SyncSection({ array, board }: { array: ArrayResource; board: Board }) {
  const { sync } = array.status;
  if (sync === null) {
    const held = heldJob(array, board);
    return held !== undefined ? (
      <HeldSync array={array} board={board} job={held} />
    ) : (
      <Section
        title={t("sync.title")}
        lead={t(LEADS[array.status.cluster?.resync ?? "none"])}
        actions={<SpeedLimit array={array} />}
      />
    );
  }
  const action = t(`sync.action.${sync.action}`);
  const percent = formatPercent(sync.percent);
  const job = board.jobs.get(sync.job_id ?? "");
  return (
    <Section
      title={t("sync.title")}
      actions={
        <>
          <SpeedLimit array={array} />
          {job !== undefined && <PauseJob job={job} title={jobTitle(job, board)} />}
          <StopSync array={array} sync={sync} />
        </>
      }
    >
      <div class="sync" data-action={sync.action} data-percent={sync.percent}>
        <p class="sync-line">
          <span class="sync-action">{actionText(sync)}</span>
          <span class="sync-percent number">{percent}</span>
        </p>
        <Meter
          label={t("sync.bar", { action, array: array.name })}
          percent={sync.percent}
          text={percent}
          tone="sync"
        />
        <SyncFacts sync={sync} />
      </div>
    </Section>
  );
}
