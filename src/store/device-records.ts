/** Devices the board has met, so that their ids stay the same over restarts and absences. */

import type { Database } from "./database.ts";

/** One device; `id` is stable and safe in URIs, times are milliseconds since the epoch. */
export interface DeviceRecord {
  readonly id: string;
  readonly path: string;
  readonly label: string | null;
  /**
   * Why what it holds is not what was written to it any more, or null. A bitmap tells what it
   * missed, not what it lost: it may only be rebuilt whole.
   */
  readonly lostContent: string | null;
  readonly createdAt: number;
  readonly updatedAt: number;
}

interface DeviceRow {
  readonly id: string;
  readonly path: string;
  readonly label: string | null;
  readonly lost_content: string | null;
  readonly created_at: number;
  readonly updated_at: number;
}

const fromRow = (row: DeviceRow): DeviceRecord => ({
  id: row.id,
  path: row.path,
  label: row.label,
  lostContent: row.lost_content,
  createdAt: row.created_at,
  updatedAt: row.updated_at,
});

/** The device table. */
export class DeviceRecords {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  list(): DeviceRecord[] {
    return this.#database.all<DeviceRow>("SELECT * FROM devices ORDER BY id").map(fromRow);
  }

  /** Adds a device; its id and path must be new. */
  add(device: DeviceRecord): void {
    this.#database.run(
      `INSERT INTO devices (id, path, label, lost_content, created_at, updated_at)
       VALUES (?, ?, ?, ?, ?, ?)`,
      device.id,
      device.path,
      device.label,
      device.lostContent,
      device.createdAt,
      device.updatedAt,
    );
  }

  setLabel(id: string, label: string | null, updatedAt: number): void {
    this.#database.run(
      "UPDATE devices SET label = ?, updated_at = ? WHERE id = ?",
      label,
      updatedAt,
      id,
    );
  }

  setLostContent(id: string, lostContent: string | null, updatedAt: number): void {
    this.#database.run(
      "UPDATE devices SET lost_content = ?, updated_at = ? WHERE id = ?",
      lostContent,
      updatedAt,
      id,
    );
  }

  /** Forgets a device that is gone and belongs to no array. */
  remove(id: string): void {
    this.#database.run("DELETE FROM devices WHERE id = ?", id);
  }
}
