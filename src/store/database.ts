/**
 * The settings database of one board: one SQLite file in the data directory, held exclusively, so
 * that a second daemon on the same directory is refused. Opening checks and migrates it.
 *
 * Durability: every committed statement survives a kill of the process. `durably` also survives
 * loss of power (arrays, exports, tokens); the rest (events, jobs) may lose its newest rows then.
 *
 * Calls are synchronous and belong to the control thread; nothing on the I/O path waits for them.
 */

import Sqlite from "better-sqlite3";
import { CodedError } from "../common/errors.ts";
import { MIGRATIONS } from "./migrations.ts";
import { storeCorrupt, storeError } from "./store-errors.ts";

/** A value a column may hold. */
export type ColumnValue = string | number | null | Uint8Array;

/** How to open; `pagesMax` bounds the file (4 KiB pages), for a board's small state partition. */
export interface DatabaseOptions {
  readonly path: string;
  readonly pagesMax?: number;
}

const migrate = (handle: Sqlite.Database, path: string): void => {
  const version = Number(handle.pragma("user_version", { simple: true }));
  if (version > MIGRATIONS.length) {
    throw new CodedError(
      "STORE_VERSION_NEWER",
      `${path} was written by a newer version (schema ${version}, this one knows ${MIGRATIONS.length})`,
      {
        remedy: "install that version again, or start with another --data directory",
        details: { path, found: version, known: MIGRATIONS.length },
      },
    );
  }
  for (const [index, script] of MIGRATIONS.entries()) {
    if (index >= version) {
      handle.transaction(() => {
        handle.exec(script);
        handle.pragma(`user_version = ${index + 1}`);
      })();
    }
  }
};

const verify = (handle: Sqlite.Database, path: string): void => {
  const verdict = handle.pragma("quick_check(1)", { simple: true });
  if (verdict !== "ok") {
    throw storeCorrupt(path, new Error(String(verdict)));
  }
};

/** An open database. Every call throws a coded `STORE_…` error when SQLite fails. */
export class Database {
  readonly path: string;
  readonly #handle: Sqlite.Database;
  readonly #statements = new Map<string, Sqlite.Statement>();

  /**
   * Opens or creates the file, takes its lock, checks its pages and applies missing migrations.
   * Errors: STORE_IN_USE, STORE_CORRUPT, STORE_VERSION_NEWER, STORE_NOT_WRITABLE, STORE_FULL.
   */
  static open(options: DatabaseOptions): Database {
    let handle: Sqlite.Database | undefined;
    try {
      handle = new Sqlite(options.path, { timeout: 0 });
      handle.pragma("locking_mode = EXCLUSIVE");
      handle.pragma("journal_mode = WAL");
      handle.pragma("synchronous = NORMAL");
      handle.pragma("trusted_schema = OFF");
      handle.pragma("journal_size_limit = 4194304");
      if (options.pagesMax !== undefined) {
        handle.pragma(`max_page_count = ${options.pagesMax}`);
      }
      // An empty exclusive transaction takes the lock now instead of at the first write.
      handle.exec("BEGIN EXCLUSIVE; COMMIT");
      verify(handle, options.path);
      migrate(handle, options.path);
      return new Database(options.path, handle);
    } catch (error) {
      handle?.close();
      throw storeError(error, options.path);
    }
  }

  private constructor(path: string, handle: Sqlite.Database) {
    this.path = path;
    this.#handle = handle;
  }

  /** The first row, or undefined. */
  first<Row>(sql: string, ...values: readonly ColumnValue[]): Row | undefined {
    return this.#guard(() => this.#statement(sql).get(...values) as Row | undefined);
  }

  /** Every row: callers bound it with LIMIT or a table that is bounded itself. */
  all<Row>(sql: string, ...values: readonly ColumnValue[]): Row[] {
    return this.#guard(() => this.#statement(sql).all(...values) as Row[]);
  }

  /** Runs a writing statement; returns the number of rows changed. */
  run(sql: string, ...values: readonly ColumnValue[]): number {
    return this.#guard(() => this.#statement(sql).run(...values).changes);
  }

  /** Runs `work` as one transaction: all of it or, when it throws, nothing. */
  transaction<Result>(work: () => Result): Result {
    return this.#guard(() => this.#handle.transaction(work)());
  }

  /** Like `transaction`, and on stable storage BEFORE it returns. */
  durably<Result>(work: () => Result): Result {
    return this.#guard(() => {
      this.#handle.pragma("synchronous = FULL");
      try {
        return this.#handle.transaction(work)();
      } finally {
        this.#handle.pragma("synchronous = NORMAL");
      }
    });
  }

  /** Folds the write-ahead log back and gives the lock up. A second call does nothing. */
  close(): void {
    this.#statements.clear();
    this.#handle.close();
  }

  #statement(sql: string): Sqlite.Statement {
    let statement = this.#statements.get(sql);
    if (statement === undefined) {
      statement = this.#handle.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }

  #guard<Result>(work: () => Result): Result {
    try {
      return work();
    } catch (error) {
      throw storeError(error, this.path);
    }
  }
}
