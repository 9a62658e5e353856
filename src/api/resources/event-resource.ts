/** Events as the API shows them. */

import type { ControlPlane } from "../../control/control-plane.ts";
import type { EventResource } from "../schemas/event.ts";
import { timeText } from "./times.ts";

/** A recorded event of the control plane. */
export type RecordedEvent = ReturnType<ControlPlane["events"]["record"]>;

/** The resource of a recorded event. */
export function eventResource(control: ControlPlane, event: RecordedEvent): EventResource {
  return {
    id: event.id,
    time: timeText(event.time),
    type: event.type,
    severity: event.severity,
    subject: event.subject,
    node: control.nodes.here,
    message: event.message,
    data: { ...event.details },
    ...(event.mdadmEvent === null ? {} : { mdadm_event: event.mdadmEvent }),
  };
}
