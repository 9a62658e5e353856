/**
 * The event history: a ring of the newest events with ids that only grow, over restarts too.
 *
 * An append never fails: while the database refuses writes (full filesystem), events wait in
 * memory, bounded, and are written with the next append that succeeds. Their ids are given at
 * append, so live subscribers and the history agree.
 */

import type { Database } from "./database.ts";

/** How much a person should care. */
export type Severity = "info" | "warning" | "critical";

/** One event; `time` is milliseconds since the epoch, `subject` the path of a resource. */
export interface EventRecord {
  readonly id: number;
  readonly time: number;
  readonly type: string;
  readonly severity: Severity;
  readonly subject: string;
  readonly message: string;
  readonly mdadmEvent: string | null;
  readonly details: Readonly<Record<string, unknown>>;
}

/**
 * Which events to read. `types` are exact, or end in `.*` for a whole kind; `subject` matches its
 * beginning. `from` is exclusive: ids above it (`asc`) or below it (`desc`).
 */
export interface EventQuery {
  readonly order: "asc" | "desc";
  readonly from: number | null;
  readonly limit: number;
  readonly types: readonly string[];
  readonly subject: string | null;
}

/** Events kept in the ring. */
export const EVENTS_KEPT = 10_000;
/** Events waiting in memory while the database refuses writes. */
export const EVENTS_UNWRITTEN_MAX = 1000;
const PRUNE_EVERY = 100;

interface EventRow {
  readonly id: number;
  readonly time: number;
  readonly type: string;
  readonly severity: Severity;
  readonly subject: string;
  readonly message: string;
  readonly mdadm_event: string | null;
  readonly details: string;
}

const fromRow = (row: EventRow): EventRecord => ({
  id: row.id,
  time: row.time,
  type: row.type,
  severity: row.severity,
  subject: row.subject,
  message: row.message,
  mdadmEvent: row.mdadm_event,
  details: JSON.parse(row.details) as Record<string, unknown>,
});

/** True when `type` is asked for by `types`; an empty list asks for all. */
export const matchesTypes = (type: string, types: readonly string[]): boolean =>
  types.length === 0 ||
  types.some((wanted) =>
    wanted.endsWith(".*") ? type.startsWith(wanted.slice(0, -1)) : type === wanted,
  );

/** The ring of events. */
export class EventLog {
  readonly #database: Database;
  readonly #kept: number;
  #newestId: number;
  #unwritten: EventRecord[] = [];
  #failedWrites = 0;
  #lostEvents = 0;

  constructor(database: Database, options: { readonly kept?: number } = {}) {
    this.#database = database;
    this.#kept = options.kept ?? EVENTS_KEPT;
    this.#newestId =
      database.first<{ id: number | null }>("SELECT max(id) AS id FROM events")?.id ?? 0;
  }

  /** Id of the newest event, 0 when there was none. */
  get newestId(): number {
    return this.#newestId;
  }

  /** Appends refused by the database, and events dropped from memory because of it. */
  get failures(): { readonly writes: number; readonly lost: number } {
    return { writes: this.#failedWrites, lost: this.#lostEvents };
  }

  /** Id of the oldest event kept, or null. */
  oldestId(): number | null {
    return (
      this.#database.first<{ id: number | null }>("SELECT min(id) AS id FROM events")?.id ?? null
    );
  }

  /** Stamps the event with the next id and stores it; never throws for the database's sake. */
  append(event: Omit<EventRecord, "id">): EventRecord {
    this.#newestId += 1;
    const record: EventRecord = { id: this.#newestId, ...event };
    this.#unwritten.push(record);
    try {
      this.#writeOut();
    } catch {
      // The event waits in memory; the count tells metrics and the log that writes fail.
      this.#failedWrites += 1;
      if (this.#unwritten.length > EVENTS_UNWRITTEN_MAX) {
        this.#unwritten.shift();
        this.#lostEvents += 1;
      }
    }
    return record;
  }

  /** The events asked for, in the order asked for. */
  page(query: EventQuery): EventRecord[] {
    const clauses: string[] = [];
    const values: (string | number)[] = [];
    if (query.from !== null) {
      clauses.push(query.order === "asc" ? "id > ?" : "id < ?");
      values.push(query.from);
    }
    if (query.types.length > 0) {
      clauses.push(`(${query.types.map(() => "substr(type, 1, ?) = ?").join(" OR ")})`);
      for (const wanted of query.types) {
        const prefix = wanted.endsWith(".*") ? wanted.slice(0, -1) : wanted;
        // An exact type compares one character more than it has: a longer type differs there.
        values.push(prefix === wanted ? wanted.length + 1 : prefix.length, prefix);
      }
    }
    if (query.subject !== null) {
      clauses.push("substr(subject, 1, ?) = ?");
      values.push(query.subject.length, query.subject);
    }
    const where = clauses.length === 0 ? "" : `WHERE ${clauses.join(" AND ")}`;
    const direction = query.order === "asc" ? "ASC" : "DESC";
    return this.#database
      .all<EventRow>(
        `SELECT * FROM events ${where} ORDER BY id ${direction} LIMIT ?`,
        ...values,
        query.limit,
      )
      .map(fromRow);
  }

  #writeOut(): void {
    this.#database.transaction(() => {
      for (const event of this.#unwritten) {
        this.#database.run(
          "INSERT INTO events (id, time, type, severity, subject, message, mdadm_event, details) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
          event.id,
          event.time,
          event.type,
          event.severity,
          event.subject,
          event.message,
          event.mdadmEvent,
          JSON.stringify(event.details),
        );
      }
      if (this.#newestId % PRUNE_EVERY === 0) {
        this.#database.run("DELETE FROM events WHERE id <= ?", this.#newestId - this.#kept);
      }
    });
    this.#unwritten = [];
  }
}
