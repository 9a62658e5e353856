/**
 * What the board remembers of spares: the spare group of each array, how many spares it had when it
 * was last whole, and moves of spares that have begun.
 */

import type { Database } from "./database.ts";

/** One array; `sparesWhenWhole` null: it was not seen whole yet. */
export interface SpareRecord {
  readonly arrayUuid: string;
  readonly spareGroup: string | null;
  readonly sparesWhenWhole: number | null;
}

/** A spare on its way from one array to another. */
export interface SpareMoveRecord {
  readonly path: string;
  readonly fromUuid: string;
  readonly toUuid: string;
}

/** The tables of spares. */
export class SpareRecords {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  list(): SpareRecord[] {
    return this.#database.all<SpareRecord>(
      `SELECT array_uuid AS arrayUuid, spare_group AS spareGroup,
         spares_when_whole AS sparesWhenWhole FROM array_spares ORDER BY array_uuid`,
    );
  }

  /** Adds or replaces the record of an array; on stable storage when it returns. */
  put(record: SpareRecord): void {
    this.#database.durably(() => {
      this.#database.run(
        `INSERT INTO array_spares (array_uuid, spare_group, spares_when_whole) VALUES (?, ?, ?)
         ON CONFLICT (array_uuid) DO UPDATE SET spare_group = excluded.spare_group,
           spares_when_whole = excluded.spares_when_whole`,
        record.arrayUuid,
        record.spareGroup,
        record.sparesWhenWhole,
      );
    });
  }

  moves(): SpareMoveRecord[] {
    return this.#database.all<SpareMoveRecord>(
      "SELECT path, from_uuid AS fromUuid, to_uuid AS toUuid FROM spare_moves ORDER BY path",
    );
  }

  /** Notes a move BEFORE the spare leaves its array; on stable storage when it returns. */
  beginMove(move: SpareMoveRecord): void {
    this.#database.durably(() => {
      this.#database.run(
        "INSERT OR REPLACE INTO spare_moves (path, from_uuid, to_uuid) VALUES (?, ?, ?)",
        move.path,
        move.fromUuid,
        move.toUuid,
      );
    });
  }

  /** Forgets a move AFTER the spare is in an array again. */
  endMove(path: string): void {
    this.#database.durably(() => {
      this.#database.run("DELETE FROM spare_moves WHERE path = ?", path);
    });
  }
}
