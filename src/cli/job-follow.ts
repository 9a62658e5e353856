/** Waits for jobs, with a bar on a terminal. */

import type { ArrayResource } from "../api/schemas/array.ts";
import type { JobResource } from "../api/schemas/job.ts";
import { CodedError, fromPlainError } from "../common/errors.ts";
import type { ApiClient } from "./api-client.ts";
import { ProgressBar } from "./output.ts";

const POLL_MS = 500;
const ENDED = ["succeeded", "failed", "cancelled"];

const pause = (milliseconds: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, milliseconds));

/** Waits until the job has ended well. Errors: the job's problem, CLI_JOB_CANCELLED. */
export async function followJob(client: ApiClient, id: string): Promise<void> {
  let bar: ProgressBar | null = null;
  for (;;) {
    const job = await client.request<JobResource>("GET", `/api/v1/jobs/${id}`);
    if (job.progress !== null) {
      bar ??= new ProgressBar(job.kind.replace(/^[a-z]+\./, ""), job.progress.total);
      bar.update(job.state === "succeeded" ? job.progress.total : job.progress.done);
    }
    if (ENDED.includes(job.state)) {
      bar?.finish();
      refuseBadEnd(job);
      return;
    }
    await pause(POLL_MS);
  }
}

/** Waits for the sync action that runs on the array now, if one does. */
export async function followSync(client: ApiClient, array: ArrayResource): Promise<void> {
  const jobId = array.status.sync?.job_id;
  if (jobId !== undefined && jobId !== null) {
    await followJob(client, jobId);
  }
}

function refuseBadEnd(job: JobResource): void {
  if (job.problem !== null) {
    const { code, detail, correction = "", details = {} } = job.problem;
    throw fromPlainError({ code, message: detail, remedy: correction, details });
  }
  if (job.state === "cancelled") {
    const last = job.log.at(-1)?.message ?? "cancelled";
    throw new CodedError("CLI_JOB_CANCELLED", `${job.kind} did not finish: ${last}`, {
      remedy: "see the array's status",
    });
  }
}
