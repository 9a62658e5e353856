/** Bearer tokens as stored: the id in clear, the secret only as its SHA-256. */

import type { Database } from "./database.ts";

/** One token; `secretSha256` is 32 bytes, times are milliseconds since the epoch. */
export interface TokenRecord {
  readonly id: string;
  readonly name: string;
  readonly secretSha256: Uint8Array;
  readonly createdAt: number;
}

interface TokenRow {
  readonly id: string;
  readonly name: string;
  readonly secret_sha256: Uint8Array;
  readonly created_at: number;
}

/** The tokens of the board. */
export class TokenRecords {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  find(id: string): TokenRecord | null {
    const row = this.#database.first<TokenRow>("SELECT * FROM tokens WHERE id = ?", id);
    return row === undefined
      ? null
      : {
          id: row.id,
          name: row.name,
          secretSha256: row.secret_sha256,
          createdAt: row.created_at,
        };
  }

  count(): number {
    return this.#database.first<{ total: number }>("SELECT count(*) AS total FROM tokens")
      ?.total as number;
  }

  /** Adds a token, or replaces every token of the same name; durable when it returns. */
  replaceByName(token: TokenRecord): void {
    this.#database.durably(() => {
      this.#database.run("DELETE FROM tokens WHERE name = ?", token.name);
      this.#database.run(
        "INSERT INTO tokens (id, name, secret_sha256, created_at) VALUES (?, ?, ?, ?)",
        token.id,
        token.name,
        token.secretSha256,
        token.createdAt,
      );
    });
  }
}
