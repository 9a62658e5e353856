/** Arrays found in superblocks on devices that do not run, and what starting them would come to. */

import { type Static, Type } from "typebox";
import { ByteCount, Closed, Nullable, RefTo, Time } from "./common.ts";

/** What assembly would make of one device, in a word and a sentence. */
export const CandidateMember = Closed({
  device_id: Type.String(),
  path: Type.String(),
  device_uuid: Type.String(),
  role: Type.String({ description: "by its own superblock" }),
  events: Type.Integer(),
  updated_at: Nullable(Time),
  placement: Type.Enum(["in-sync", "rebuilding", "spare", "faulty", "kicked", "unusable"]),
  slot: Nullable(Type.Integer()),
  reason: Type.String({ description: "such as in-sync, non-fresh, split-brain, too-small" }),
  message: Type.String(),
});

export const ArrayCandidate = Closed(
  {
    id: Type.String(),
    name: Type.String({ description: "without the host's part" }),
    homehost: Nullable(Type.String({ description: "host that made it" })),
    level: Type.String(),
    layout: Nullable(Type.String()),
    metadata: Type.String(),
    raid_devices: Type.Integer(),
    size: Nullable(ByteCount),
    bitmap: Type.Enum(["internal", "clustered", "none"]),
    home_cluster: Nullable(Type.String()),
    registered: Type.Boolean({ description: "this board has run it before" }),
    startable: Type.Boolean(),
    complete: Type.Boolean({
      description: "false: a member that the others believe working is not here",
    }),
    degraded: Type.Integer(),
    needs_resync: Type.Boolean(),
    refusal: Nullable(
      Closed({ code: Type.String(), message: Type.String(), correction: Type.String() }),
    ),
    members: Type.Array(CandidateMember),
  },
  { $id: "ArrayCandidate" },
);
export type ArrayCandidateResource = Static<typeof ArrayCandidate>;

export const ArrayCandidateList = Closed(
  { items: Type.Array(RefTo(ArrayCandidate)), next_cursor: Type.Null() },
  { $id: "ArrayCandidateList" },
);
