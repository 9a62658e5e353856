/** NBD exports: an array under a name that clients attach. The id is the NBD export name. */

import { type Static, Type } from "typebox";
import { ByteCount, Closed, Links, Name, Nullable, PageOf, RefTo, Time } from "./common.ts";

export const ExportConfig = Closed({
  protocol: Type.Literal("nbd"),
  array_id: Type.String(),
  description: Type.String(),
  read_only: Type.Boolean(),
  tls_required: Type.Boolean(),
});

export const ExportObject = Closed(
  {
    id: Type.String(),
    name: Type.String(),
    config: ExportConfig,
    status: Closed({
      state: Type.Enum(["online", "offline", "read-only"]),
      reason: Nullable(Type.String({ description: "why it is offline" })),
      array_name: Nullable(Type.String()),
      size: ByteCount,
      clients: Type.Integer(),
      uris: Closed({ unix: Nullable(Type.String()), tcp: Nullable(Type.String()) }),
    }),
    links: Links,
    created_at: Time,
    updated_at: Time,
  },
  { $id: "Export" },
);
export type ExportResource = Static<typeof ExportObject>;

export const ExportList = PageOf(RefTo(ExportObject), "ExportList");

export const ExportCreate = Closed(
  {
    name: Name,
    array: Type.String({ minLength: 1, maxLength: 64, description: "uuid, or name if unique" }),
    description: Type.Optional(Type.String({ maxLength: 255, default: "" })),
    read_only: Type.Optional(Type.Boolean({ default: false })),
    tls_required: Type.Optional(Type.Boolean({ default: false })),
  },
  { $id: "ExportCreate" },
);
export type ExportCreateRequest = Static<typeof ExportCreate>;

/** What is left out stays. Refused while clients are attached, unless `force`. */
export const ExportPatch = Closed(
  {
    description: Type.Optional(Type.String({ maxLength: 255 })),
    read_only: Type.Optional(Type.Boolean()),
    tls_required: Type.Optional(Type.Boolean()),
    force: Type.Optional(Type.Boolean({ default: false })),
  },
  { $id: "ExportPatch" },
);
export type ExportPatchRequest = Static<typeof ExportPatch>;

export const ExportParams = Closed({ export_id: Type.String({ minLength: 1, maxLength: 64 }) });

export const ExportDeleteQuery = Closed({
  force: Type.Optional(
    Type.Boolean({ default: false, description: "close it under attached clients" }),
  ),
});

export const ExportClientObject = Closed(
  {
    id: Type.String(),
    peer: Type.String(),
    tls: Type.Boolean(),
    connected_at: Time,
    read_bytes: ByteCount,
    written_bytes: ByteCount,
  },
  { $id: "ExportClient" },
);
export type ExportClientResource = Static<typeof ExportClientObject>;

export const ExportClientList = Closed(
  { items: Type.Array(RefTo(ExportClientObject)), next_cursor: Type.Null() },
  { $id: "ExportClientList" },
);

export const AttachTarget = Type.Enum(["nbd-client", "qemu", "nbdinfo", "nbdcopy", "systemd"]);

export const AttachQuery = Closed({
  target: Type.Optional(AttachTarget),
  transport: Type.Optional(Type.Enum(["unix", "tcp"])),
});

/** Ready-made commands to attach an export, for each target and transport it can be reached by. */
export const Attach = Closed(
  {
    export_id: Type.String(),
    uris: Closed({ unix: Nullable(Type.String()), tcp: Nullable(Type.String()) }),
    closed: Nullable(Type.String({ description: "why this board does not serve it now" })),
    elsewhere: Type.Array(Closed({ board: Type.String(), uri: Type.String() }), {
      description: "other boards that run the array, where they export it under the same name",
    }),
    items: Type.Array(
      Closed({
        target: AttachTarget,
        transport: Type.Enum(["unix", "tcp"]),
        title: Type.String(),
        text: Type.String(),
      }),
    ),
  },
  { $id: "Attach" },
);
export type AttachResource = Static<typeof Attach>;
