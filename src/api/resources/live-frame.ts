/** State frames of the event stream: the whole resource whenever it looks different. */

import { CodedError } from "../../common/errors.ts";
import type { ControlPlane } from "../../control/control-plane.ts";
import type { ResourceChange } from "../../control/event-service.ts";
import { subjectOf } from "../../control/subject.ts";
import type { EventResource } from "../schemas/event.ts";
import { arrayResource } from "./array-resource.ts";
import { deviceResource } from "./device-resource.ts";
import { exportResource } from "./export-resource.ts";
import { jobResource } from "./job-resource.ts";
import { systemResource } from "./system-resource.ts";
import { timeText } from "./times.ts";

const resourceOf = (control: ControlPlane, change: ResourceChange): Record<string, unknown> => {
  switch (change.kind) {
    case "array":
      return arrayResource(control, control.arrays.find(change.id));
    case "export":
      return exportResource(control, control.exports.find(change.id));
    case "device":
      return deviceResource(control, control.devices.find(change.id));
    case "job":
      return jobResource(control, control.jobs.get(change.id));
    case "system":
      return systemResource(control);
  }
};

/** The frame of a change; null when the resource went away since. */
export function liveFrame(control: ControlPlane, change: ResourceChange): EventResource | null {
  let shown: Record<string, unknown>;
  try {
    shown = change.isDeleted ? { id: change.id, deleted: true } : resourceOf(control, change);
  } catch (error) {
    if (error instanceof CodedError) {
      return null;
    }
    throw error;
  }
  return {
    id: null,
    time: timeText(control.options.now()),
    type: `${change.kind}.status`,
    severity: "info",
    subject: subjectOf(change.kind, change.id),
    node: control.nodes.here,
    message: "",
    data: shown,
  };
}
