/**
 * Events: the history (JSON, and SSE frames with an id) and the live state frames of the event
 * stream (SSE frames without an id: `array.status`, `export.status`, `device.status`,
 * `job.status`, `system.status`; their `data` is the whole resource as its GET returns it, or
 * `{"deleted": true, "id"}`). Lost state frames are harmless: the next one is whole again.
 */

import { type Static, Type } from "typebox";
import { Closed, Nullable, PageOf, RefTo, Time } from "./common.ts";

export const EventSeverity = Type.Enum(["info", "warning", "critical"]);
export type EventSeverityWord = Static<typeof EventSeverity>;

export const EventObject = Closed(
  {
    id: Nullable(Type.Integer({ description: "monotonic; null on live state frames" })),
    time: Time,
    type: Type.String({ description: "such as member.failed" }),
    severity: EventSeverity,
    subject: Type.String({ description: "path of the resource it is about" }),
    node: Type.String(),
    message: Type.String(),
    data: Type.Record(Type.String(), Type.Unknown()),
    mdadm_event: Type.Optional(Type.String({ description: "mdadm --monitor's name for it" })),
  },
  { $id: "Event" },
);
export type EventResource = Static<typeof EventObject>;

export const EventList = PageOf(RefTo(EventObject), "EventList");

export const EventQuery = Closed({
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 1000, default: 50 })),
  cursor: Type.Optional(Type.String({ pattern: "^[0-9]{1,16}$" })),
  order: Type.Optional(Type.Enum(["asc", "desc"], { default: "desc" })),
  types: Type.Optional(
    Type.String({ maxLength: 500, description: "comma-separated; `member.*` takes all of a kind" }),
  ),
  subject: Type.Optional(Type.String({ maxLength: 200, description: "path, or its beginning" })),
});
export type EventQueryValues = Static<typeof EventQuery>;

/** Types of the live state frames. */
export const LIVE_FRAME_TYPES = [
  "array.status",
  "export.status",
  "device.status",
  "job.status",
  "system.status",
] as const;
