/** Members of an array: what holds a raid slot, waits as a spare, or is missing from its slot. */

import { type Static, Type } from "typebox";
import { ByteCount, Closed, Links, Nullable, Time } from "./common.ts";

/** Flags of a member, several at once. Source: Documentation/admin-guide/md.rst, dev-XXX/state. */
export const MemberState = Type.Enum([
  "in_sync",
  "faulty",
  "spare",
  "blocked",
  "write_error",
  "want_replacement",
  "replacement",
  "writemostly",
  "failfast",
  "rebuilding",
  "missing",
  "removed",
]);

export const Member = Closed(
  {
    slot: Nullable(Type.Integer({ description: "raid slot; null for a spare" })),
    device_id: Nullable(Type.String({ description: "null: nothing is in this raid slot" })),
    path: Nullable(Type.String()),
    device_uuid: Nullable(Type.String()),
    device_number: Nullable(Type.Integer()),
    node: Type.String(),
    states: Type.Array(MemberState),
    recovery_offset: Nullable(ByteCount),
    errors_corrected: Type.Integer({ description: "sectors read wrong and written anew" }),
    read_errors: Type.Integer({ description: "that count against the budget" }),
    bad_blocks: Type.Integer({ description: "entries of its bad-block list" }),
    stalled_since: Nullable(Time),
    fault_reason: Nullable(Type.String()),
    links: Links,
  },
  { $id: "Member" },
);
export type MemberResource = Static<typeof Member>;

export const MemberList = Closed(
  { items: Type.Array(Type.Unsafe<MemberResource>({ $ref: "Member#" })), next_cursor: Type.Null() },
  { $id: "MemberList" },
);

const WriteMostly = Type.Boolean({ description: "read only as a last resort; raid1" });
const Failfast = Type.Boolean({ description: "failed at the first error" });

/** mdadm --add. With an empty raid slot the member is rebuilt at once, else it waits as a spare. */
export const MemberAdd = Closed(
  {
    device_id: Type.String({ minLength: 1, maxLength: 200 }),
    force: Type.Optional(
      Type.Boolean({ default: false, description: "take a device that holds other content" }),
    ),
    write_mostly: Type.Optional(WriteMostly),
    failfast: Type.Optional(Failfast),
  },
  { $id: "MemberAdd" },
);
export type MemberAddRequest = Static<typeof MemberAdd>;

/** mdadm --re-add. */
export const MemberReAdd = Closed(
  {
    force: Type.Optional(
      Type.Boolean({ default: false, description: "overwrite what this device alone holds" }),
    ),
  },
  { $id: "MemberReAdd" },
);

/** sysfs dev-XXX/state: flags to set (true) or clear (false). */
export const MemberPatch = Closed(
  { write_mostly: Type.Optional(WriteMostly), failfast: Type.Optional(Failfast) },
  { $id: "MemberPatch" },
);

/** mdadm --replace --with: a spare of the array, or null for any. */
export const MemberReplace = Closed(
  { with: Type.Optional(Nullable(Type.String({ minLength: 1, maxLength: 200 }))) },
  { $id: "MemberReplace" },
);

export const MemberParams = Closed({
  array: Type.String({ minLength: 1, maxLength: 64 }),
  device_id: Type.String({ minLength: 1, maxLength: 200 }),
});
