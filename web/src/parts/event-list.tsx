/** Events as a list of lines, newest first. */

import type { EventResource, EventSeverityWord } from "../../../src/api/schemas/event.ts";
import { t } from "../messages/translate.ts";
import { BoardText } from "./board-text.tsx";
import { TimeAgo } from "./quantities.tsx";

const SEVERITY_PATHS: Readonly<Record<EventSeverityWord, string>> = {
  info: "M8 7v4M8 5v.1",
  warning: "M8 4.5v4M8 11v.1",
  critical: "M5.5 5.5l5 5M10.5 5.5l-5 5",
};
const SEVERITY_OUTLINES: Readonly<Record<EventSeverityWord, string>> = {
  info: "M8 1.5a6.5 6.5 0 1 1 0 13a6.5 6.5 0 0 1 0-13z",
  warning: "M8 1.5l7 12.5h-14z",
  critical: "M5.3 1.5h5.4l3.8 3.8v5.4l-3.8 3.8h-5.4l-3.8-3.8v-5.4z",
};

/** The icon of a severity, with its word for those who do not see it. */
export function SeverityIcon({ severity }: { severity: EventSeverityWord }) {
  return (
    <span class={`severity severity-${severity}`}>
      <svg viewBox="0 0 16 16" width="16" height="16" aria-hidden="true">
        <path class="stroke" d={SEVERITY_OUTLINES[severity]} />
        <path class="stroke" d={SEVERITY_PATHS[severity]} />
      </svg>
      <span class="visually-hidden">{t(`severity.${severity}`)}</span>
    </span>
  );
}

/** The lines. */
export function EventList({ events }: { events: readonly EventResource[] }) {
  if (events.length === 0) {
    return <p class="faint">{t("activity.no-events")}</p>;
  }
  return (
    <ol class="event-list">
      {events.map((event) => (
        <li key={event.id} data-type={event.type}>
          <SeverityIcon severity={event.severity} />
          <BoardText text={event.message || event.type} />
          <span class="event-time">
            <TimeAgo time={event.time} />
          </span>
        </li>
      ))}
    </ol>
  );
}
