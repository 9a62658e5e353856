/** Devices the board has met, so that their ids stay the same over restarts and absences. */

import type { Database } from "./database.ts";

/** What a board knows of what a disk holds. */
export interface DeviceContent {
  /**
   * Why what it holds is not what was written to it any more, or null. A bitmap tells what it
   * missed, not what it lost: it may only be rebuilt whole.
   */
  readonly lostContent: string | null;
  /** Device UUID of the member that it was then, as hex digits; null: not known. */
  readonly lostMember: string | null;
  /** The file seen last, null for none or a block device: one that got shorter has lost content. */
  readonly file: SeenFile | null;
}

/** One device; `id` is stable and safe in URIs, times are milliseconds since the epoch. */
export interface DeviceRecord extends DeviceContent {
  readonly id: string;
  readonly path: string;
  readonly label: string | null;
  readonly createdAt: number;
  readonly updatedAt: number;
}

/** Which file, by device and inode numbers, and its length in bytes. */
export interface SeenFile {
  readonly identity: string;
  readonly sizeBytes: number;
}

interface DeviceRow {
  readonly id: string;
  readonly path: string;
  readonly label: string | null;
  readonly lost_content: string | null;
  readonly lost_member: string | null;
  readonly file_identity: string | null;
  readonly file_bytes: number | null;
  readonly created_at: number;
  readonly updated_at: number;
}

const fromRow = (row: DeviceRow): DeviceRecord => ({
  id: row.id,
  path: row.path,
  label: row.label,
  lostContent: row.lost_content,
  lostMember: row.lost_member,
  file:
    row.file_identity === null || row.file_bytes === null
      ? null
      : { identity: row.file_identity, sizeBytes: row.file_bytes },
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
      `INSERT INTO devices
         (id, path, label, lost_content, lost_member, file_identity, file_bytes, created_at,
          updated_at)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      device.id,
      device.path,
      device.label,
      device.lostContent,
      device.lostMember,
      device.file?.identity ?? null,
      device.file?.sizeBytes ?? null,
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

  /** All at once: a file that got shorter is noted with its loss. */
  setContent(id: string, { file, lostContent, lostMember }: DeviceContent): void {
    this.#database.run(
      `UPDATE devices SET file_identity = ?, file_bytes = ?, lost_content = ?, lost_member = ?
       WHERE id = ?`,
      file?.identity ?? null,
      file?.sizeBytes ?? null,
      lostContent,
      lostMember,
      id,
    );
  }

  /** Forgets a device that is gone and belongs to no array. */
  remove(id: string): void {
    this.#database.run("DELETE FROM devices WHERE id = ?", id);
  }
}
