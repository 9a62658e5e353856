/** Replies to requests that carried an Idempotency-Key, kept so that a retry gets the same one. */

import type { Database } from "./database.ts";

/** A reply; `fingerprint` tells whether a retry is of the same request. */
export interface StoredReply {
  readonly key: string;
  readonly fingerprint: string;
  readonly status: number;
  readonly location: string | null;
  readonly body: string;
  readonly createdAt: number;
}

/** How long a reply is kept. */
export const STORED_REPLY_AGE_MAX_MS = 24 * 3600 * 1000;
/** Most replies kept; the oldest go first. */
export const STORED_REPLIES_MAX = 1000;

/** The reply table. */
export class StoredReplies {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  find(key: string, now: number): StoredReply | null {
    return (
      this.#database.first<StoredReply>(
        "SELECT key, fingerprint, status, location, body, created_at AS createdAt FROM stored_replies WHERE key = ? AND created_at > ?",
        key,
        now - STORED_REPLY_AGE_MAX_MS,
      ) ?? null
    );
  }

  put(reply: StoredReply): void {
    this.#database.transaction(() => {
      this.#database.run(
        "INSERT OR REPLACE INTO stored_replies (key, fingerprint, status, location, body, created_at) VALUES (?, ?, ?, ?, ?, ?)",
        reply.key,
        reply.fingerprint,
        reply.status,
        reply.location,
        reply.body,
        reply.createdAt,
      );
      this.#database.run(
        "DELETE FROM stored_replies WHERE created_at <= ? OR key NOT IN (SELECT key FROM stored_replies ORDER BY created_at DESC LIMIT ?)",
        reply.createdAt - STORED_REPLY_AGE_MAX_MS,
        STORED_REPLIES_MAX,
      );
    });
  }
}
