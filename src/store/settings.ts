/** Named settings of the board that are no resource of their own, such as its node name. */

import type { Database } from "./database.ts";

/** String values by key. */
export class Settings {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** The value of `key`, or null. */
  get(key: string): string | null {
    const row = this.#database.first<{ value: string }>(
      "SELECT value FROM settings WHERE key = ?",
      key,
    );
    return row === undefined ? null : row.value;
  }

  /** Sets `key`; on stable storage when it returns. */
  set(key: string, value: string): void {
    this.#database.durably(() => {
      this.#database.run(
        "INSERT INTO settings (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        key,
        value,
      );
    });
  }
}
