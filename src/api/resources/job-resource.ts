/** Jobs as the API shows them. */

import type { ControlPlane } from "../../control/control-plane.ts";
import { isCancelable, isPausable, type Job } from "../../control/job.ts";
import { subjectOf } from "../../control/subject.ts";
import { problemDocument } from "../problem.ts";
import type { JobResource } from "../schemas/job.ts";
import { timeText, timeTextOrNull } from "./times.ts";

/** The resource of a job. */
export function jobResource(control: ControlPlane, job: Job): JobResource {
  const self = subjectOf("job", job.id);
  const { progress, problem } = job;
  return {
    id: job.id,
    kind: job.kind,
    state: job.state,
    subject: job.subject,
    progress:
      progress === null
        ? null
        : {
            percent: percentOf(progress.doneBytes, progress.totalBytes),
            done: progress.doneBytes,
            total: progress.totalBytes,
            unit: "bytes",
            speed: progress.speedBytesPerSecond,
            eta: progress.eta,
          },
    node: control.nodes.here,
    cancelable: isCancelable(job),
    pausable: isPausable(job),
    created_by: job.createdBy,
    created_at: timeText(job.createdAt),
    started_at: timeTextOrNull(job.startedAt),
    finished_at: timeTextOrNull(job.finishedAt),
    result: job.result === null ? null : { ...job.result },
    problem:
      problem === null ? null : problemDocument(problem, { instance: self, requestId: job.id }),
    log: job.log.map(({ at, message }) => ({ at: timeText(at), message })),
    links: { self, subject: job.subject },
  };
}

/** Percent done, one decimal, never above 100; an empty scope is done. */
export function percentOf(done: number, total: number): number {
  return total === 0 ? 100 : Math.min(100, Math.floor((done / total) * 1000) / 10);
}
