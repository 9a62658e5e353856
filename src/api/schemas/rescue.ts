/** How to read an array on any Linux PC with mdadm, without this software. */

import { type Static, Type } from "typebox";
import { ByteCount, Closed, Nullable } from "./common.ts";

export const RescueMember = Closed({
  slot: Nullable(Type.Integer()),
  device_id: Nullable(Type.String()),
  path: Type.String(),
  kind: Type.Enum(["file", "block"]),
  size: ByteCount,
  device_uuid: Nullable(Type.String({ description: "`Device UUID` of mdadm --examine" })),
  data_offset: Nullable(ByteCount),
  states: Type.Array(Type.String()),
  variable: Type.String({ description: "shell variable that names it in the commands" }),
});

export const RescueStep = Closed({
  id: Type.Enum([
    "stop",
    "devices",
    "examine",
    "assemble",
    "degraded",
    "mount",
    "single",
    "release",
    "write",
    "back",
  ]),
  title: Type.String(),
  note: Type.String(),
  commands: Type.Array(Type.String()),
});

export const Rescue = Closed(
  {
    array_id: Type.String(),
    name: Type.String(),
    uuid: Type.String({ description: "as mdadm prints it" }),
    md_device: Type.String(),
    members: Type.Array(RescueMember),
    steps: Type.Array(RescueStep),
    text: Type.String({ description: "all of it, as Accept: text/plain gives it" }),
  },
  { $id: "Rescue" },
);
export type RescueResource = Static<typeof Rescue>;
