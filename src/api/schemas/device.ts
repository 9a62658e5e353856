/** Devices: every file or block device this board may use as a member, usable or not. */

import { type Static, Type } from "typebox";
import { ByteCount, Closed, Links, Name, Nullable, PageOf, RefTo, Time } from "./common.ts";

export const DeviceState = Type.Enum([
  "free",
  "in-use",
  "spare",
  "foreign",
  "unusable",
  "failed",
  "missing",
]);
export type DeviceStateWord = Static<typeof DeviceState>;

export const DeviceSuperblock = Closed({
  array_id: Type.String(),
  device_uuid: Type.String(),
  name: Type.String(),
  level: Type.String(),
  raid_devices: Type.Integer(),
  events: Type.Integer(),
  metadata: Type.String(),
  role: Type.String(),
});

export const DeviceObject = Closed(
  {
    id: Type.String(),
    name: Type.String(),
    config: Closed({ label: Nullable(Type.String()) }),
    status: Closed({
      state: DeviceState,
      reasons: Type.Array(Closed({ code: Type.String(), message: Type.String() })),
      path: Type.String(),
      kind: Type.Enum(["file", "block"]),
      size: ByteCount,
      logical_block_size: Type.Integer(),
      read_only: Type.Boolean(),
      node: Type.String(),
      array_id: Nullable(Type.String()),
      array_name: Nullable(Type.String()),
      slot: Nullable(Type.Integer({ description: "raid slot it holds" })),
      superblock: Nullable(DeviceSuperblock),
      signatures: Type.Array(Type.String()),
    }),
    links: Links,
    created_at: Time,
    updated_at: Time,
  },
  { $id: "Device" },
);
export type DeviceResource = Static<typeof DeviceObject>;

export const DeviceList = PageOf(RefTo(DeviceObject), "DeviceList");

/** Makes a file of `size` bytes in the data directory's `disks` folder. */
export const DeviceCreate = Closed(
  {
    name: Type.Optional(Name),
    size: Type.Integer({ minimum: 1048576, maximum: 2 ** 50, description: "bytes" }),
  },
  { $id: "DeviceCreate" },
);
export type DeviceCreateRequest = Static<typeof DeviceCreate>;

export const DevicePatch = Closed(
  { label: Nullable(Type.String({ maxLength: 100 })) },
  { $id: "DevicePatch" },
);

export const DeviceParams = Closed({
  device_id: Type.String({ minLength: 1, maxLength: 200 }),
});
