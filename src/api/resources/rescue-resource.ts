/** The rescue guide of an array as the API shows it. */

import { type RescueGuide, rescueText } from "../../control/rescue.ts";
import type { RescueResource } from "../schemas/rescue.ts";

/** The resource of a guide. */
export function rescueResource(guide: RescueGuide): RescueResource {
  const { facts, mdDevice, members, steps } = guide;
  return {
    array_id: facts.arrayId,
    name: facts.name,
    uuid: facts.uuid,
    md_device: mdDevice,
    members: members.map((member) => ({
      slot: member.raidSlot,
      device_id: member.deviceId,
      path: member.path,
      kind: member.kind,
      size: member.sizeBytes,
      device_uuid: member.deviceUuid,
      data_offset: member.dataOffset,
      states: [...member.states],
      variable: member.variable,
    })),
    steps: steps.map(({ id, title, note, commands }) => ({
      id,
      title,
      note,
      commands: [...commands],
    })),
    text: rescueText(guide),
  };
}
