/**
 * Events of the board: stamps them, in the order of time, keeps the history, tells subscribers at
 * once. Also carries change notices ("this resource looks different now"), which are not history.
 *
 * Listeners run synchronously and must not throw; they queue, bounded, what they cannot do at once.
 */

import type { Logger } from "../common/log.ts";
import type { EventLog, EventQuery, EventRecord, Severity } from "../store/event-log.ts";
import { mdadmEventName } from "./mdadm-event.ts";
import type { ResourceKind } from "./subject.ts";

/**
 * An event to be recorded; `subject` is a resource's path, `time` when it happened, if it was not
 * just now.
 */
export interface NewEvent {
  readonly type: string;
  readonly severity: Severity;
  readonly subject: string;
  readonly message: string;
  readonly details?: Readonly<Record<string, unknown>>;
  readonly time?: number;
  /** Percent reached, for `sync.progress`. */
  readonly percent?: number;
}

/** A resource that changed, or is gone. */
export interface ResourceChange {
  readonly kind: ResourceKind;
  readonly id: string;
  readonly isDeleted: boolean;
}

/** What the service needs. */
export interface EventServiceOptions {
  readonly log: EventLog;
  readonly now: () => number;
  readonly logger: Logger;
}

/** History and live notices. */
export class EventService {
  readonly #log: EventLog;
  readonly #now: () => number;
  readonly #logger: Logger;
  readonly #recordListeners = new Set<(event: EventRecord) => void>();
  readonly #changeListeners = new Set<(change: ResourceChange) => void>();
  #isWriting = true;
  /** Of the event recorded last. */
  #lastTime = 0;

  constructor(options: EventServiceOptions) {
    this.#log = options.log;
    this.#now = options.now;
    this.#logger = options.logger;
  }

  /** Id of the newest event, 0 when there was none. */
  get newestId(): number {
    return this.#log.newestId;
  }

  /** Id of the oldest event still kept, or null. */
  oldestId(): number | null {
    return this.#log.oldestId();
  }

  /** Stores the event and tells every subscriber. A database that refuses delays only the store. */
  record(event: NewEvent): EventRecord {
    const writesFailed = this.#log.failures.writes;
    const record = this.#log.append({
      time: this.#timeOf(event),
      type: event.type,
      severity: event.severity,
      subject: event.subject,
      message: event.message,
      mdadmEvent: mdadmEventName(event.type, event.percent ?? null),
      details: event.details ?? {},
    });
    this.#reportWriting(this.#log.failures.writes === writesFailed);
    for (const listener of this.#recordListeners) {
      listener(record);
    }
    return record;
  }

  /** Tells subscribers that a resource looks different now. */
  changed(kind: ResourceKind, id: string, isDeleted = false): void {
    for (const listener of this.#changeListeners) {
      listener({ kind, id, isDeleted });
    }
  }

  page(query: EventQuery): EventRecord[] {
    return this.#log.page(query);
  }

  /** Subscribes to recorded events; returns the call that ends it. */
  onRecord(listener: (event: EventRecord) => void): () => void {
    this.#recordListeners.add(listener);
    return () => this.#recordListeners.delete(listener);
  }

  /** Subscribes to change notices; returns the call that ends it. */
  onChange(listener: (change: ResourceChange) => void): () => void {
    this.#changeListeners.add(listener);
    return () => this.#changeListeners.delete(listener);
  }

  /**
   * The time to record. What another thread tells arrives a little after it happened, perhaps
   * behind an event of this thread: times go up as ids do, unless the clock has been set back.
   */
  #timeOf(event: NewEvent): number {
    const now = this.#now();
    const happened = Math.min(event.time ?? now, now);
    const isSetBack = this.#lastTime > now;
    this.#lastTime = isSetBack ? happened : Math.max(happened, this.#lastTime);
    return this.#lastTime;
  }

  /** Logs once when event writes begin to fail, and once when they work again. */
  #reportWriting(isWriting: boolean): void {
    if (isWriting === this.#isWriting) {
      return;
    }
    this.#isWriting = isWriting;
    if (isWriting) {
      this.#logger.info({ lost: this.#log.failures.lost }, "event-log-writes-again");
    } else {
      this.#logger.error({ failed: this.#log.failures.writes }, "event-log-write-failed");
    }
  }
}
