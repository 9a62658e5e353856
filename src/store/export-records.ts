/** Exports as configured; they are opened again at every start. */

import type { Database } from "./database.ts";

/** One export; times are milliseconds since the epoch. */
export interface ExportRecord {
  readonly name: string;
  readonly arrayUuid: string;
  readonly description: string;
  readonly readOnly: boolean;
  readonly tlsRequired: boolean;
  readonly createdAt: number;
  readonly updatedAt: number;
}

interface ExportRow {
  readonly name: string;
  readonly array_uuid: string;
  readonly description: string;
  readonly read_only: number;
  readonly tls_required: number;
  readonly created_at: number;
  readonly updated_at: number;
}

const fromRow = (row: ExportRow): ExportRecord => ({
  name: row.name,
  arrayUuid: row.array_uuid,
  description: row.description,
  readOnly: row.read_only !== 0,
  tlsRequired: row.tls_required !== 0,
  createdAt: row.created_at,
  updatedAt: row.updated_at,
});

const UPSERT = `
INSERT INTO exports (name, array_uuid, description, read_only, tls_required, created_at, updated_at)
VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (name) DO UPDATE SET array_uuid = excluded.array_uuid,
  description = excluded.description, read_only = excluded.read_only,
  tls_required = excluded.tls_required, updated_at = excluded.updated_at`;

/** The export table. */
export class ExportRecords {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  list(): ExportRecord[] {
    return this.#database.all<ExportRow>("SELECT * FROM exports ORDER BY name").map(fromRow);
  }

  /** Adds or replaces the record of `name`; on stable storage when it returns. */
  put(record: ExportRecord): void {
    this.#database.durably(() => {
      this.#database.run(
        UPSERT,
        record.name,
        record.arrayUuid,
        record.description,
        record.readOnly ? 1 : 0,
        record.tlsRequired ? 1 : 0,
        record.createdAt,
        record.updatedAt,
      );
    });
  }

  remove(name: string): void {
    this.#database.durably(() => {
      this.#database.run("DELETE FROM exports WHERE name = ?", name);
    });
  }
}
