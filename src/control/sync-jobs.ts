/**
 * The jobs of sync actions: one per resync, recovery, check or repair, opened when an array's
 * status shows the action, fed with its progress, ended with it. A job whose action is to go on
 * later is kept (`paused`, or `interrupted` after a restart) and taken up again with its action.
 */

import type { ArrayStatus, SyncActionWord, SyncStatus } from "../raid/array-status.ts";
import type { EventService } from "./event-service.ts";
import { isScrubJob, type Job, type JobKind, type JobProgress, withLogLine } from "./job.ts";
import type { JobService } from "./job-service.ts";
import { subjectOf } from "./subject.ts";

/** How a sync action ended, from the engine's `sync.finished`. */
export type SyncOutcome = "done" | "cancelled" | "failed" | "interrupted";

/** What becomes of the job of an action that ended early and will go on. */
export interface JobHold {
  readonly state: "paused" | "interrupted";
  readonly line: string;
}

/** What a sync action did in all, from the engine's `sync.finished`: statuses are samples. */
export type SyncCounts = Pick<SyncStatus, "copiedBytes" | "skippedBytes">;

/** Asked when a sync action has ended: null ends its job too. */
export type EndJudge = (
  uuid: string,
  action: SyncActionWord,
  outcome: SyncOutcome,
  counts: SyncCounts | null,
) => JobHold | null;

interface Follow {
  readonly jobId: string;
  readonly action: SyncActionWord;
  readonly scope: SyncStatus["scope"];
  readonly startedAt: number;
  /** Last step of 20 percent announced. */
  percentAnnounced: number;
  completedBytes: number;
  totalBytes: number;
  copiedBytes: number;
  skippedBytes: number;
}

/** Bytes copied (or compared) and skipped by bitmap since the daemon started. */
export interface SyncTotals {
  readonly uuid: string;
  readonly action: SyncActionWord;
  readonly scope: "full" | "bitmap";
  copiedBytes: number;
  skippedBytes: number;
}

const PERCENT_STEP = 20;

const jobKind = (action: SyncActionWord): JobKind | null => {
  switch (action) {
    case "resync":
      return "array.resync";
    case "recover":
      return "array.recover";
    case "check":
      return "array.check";
    case "repair":
      return "array.repair";
    case "idle":
    case "frozen":
      return null;
  }
};

/** Follows the sync actions of all arrays. */
export class SyncJobs {
  readonly #jobs: JobService;
  readonly #events: EventService;
  readonly #now: () => number;
  readonly #follows = new Map<string, Follow>();
  /** `startedAt` of the action that ended last per array: late news of it opens no new job. */
  readonly #ended = new Map<string, number>();
  readonly #totals = new Map<string, SyncTotals>();
  /** Who asked for the next check or repair of an array. */
  readonly #requesters = new Map<string, string>();
  #judge: EndJudge = () => null;

  constructor(jobs: JobService, events: EventService, now: () => number) {
    this.#jobs = jobs;
    this.#events = events;
    this.#now = now;
  }

  /** Sets the one judge of ends. */
  onEnd(judge: EndJudge): void {
    this.#judge = judge;
  }

  /** Names who asked for the action that starts next on the array. */
  requestedBy(uuid: string, actor: string): void {
    this.#requesters.set(uuid, actor);
  }

  /**
   * The daemon was started anew, and the array is clustered: what it has to copy goes to any board
   * that runs it, as another action.
   */
  leaveToOthers(uuid: string): void {
    for (const job of this.#jobs.held(subjectOf("array", uuid))) {
      if (isScrubJob(job.kind)) continue;
      const line = "the board was started anew: a board that runs the array goes on with it";
      this.#jobs.end(withLogLine(job, this.#now(), line), "cancelled", {});
    }
  }

  /** Id of the job that follows the array's sync action, or null. */
  jobOf(uuid: string): string | null {
    return this.#follows.get(uuid)?.jobId ?? null;
  }

  /** What sync actions have done, per array, action and scope. */
  totals(): readonly SyncTotals[] {
    return [...this.#totals.values()];
  }

  /** Takes in a status of the array. */
  observe(uuid: string, status: ArrayStatus): void {
    const follow = this.#follows.get(uuid);
    const sync = status.sync;
    const kind = sync === null ? null : jobKind(sync.action);
    if (sync === null || kind === null) {
      if (follow !== undefined) {
        // The engine announces the end first; without that the bytes settled tell how it ended.
        const isDone = follow.completedBytes >= follow.totalBytes;
        this.finished(uuid, isDone ? "done" : "interrupted");
      }
      return;
    }
    if (follow?.action === sync.action && follow.startedAt === sync.startedAt) {
      this.#advance(uuid, follow, sync);
      return;
    }
    if (follow !== undefined) {
      this.finished(uuid, "interrupted");
    }
    if (this.#ended.get(uuid) !== sync.startedAt) {
      this.#begin(uuid, kind, sync);
    }
  }

  /**
   * Ends the job of the array's action, if one is followed, unless the action will go on. `counts`
   * is what it did in all; null: as much as its last status told.
   */
  finished(uuid: string, outcome: SyncOutcome, counts: SyncCounts | null = null): void {
    const follow = this.#follows.get(uuid);
    if (follow === undefined) {
      return;
    }
    if (counts !== null) {
      this.#count(uuid, follow, counts);
    }
    this.#follows.delete(uuid);
    this.#ended.set(uuid, follow.startedAt);
    const job = this.#jobs.get(follow.jobId);
    const hold = this.#judge(uuid, follow.action, outcome, counts);
    if (hold !== null) {
      this.#jobs.move(job.id, hold.state, hold.line);
    } else if (outcome === "done") {
      const { copiedBytes: copied, skippedBytes } = follow;
      const result = { array_id: uuid, copied, skipped_by_bitmap: skippedBytes };
      this.#jobs.end({ ...job, progress: whole(job.progress) }, "succeeded", { result });
    } else {
      const line = `${follow.action} ended: ${outcome}`;
      this.#jobs.end(withLogLine(job, this.#now(), line), "cancelled", {});
    }
  }

  #begin(uuid: string, kind: JobKind, sync: SyncStatus): void {
    const subject = subjectOf("array", uuid);
    const held = this.#jobs.held(subject);
    let job: Job | undefined;
    for (const candidate of held) {
      if (job === undefined && candidate.kind === kind) {
        job = this.#jobs.move(candidate.id, "running", "taken up again");
      } else if (!isScrubJob(candidate.kind)) {
        const line = `not taken up again: ${sync.action} runs instead`;
        this.#jobs.end(withLogLine(candidate, this.#now(), line), "cancelled", {});
      }
    }
    const createdBy = this.#requesters.get(uuid) ?? "array";
    this.#requesters.delete(uuid);
    job ??= this.#jobs.open({
      kind,
      subject,
      createdBy: sync.reason === "user" ? createdBy : "array",
    });
    const follow: Follow = {
      jobId: job.id,
      action: sync.action,
      scope: sync.scope,
      startedAt: sync.startedAt,
      percentAnnounced: stepOf(sync),
      completedBytes: sync.completedBytes,
      totalBytes: sync.totalBytes,
      copiedBytes: 0,
      skippedBytes: 0,
    };
    this.#follows.set(uuid, follow);
    this.#advance(uuid, follow, sync);
  }

  #advance(uuid: string, follow: Follow, sync: SyncStatus): void {
    this.#count(uuid, follow, sync);
    follow.completedBytes = sync.completedBytes;
    follow.totalBytes = sync.totalBytes;
    this.#jobs.progress(follow.jobId, {
      doneBytes: sync.completedBytes,
      totalBytes: sync.totalBytes,
      speedBytesPerSecond: sync.speedBytesPerSecond,
      eta: sync.eta,
    });
    const percent = stepOf(sync);
    if (percent > follow.percentAnnounced && percent < 100) {
      follow.percentAnnounced = percent;
      this.#events.record({
        type: "sync.progress",
        severity: "info",
        subject: subjectOf("array", uuid),
        message: `${sync.action} reached ${percent} %`,
        details: { action: sync.action, percent, job: follow.jobId },
        percent,
      });
    }
  }

  /** Adds what the action has done since it was counted last. */
  #count(uuid: string, follow: Follow, sync: SyncCounts): void {
    const { action, scope } = follow;
    const key = `${uuid} ${action} ${scope}`;
    const totals = this.#totals.get(key) ?? {
      uuid,
      action,
      scope,
      copiedBytes: 0,
      skippedBytes: 0,
    };
    totals.copiedBytes += Math.max(0, sync.copiedBytes - follow.copiedBytes);
    totals.skippedBytes += Math.max(0, sync.skippedBytes - follow.skippedBytes);
    follow.copiedBytes = sync.copiedBytes;
    follow.skippedBytes = sync.skippedBytes;
    this.#totals.set(key, totals);
  }
}

/** An action's end comes before its last progress is told. */
const whole = (progress: JobProgress | null): JobProgress | null =>
  progress === null ? null : { ...progress, doneBytes: progress.totalBytes, eta: null };

/** The last full step of 20 percent that is behind. */
function stepOf(sync: SyncStatus): number {
  if (sync.totalBytes === 0) {
    return 0;
  }
  const percent = (sync.completedBytes / sync.totalBytes) * 100;
  return Math.floor(percent / PERCENT_STEP) * PERCENT_STEP;
}
