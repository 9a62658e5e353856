/** Events: the history as JSON, or the live stream when the client accepts text/event-stream. */

import type { FastifyReply, FastifyRequest } from "fastify";
import { CodedError } from "../../common/errors.ts";
import type { EventStream } from "../event-stream.ts";
import { eventResource } from "../resources/event-resource.ts";
import { replies } from "../responses.ts";
import type { ApiServer, RouteContext } from "../route-context.ts";
import { RefTo } from "../schemas/common.ts";
import { EventList, EventQuery, type EventQueryValues } from "../schemas/event.ts";

const TYPE_SHAPE = /^[a-z][a-z-]*(\.[a-z*][a-z-]*)?$/;
const TYPES_MAX = 20;

/** The wanted types. Errors: API_VALIDATION_FAILED. */
const typesOf = (list: string | undefined): string[] => {
  const types = (list ?? "").split(",").filter((type) => type !== "");
  const wrong = types.find((type) => !TYPE_SHAPE.test(type));
  if (wrong !== undefined || types.length > TYPES_MAX) {
    const what = wrong === undefined ? `more than ${TYPES_MAX} types` : `no type "${wrong}"`;
    throw new CodedError("API_VALIDATION_FAILED", `there are ${what}`, {
      remedy: "give types such as member.failed or member.*, separated by commas",
      details: { errors: [{ pointer: "/types", code: "pattern", detail: what }] },
    });
  }
  return types;
};

const isWanted = (type: string, types: readonly string[]): boolean =>
  types.length === 0 ||
  types.some((wanted) =>
    wanted.endsWith(".*") ? type.startsWith(wanted.slice(0, -1)) : type === wanted,
  );

const lastEventId = (request: FastifyRequest): number | null => {
  const text = String(request.headers["last-event-id"] ?? "");
  return /^[0-9]{1,15}$/.test(text) ? Number(text) : null;
};

/** Takes the socket over and serves the stream on it. */
const openStream = (
  stream: EventStream,
  request: FastifyRequest,
  reply: FastifyReply,
  query: EventQueryValues,
): FastifyReply => {
  const types = typesOf(query.types);
  stream.admit();
  reply.hijack();
  const headers = reply.getHeaders() as Record<string, string>;
  reply.raw.writeHead(200, {
    ...headers,
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-store",
    "x-accel-buffering": "no",
  });
  const filter = (type: string, subject: string): boolean =>
    isWanted(type, types) && (query.subject === undefined || subject.startsWith(query.subject));
  stream.serve(reply.raw, filter, lastEventId(request)).catch(() => reply.raw.destroy());
  return reply;
};

/** Registers the route. */
export function registerEventRoutes(
  app: ApiServer,
  { control }: RouteContext,
  stream: EventStream,
): void {
  app.get(
    "/api/v1/events",
    {
      schema: {
        operationId: "listEvents",
        summary: "Events, newest first; or live as server-sent events",
        description:
          "With Accept: text/event-stream the reply is a stream of history events (with id) and state frames (array.status, export.status, device.status, job.status, system.status, without id, data is the resource). Last-Event-ID replays; stream.reset says that events were missed.",
        tags: ["events"],
        querystring: EventQuery,
        response: replies({ 200: RefTo(EventList) }),
      },
    },
    async (request, reply) => {
      const { query } = request;
      const wantsStream = request.method === "GET";
      if (wantsStream && /\btext\/event-stream\b/.test(request.headers.accept ?? "")) {
        return openStream(stream, request, reply, query);
      }
      const order = query.order ?? "desc";
      const limit = query.limit ?? 50;
      const from = query.cursor === undefined ? null : Number(query.cursor);
      const oldest = control.events.oldestId();
      if (order === "asc" && from !== null && oldest !== null && from < oldest - 1) {
        throw new CodedError("API_CURSOR_EXPIRED", `events up to ${oldest - 1} are not kept`, {
          remedy: "start again without cursor",
          details: { oldest },
        });
      }
      const found = control.events.page({
        order,
        from,
        limit: limit + 1,
        types: typesOf(query.types),
        subject: query.subject ?? null,
      });
      const page = found.slice(0, limit);
      const last = page.at(-1);
      return {
        items: page.map((event) => eventResource(control, event)),
        next_cursor: last !== undefined && found.length > limit ? String(last.id) : null,
      };
    },
  );
}
