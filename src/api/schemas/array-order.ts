/** POST /arrays: make an array, start a known one, take over a found one; and what is planned. */

import { type Static, Type } from "typebox";
import { BITMAP_NODES_MAX } from "../../raid/bitmap-superblock.ts";
import { ByteCount, Closed, Name, Nullable } from "./common.ts";

const DeviceKey = Type.String({ minLength: 1, maxLength: 200 });
const DeviceKeys = Type.Array(DeviceKey, { minItems: 1, maxItems: 64 });

export const BitmapType = Type.Enum(["internal", "clustered", "none"]);
/** Bytes per bit of a bitmap; the array has the last word on what fits. */
export const BitmapChunk = Type.Integer({ minimum: 4096, maximum: 2 ** 31 });
export const BitmapNodes = Type.Integer({ minimum: 2, maximum: BITMAP_NODES_MAX });
export const ClusterName = Type.String({ minLength: 1, maxLength: 128 });

/** Create. One of `device_ids` per raid slot, in slot order, then spares. */
export const ArrayCreate = Closed({
  name: Name,
  level: Type.Enum(["raid1", "raid10"]),
  layout: Type.Optional(
    Type.String({ maxLength: 8, description: "raid10: n2 (default), f2, o2, n3 …" }),
  ),
  chunk_size: Type.Optional(
    Type.Integer({ minimum: 1, maximum: 2 ** 40, description: "raid10, bytes; default 524288" }),
  ),
  device_ids: Type.Array(DeviceKey, {
    minItems: 1,
    maxItems: 64,
    description: "the word `missing` leaves a raid slot empty",
  }),
  raid_devices: Type.Optional(
    Type.Integer({ minimum: 2, maximum: 32, description: "default: the number of device_ids" }),
  ),
  metadata: Type.Optional(Type.Enum(["1.0", "1.1", "1.2"], { default: "1.2" })),
  bitmap: Type.Optional(BitmapType),
  bitmap_chunk_size: Type.Optional(BitmapChunk),
  nodes: Type.Optional(BitmapNodes),
  home_cluster: Type.Optional(ClusterName),
  write_mostly: Type.Optional(
    Type.Array(DeviceKey, { maxItems: 64, description: "devices read only as a last resort" }),
  ),
  failfast: Type.Optional(
    Type.Array(DeviceKey, { maxItems: 64, description: "devices failed at the first error" }),
  ),
  size: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: Number.MAX_SAFE_INTEGER,
      description: "bytes to use of each member, as mdadm --size",
    }),
  ),
  assume_clean: Type.Optional(Type.Boolean({ default: false })),
  force: Type.Optional(
    Type.Boolean({ default: false, description: "take devices that hold other content" }),
  ),
});
export type ArrayCreateRequest = Static<typeof ArrayCreate>;

/** Start an array that is known, or whose members are found on the devices. */
export const ArrayAssemble = Closed({
  assemble: Type.String({ minLength: 1, maxLength: 64, description: "uuid, or name if unique" }),
  read_only: Type.Optional(Type.Boolean({ default: false })),
  run: Type.Optional(
    Type.Boolean({ default: false, description: "though the newest copy may be elsewhere" }),
  ),
});

/** Take over the array these devices hold, made here or on any Linux, where it is. */
export const ArrayImport = Closed({
  import: DeviceKeys,
  read_only: Type.Optional(Type.Boolean({ default: false })),
  run: Type.Optional(
    Type.Boolean({ default: false, description: "though a working member is not given" }),
  ),
  export: Type.Optional(Name),
});
export type ArrayImportRequest = Static<typeof ArrayImport>;

/** The body of POST /arrays: exactly one of the three shapes. */
export const ArrayPost = Type.Union([ArrayCreate, ArrayAssemble, ArrayImport], {
  $id: "ArrayPost",
});
export type ArrayPostRequest = Static<typeof ArrayPost>;

/** Answer to a dry run of create: what it would make. */
export const ArrayPlan = Closed(
  {
    dry_run: Type.Literal(true),
    name: Type.String(),
    level: Type.String(),
    layout: Nullable(Type.String()),
    chunk_size: Nullable(ByteCount),
    raid_devices: Type.Integer(),
    size: Type.Integer({ description: "bytes of the array" }),
    member_size: Type.Integer({ description: "bytes used of each member" }),
    bitmap: Closed({ type: BitmapType, chunk_size: ByteCount, nodes: Type.Integer() }),
    smallest_device: Type.Integer({ description: "bytes" }),
    survives: Closed({ devices: Type.Integer({ description: "whichever they are" }) }),
    initial_sync: Type.Boolean(),
    devices: Type.Array(
      Closed({
        device_id: Type.String(),
        path: Type.String(),
        size: ByteCount,
        role: Type.String(),
      }),
    ),
  },
  { $id: "ArrayPlan" },
);
export type ArrayPlanResource = Static<typeof ArrayPlan>;

/** PATCH /arrays/{array}: what is left out stays. */
export const ArrayPatch = Closed(
  {
    name: Type.Optional(Name),
    size: Type.Optional(
      Type.Union([
        Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER }),
        Type.Literal("max"),
      ]),
    ),
    raid_devices: Type.Optional(Type.Integer({ minimum: 1, maximum: 32 })),
    bitmap: Type.Optional(
      Closed({
        type: Type.Optional(BitmapType),
        chunk_size: Type.Optional(BitmapChunk),
        nodes: Type.Optional(BitmapNodes),
      }),
    ),
    home_cluster: Type.Optional(ClusterName),
    bad_block_list: Type.Optional(
      Type.Boolean({ description: "one for every member, or none; clustered arrays have none" }),
    ),
    force: Type.Optional(
      Type.Boolean({
        default: false,
        description: "drop lists that have entries: those members are recovered whole",
      }),
    ),
    sync_speed_min: Type.Optional(Type.Integer({ minimum: 0, maximum: 2 ** 40 })),
    sync_speed_max: Type.Optional(Type.Integer({ minimum: 1024, maximum: 2 ** 40 })),
  },
  { $id: "ArrayPatch" },
);
export type ArrayPatchRequest = Static<typeof ArrayPatch>;
