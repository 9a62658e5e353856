/** Jobs, newest kept: at most `JOBS_KEPT`, and none that ended more than 30 days ago. */

import type { Database } from "./database.ts";

/** Where a job stands. Ended: succeeded, failed, cancelled. */
export type JobState =
  | "queued"
  | "running"
  | "paused"
  | "cancelling"
  | "succeeded"
  | "failed"
  | "cancelled"
  | "interrupted";

/** A job as stored; `document` is JSON the control plane reads and writes. */
export interface JobRow {
  readonly id: string;
  readonly state: JobState;
  readonly subject: string;
  readonly createdAt: number;
  readonly document: string;
}

/** A page of jobs, newest first, older than `before` (a `createdAt`, id pair), if given. */
export interface JobPage {
  readonly limit: number;
  readonly before: { readonly createdAt: number; readonly id: string } | null;
  readonly state: JobState | null;
  readonly subject: string | null;
}

/** Most jobs kept; the oldest ended ones go first. */
export const JOBS_KEPT = 1000;
const JOB_AGE_MAX_MS = 30 * 24 * 3600 * 1000;

const COLUMNS = "id, state, subject, created_at AS createdAt, document";
const ENDED = "('succeeded', 'failed', 'cancelled')";

/** The job table. */
export class JobRecords {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  find(id: string): JobRow | null {
    return this.#database.first<JobRow>(`SELECT ${COLUMNS} FROM jobs WHERE id = ?`, id) ?? null;
  }

  /** Every job that has not ended. */
  unfinished(): JobRow[] {
    return this.#database.all<JobRow>(
      `SELECT ${COLUMNS} FROM jobs WHERE state NOT IN ${ENDED} ORDER BY created_at, id`,
    );
  }

  page(query: JobPage): JobRow[] {
    return this.#database.all<JobRow>(
      `SELECT ${COLUMNS} FROM jobs
       WHERE state = ifnull(?, state) AND subject = ifnull(?, subject)
         AND (created_at, id) < (?, ?)
       ORDER BY created_at DESC, id DESC LIMIT ?`,
      query.state,
      query.subject,
      query.before?.createdAt ?? Number.MAX_SAFE_INTEGER,
      query.before?.id ?? "",
      query.limit,
    );
  }

  put(row: JobRow): void {
    this.#database.run(
      `INSERT INTO jobs (id, state, subject, created_at, document) VALUES (?, ?, ?, ?, ?)
       ON CONFLICT (id) DO UPDATE SET state = excluded.state, document = excluded.document`,
      row.id,
      row.state,
      row.subject,
      row.createdAt,
      row.document,
    );
  }

  /** Drops ended jobs that are too old or too many. */
  prune(now: number): void {
    this.#database.run(
      `DELETE FROM jobs WHERE state IN ${ENDED} AND (created_at < ? OR id NOT IN
         (SELECT id FROM jobs ORDER BY created_at DESC, id DESC LIMIT ?))`,
      now - JOB_AGE_MAX_MS,
      JOBS_KEPT,
    );
  }
}
