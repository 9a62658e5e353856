/** `satsuma events`: the history, and with --follow what happens from now on. */

import type { Command } from "commander";
import type { EventResource } from "../api/schemas/event.ts";
import { CodedError } from "../common/errors.ts";
import type { ApiClient } from "./api-client.ts";
import { readFrames } from "./event-stream-client.ts";
import { clientOf, type OnlineFlags, withAccess } from "./online-access.ts";
import { printText, printWarning } from "./output.ts";
import { parseCount } from "./size-syntax.ts";

const RECONNECT_MS = 1000;

interface EventsFlags extends OnlineFlags {
  readonly follow?: boolean;
  readonly types?: string;
  readonly limit?: string;
}

const eventLine = (event: EventResource): string =>
  `${event.time} ${event.severity.padEnd(8)} ${event.type.padEnd(22)} ${event.message}`;

const show = (event: EventResource, isJson: boolean): void => {
  printText(isJson ? `${JSON.stringify(event)}\n` : `${eventLine(event)}\n`);
};

/** Shows one connection's events; returns the id to go on from when it ends. */
const followOnce = async (
  client: ApiClient,
  query: string,
  from: number | null,
  flags: EventsFlags,
): Promise<number | null> => {
  let last = from;
  const response = await client.open("GET", `/api/v1/events?${query}`, {
    accept: "text/event-stream",
    ...(last === null ? {} : { lastEventId: last }),
  });
  if (response.body === null) {
    return last;
  }
  try {
    for await (const frame of readFrames(response.body)) {
      if (frame.event === "stream.reset") {
        printWarning("events were missed");
      } else if (frame.id !== null) {
        last = frame.id;
        show(JSON.parse(frame.text) as EventResource, flags.json ?? false);
      }
    }
  } catch (error) {
    // The connection broke: the caller takes it up again from `last`.
    if (error instanceof CodedError || error instanceof RangeError) {
      throw error;
    }
  }
  return last;
};

const follow = async (
  client: ApiClient,
  query: string,
  newest: number | null,
  flags: EventsFlags,
): Promise<void> => {
  let last = newest;
  for (;;) {
    last = await followOnce(client, query, last, flags);
    await new Promise((resolve) => setTimeout(resolve, RECONNECT_MS));
  }
};

/** Registers the verb. */
export function registerEventsCommand(program: Command): void {
  withAccess(program.command("events").description("what happened, oldest first"))
    .option("--follow", "go on with what happens from now on")
    .option("--types <types>", "only these, such as member.*,array.degraded")
    .option("--limit <count>", "newest events to show first", "20")
    .action(async (flags: EventsFlags) => {
      const client = clientOf(flags);
      const limit = parseCount(flags.limit ?? "20", "--limit", 1, 1000);
      const types = flags.types === undefined ? {} : { types: flags.types };
      const query = new URLSearchParams({ limit: String(limit), ...types });
      const page = await client.request<{ readonly items: EventResource[] }>(
        "GET",
        `/api/v1/events?${query}`,
      );
      const events = page.items.toReversed();
      for (const event of events) {
        show(event, flags.json ?? false);
      }
      if (flags.follow) {
        const newest = events.at(-1)?.id ?? null;
        await follow(client, new URLSearchParams(types).toString(), newest, flags);
      }
    });
}
