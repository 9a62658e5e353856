/** Scrub schedules, one per array at most, and the scrubs themselves, the newest kept. */

import type { Database } from "./database.ts";

/** A schedule as stored; `document` is JSON the control plane reads and writes. */
export interface ScheduleRow {
  readonly arrayUuid: string;
  readonly document: string;
}

/** A scrub as stored; `isEnded` and `isWholeSuccess` are what queries look for. */
export interface ScrubRow {
  readonly id: number;
  readonly arrayUuid: string;
  readonly isEnded: boolean;
  /** It covered all of the array and succeeded. */
  readonly isWholeSuccess: boolean;
  readonly startedAt: number;
  readonly endedAt: number | null;
  readonly document: string;
}

/** Ended scrubs kept per array, beside the last whole one that succeeded. */
export const SCRUBS_KEPT = 100;

const SCRUB_UPSERT = `
INSERT INTO scrubs (id, array_uuid, is_ended, is_whole_success, started_at, ended_at, document)
VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET is_ended = excluded.is_ended,
  is_whole_success = excluded.is_whole_success, ended_at = excluded.ended_at,
  document = excluded.document`;

const PRUNE = `
DELETE FROM scrubs WHERE array_uuid = ? AND is_ended = 1
  AND id NOT IN (SELECT id FROM scrubs WHERE array_uuid = ? ORDER BY id DESC LIMIT ?)
  AND id IS NOT (SELECT max(id) FROM scrubs WHERE array_uuid = ? AND is_whole_success = 1)`;

/** The tables of schedules and scrubs. */
export class ScrubRecords {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  schedules(): ScheduleRow[] {
    return this.#database.all<ScheduleRow>(
      "SELECT array_uuid AS arrayUuid, document FROM scrub_schedules ORDER BY array_uuid",
    );
  }

  /** Adds or replaces the schedule of an array; on stable storage when it returns. */
  putSchedule(row: ScheduleRow): void {
    this.#database.durably(() => {
      this.#database.run(
        `INSERT INTO scrub_schedules (array_uuid, document) VALUES (?, ?)
         ON CONFLICT (array_uuid) DO UPDATE SET document = excluded.document`,
        row.arrayUuid,
        row.document,
      );
    });
  }

  removeSchedule(arrayUuid: string): void {
    this.#database.durably(() => {
      this.#database.run("DELETE FROM scrub_schedules WHERE array_uuid = ?", arrayUuid);
    });
  }

  /** Id for the next scrub. */
  nextId(): number {
    const row = this.#database.first<{ id: number }>("SELECT ifnull(max(id), 0) AS id FROM scrubs");
    return (row?.id ?? 0) + 1;
  }

  /** Documents of the scrubs that have not ended. */
  unfinished(): string[] {
    return this.#database
      .all<{ document: string }>("SELECT document FROM scrubs WHERE is_ended = 0 ORDER BY id")
      .map((row) => row.document);
  }

  /** Documents of an array's scrubs, newest first. */
  page(arrayUuid: string, limit: number): string[] {
    return this.#database
      .all<{ document: string }>(
        "SELECT document FROM scrubs WHERE array_uuid = ? ORDER BY id DESC LIMIT ?",
        arrayUuid,
        limit,
      )
      .map((row) => row.document);
  }

  /** Begin and end of each array's last whole scrub that succeeded. */
  lastWhole(): {
    readonly arrayUuid: string;
    readonly startedAt: number;
    readonly endedAt: number;
  }[] {
    return this.#database.all(
      `SELECT array_uuid AS arrayUuid, started_at AS startedAt, max(ended_at) AS endedAt
       FROM scrubs WHERE is_whole_success = 1 GROUP BY array_uuid`,
    );
  }

  /** Adds or replaces a scrub; survives a kill when it returns. Ended ones beyond the limit go. */
  put(row: ScrubRow): void {
    this.#database.transaction(() => {
      this.#database.run(
        SCRUB_UPSERT,
        row.id,
        row.arrayUuid,
        row.isEnded ? 1 : 0,
        row.isWholeSuccess ? 1 : 0,
        row.startedAt,
        row.endedAt,
        row.document,
      );
      if (row.isEnded) {
        const { arrayUuid } = row;
        this.#database.run(PRUNE, arrayUuid, arrayUuid, SCRUBS_KEPT, arrayUuid);
      }
    });
  }
}
