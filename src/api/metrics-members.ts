/** Metrics of the members of running arrays: bad blocks and read errors. */

import type { ControlPlane } from "../control/control-plane.ts";
import type { MemberStatus } from "../raid/array-status.ts";
import type { Family, Sample } from "./metrics-family.ts";

const samples = (control: ControlPlane, value: (member: MemberStatus) => number): Sample[] =>
  control.arrays.list().flatMap(({ record, isRunning, status }) =>
    (isRunning ? (status?.members ?? []) : []).flatMap((member): Sample[] => {
      if (member.path === null) {
        return [];
      }
      const device = control.devices.idOf(member.path) ?? member.path;
      return [{ labels: { array: record.name, device }, value: value(member) }];
    }),
  );

/** The families. */
export function memberFamilies(control: ControlPlane): Family[] {
  return [
    {
      name: "satsuma_member_bad_blocks",
      help: "Entries of the member's bad-block list.",
      type: "gauge",
      values: () => samples(control, ({ badBlocks }) => badBlocks),
    },
    {
      name: "satsuma_member_read_errors",
      help: "Read errors that count against the member's budget; halved every hour.",
      type: "gauge",
      values: () => samples(control, ({ readErrors }) => readErrors),
    },
    {
      name: "satsuma_member_read_errors_corrected_total",
      help: "Read errors of the member that were repaired by writing the right content.",
      type: "counter",
      values: () => samples(control, ({ readErrorsCorrected }) => readErrorsCorrected),
    },
  ];
}
