/** A job: work that goes on after the request that asked for it was answered. */

import type { PlainError } from "../common/errors.ts";
import type { JobState } from "../store/job-records.ts";

/** What a job does, in md's words. */
export type JobKind =
  | "array.create"
  | "array.assemble"
  | "array.stop"
  | "array.grow"
  | "array.resync"
  | "array.recover"
  | "array.check"
  | "array.repair"
  | "member.add"
  | "member.re-add"
  | "member.replace"
  | "node.drain"
  | "node.undrain";

/** How far a sync action got: bytes, bytes per second, seconds. */
export interface JobProgress {
  readonly doneBytes: number;
  readonly totalBytes: number;
  readonly speedBytesPerSecond: number;
  readonly eta: { readonly low: number; readonly high: number } | null;
}

/** One job; times are milliseconds since the epoch, `subject` is a resource's path. */
export interface Job {
  readonly id: string;
  readonly kind: JobKind;
  readonly state: JobState;
  readonly subject: string;
  readonly progress: JobProgress | null;
  readonly createdBy: string;
  readonly createdAt: number;
  readonly startedAt: number | null;
  readonly finishedAt: number | null;
  readonly result: Readonly<Record<string, unknown>> | null;
  readonly problem: PlainError | null;
  readonly log: readonly { readonly at: number; readonly message: string }[];
}

/** Lines of a job's log; further ones push the oldest out. */
export const JOB_LOG_LINES = 50;

/** True when the job will not change any more. */
export function isEnded(job: Job): boolean {
  return job.state === "succeeded" || job.state === "failed" || job.state === "cancelled";
}

/** True for jobs that follow a sync action of an array. */
export function isSyncJob(kind: JobKind): boolean {
  return kind === "array.resync" || kind === "array.recover" || isScrubJob(kind);
}

/** True for jobs of a check or repair. */
export function isScrubJob(kind: JobKind): boolean {
  return kind === "array.check" || kind === "array.repair";
}

/** True when `cancel` may be asked for: what md would start again at once is not cancelable. */
export function isCancelable(job: Job): boolean {
  return (
    isScrubJob(job.kind) &&
    (job.state === "running" || job.state === "paused" || job.state === "interrupted")
  );
}

/** True when `pause` may be asked for. */
export function isPausable(job: Job): boolean {
  return (
    (isSyncJob(job.kind) && job.state === "running") ||
    (isScrubJob(job.kind) && job.state === "interrupted")
  );
}

/** `job` with a line added to its log. */
export function withLogLine(job: Job, at: number, message: string): Job {
  return { ...job, log: [...job.log, { at, message }].slice(-JOB_LOG_LINES) };
}
