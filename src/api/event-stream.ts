/**
 * The live event stream: history events, and state frames with the whole resource whenever one
 * looks different. State frames of one resource are joined: at most one per `JOIN_MS`.
 *
 * A client that reads too slowly to keep its queue short is cut off; it comes back with
 * Last-Event-ID and misses nothing of the history. Source: HTML Standard, "Server-sent events".
 */

import type { ServerResponse } from "node:http";
import { BoundedQueue } from "../common/bounded-queue.ts";
import { CodedError } from "../common/errors.ts";
import type { ControlPlane } from "../control/control-plane.ts";
import type { ResourceChange } from "../control/event-service.ts";
import { eventResource, type RecordedEvent } from "./resources/event-resource.ts";
import { liveFrame } from "./resources/live-frame.ts";
import type { EventResource } from "./schemas/event.ts";

/** Frames waiting for one slow client. */
export const FRAMES_WAITING_MAX = 512;
/** Clients at once; more are refused. */
export const STREAM_CLIENTS_MAX = 64;
/** Time between comments that keep the connection alive. */
export const HEARTBEAT_MS = 15_000;
const JOIN_MS = 250;
const REPLAY_BATCH = 500;
const RETRY_MS = 2000;

/** What a client wants to see. `matches` is given type and subject. */
export type StreamFilter = (type: string, subject: string) => boolean;

/** An event as one frame; only history frames carry an id. */
export function frameText(event: EventResource): string {
  const id = event.id === null ? "" : `id: ${event.id}\n`;
  return `${id}event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`;
}

/** One connected client. */
class StreamClient {
  readonly filter: StreamFilter;
  readonly #response: ServerResponse;
  readonly #waiting = new BoundedQueue<string>(FRAMES_WAITING_MAX);
  #isBlocked = false;

  constructor(response: ServerResponse, filter: StreamFilter) {
    this.#response = response;
    this.filter = filter;
    response.on("drain", () => this.#flush());
  }

  get isGone(): boolean {
    return this.#response.destroyed || this.#response.writableEnded;
  }

  /** Sends now or queues; a full queue cuts the client off. */
  send(frame: string): void {
    if (this.isGone) {
      return;
    }
    if (!this.#isBlocked) {
      this.#isBlocked = !this.#response.write(frame);
    } else if (!this.#waiting.push(frame)) {
      this.#response.destroy();
    }
  }

  /** Resolves when everything sent so far has left, or the client is gone. */
  async drained(): Promise<void> {
    if (this.#isBlocked && !this.isGone) {
      await new Promise<void>((resolve) => {
        this.#response.once("drain", resolve);
        this.#response.once("close", resolve);
      });
    }
  }

  end(): void {
    this.#response.end();
  }

  #flush(): void {
    this.#isBlocked = false;
    while (!this.#isBlocked && !this.#waiting.isEmpty) {
      this.#isBlocked = !this.#response.write(this.#waiting.shift() ?? "");
    }
  }
}

/** Every client of the stream. */
export class EventStream {
  readonly #control: ControlPlane;
  readonly #clients = new Set<StreamClient>();
  readonly #changed = new Map<string, ResourceChange>();
  readonly #unsubscribe: readonly (() => void)[];
  readonly #heartbeat: NodeJS.Timeout;
  #joining: NodeJS.Timeout | null = null;

  constructor(control: ControlPlane) {
    this.#control = control;
    this.#unsubscribe = [
      control.events.onRecord((event) => this.#onRecord(event)),
      control.events.onChange((change) => this.#onChange(change)),
    ];
    this.#heartbeat = setInterval(() => this.#broadcast(": heartbeat\n\n", null), HEARTBEAT_MS);
    this.#heartbeat.unref();
  }

  get clientCount(): number {
    return this.#clients.size;
  }

  /** Refuses before anything is sent. Errors: API_STREAMS_FULL. */
  admit(): void {
    if (this.#clients.size >= STREAM_CLIENTS_MAX) {
      throw new CodedError("API_STREAMS_FULL", `${STREAM_CLIENTS_MAX} event streams are open`, {
        remedy: "close one, then try again",
      });
    }
  }

  /** Serves a client from `lastEventId` (null: from now) until it leaves. Headers are sent. */
  async serve(
    response: ServerResponse,
    filter: StreamFilter,
    lastEventId: number | null,
  ): Promise<void> {
    const client = new StreamClient(response, filter);
    client.send(`retry: ${RETRY_MS}\n\n`);
    let from = lastEventId;
    if (from !== null && !this.#isKept(from)) {
      client.send(frameText(this.#reset(from)));
      from = null;
    }
    // The last batch and the subscription happen in one turn: nothing falls between them.
    while (from !== null && !client.isGone) {
      const batch = this.#control.events.page({
        order: "asc",
        from,
        limit: REPLAY_BATCH,
        types: [],
        subject: null,
      });
      for (const event of batch) {
        if (filter(event.type, event.subject)) {
          client.send(frameText(eventResource(this.#control, event)));
        }
        from = event.id;
      }
      if (batch.length < REPLAY_BATCH) {
        break;
      }
      await client.drained();
    }
    if (!client.isGone) {
      this.#clients.add(client);
      response.on("close", () => this.#clients.delete(client));
    }
  }

  /** Ends every stream and the subscriptions. */
  close(): void {
    clearInterval(this.#heartbeat);
    if (this.#joining !== null) {
      clearTimeout(this.#joining);
    }
    for (const end of this.#unsubscribe) {
      end();
    }
    for (const client of this.#clients) {
      client.end();
    }
    this.#clients.clear();
  }

  #isKept(id: number): boolean {
    const { events } = this.#control;
    const oldest = events.oldestId();
    return id <= events.newestId && (oldest === null ? id === events.newestId : id >= oldest - 1);
  }

  /** First frame for a client whose Last-Event-ID is not in the history: read everything anew. */
  #reset(lastEventId: number): EventResource {
    return {
      id: null,
      time: new Date(this.#control.options.now()).toISOString(),
      type: "stream.reset",
      severity: "info",
      subject: "/api/v1/events",
      node: this.#control.nodes.here,
      message: "events were missed: read the resources anew",
      data: { last_event_id: lastEventId, newest_id: this.#control.events.newestId },
    };
  }

  #onRecord(event: RecordedEvent): void {
    if (this.#clients.size > 0) {
      this.#broadcast(frameText(eventResource(this.#control, event)), event);
    }
  }

  #onChange(change: ResourceChange): void {
    if (this.#clients.size === 0) {
      return;
    }
    this.#changed.set(`${change.kind} ${change.id}`, change);
    this.#joining ??= setTimeout(() => this.#sendChanges(), JOIN_MS);
  }

  #sendChanges(): void {
    this.#joining = null;
    const changes = [...this.#changed.values()];
    this.#changed.clear();
    for (const change of changes) {
      const frame = liveFrame(this.#control, change);
      if (frame !== null) {
        this.#broadcast(frameText(frame), frame);
      }
    }
  }

  /** Sends to every client whose filter takes `about`; null goes to all. */
  #broadcast(frame: string, about: { readonly type: string; readonly subject: string } | null) {
    for (const client of this.#clients) {
      if (about === null || client.filter(about.type, about.subject)) {
        client.send(frame);
      }
    }
  }
}
