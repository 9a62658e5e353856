/**
 * The arrays this board runs or has run: their members' paths, whether they are to be running, and
 * the last status seen, so that an array that cannot start is still listed with what is known.
 */

import type { Database } from "./database.ts";

/** Whether the user wants the array running. */
export type DesiredState = "started" | "stopped";

/** One array. `lastStatus` is a JSON document of the writer's choice; speeds are bytes/s. */
export interface ArrayRecord {
  readonly uuid: string;
  readonly name: string;
  readonly desiredState: DesiredState;
  readonly readOnly: boolean;
  readonly memberPaths: readonly string[];
  readonly lastStatus: string | null;
  readonly syncSpeedMin: number | null;
  readonly syncSpeedMax: number | null;
  readonly createdAt: number;
  readonly updatedAt: number;
}

interface ArrayRow {
  readonly uuid: string;
  readonly name: string;
  readonly desired_state: DesiredState;
  readonly read_only: number;
  readonly member_paths: string;
  readonly last_status: string | null;
  readonly sync_speed_min: number | null;
  readonly sync_speed_max: number | null;
  readonly created_at: number;
  readonly updated_at: number;
}

const fromRow = (row: ArrayRow): ArrayRecord => ({
  uuid: row.uuid,
  name: row.name,
  desiredState: row.desired_state,
  readOnly: row.read_only !== 0,
  memberPaths: JSON.parse(row.member_paths) as string[],
  lastStatus: row.last_status,
  syncSpeedMin: row.sync_speed_min,
  syncSpeedMax: row.sync_speed_max,
  createdAt: row.created_at,
  updatedAt: row.updated_at,
});

const UPSERT = `
INSERT INTO arrays (uuid, name, desired_state, read_only, member_paths, last_status,
  sync_speed_min, sync_speed_max, created_at, updated_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (uuid) DO UPDATE SET name = excluded.name, desired_state = excluded.desired_state,
  read_only = excluded.read_only, member_paths = excluded.member_paths,
  last_status = excluded.last_status, sync_speed_min = excluded.sync_speed_min,
  sync_speed_max = excluded.sync_speed_max, updated_at = excluded.updated_at`;

/** The array table. */
export class ArrayRegistry {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  list(): ArrayRecord[] {
    return this.#database
      .all<ArrayRow>("SELECT * FROM arrays ORDER BY created_at, uuid")
      .map(fromRow);
  }

  /** Adds or replaces the record of `uuid`; on stable storage when it returns. */
  put(record: ArrayRecord): void {
    this.#database.durably(() => {
      this.#database.run(
        UPSERT,
        record.uuid,
        record.name,
        record.desiredState,
        record.readOnly ? 1 : 0,
        JSON.stringify(record.memberPaths),
        record.lastStatus,
        record.syncSpeedMin,
        record.syncSpeedMax,
        record.createdAt,
        record.updatedAt,
      );
    });
  }

  /** Forgets the array and all that belongs to it; its superblocks stay as they are. */
  remove(uuid: string): void {
    this.#database.durably(() => {
      for (const table of ["exports", "scrub_schedules", "scrubs", "array_spares"]) {
        this.#database.run(`DELETE FROM ${table} WHERE array_uuid = ?`, uuid);
      }
      this.#database.run("DELETE FROM arrays WHERE uuid = ?", uuid);
    });
  }
}
