/** Faults laid over members in lab mode, to watch what the array does. */

import { type Static, Type } from "typebox";
import { ByteCount, Closed, Nullable, RefTo } from "./common.ts";

const FaultKind = Type.Enum(["read-error", "write-error", "flush-error", "stall"]);

export const LabFault = Closed(
  {
    device_id: Type.String(),
    path: Type.String(),
    kind: FaultKind,
    after: Type.Integer(),
    count: Nullable(Type.Integer()),
    range: Nullable(Closed({ offset: ByteCount, length: ByteCount })),
    stall_ms: Type.Integer(),
  },
  { $id: "LabFault" },
);
export type LabFaultResource = Static<typeof LabFault>;

export const LabFaultList = Closed(
  { items: Type.Array(RefTo(LabFault)), next_cursor: Type.Null() },
  { $id: "LabFaultList" },
);

export const LabFaultCreate = Closed(
  {
    device_id: Type.String({ minLength: 1, maxLength: 200 }),
    kind: FaultKind,
    after: Type.Optional(
      Type.Integer({ minimum: 0, maximum: 2 ** 31, default: 0, description: "calls that pass" }),
    ),
    count: Type.Optional(
      Nullable(Type.Integer({ minimum: 1, maximum: 2 ** 31, description: "null: until cleared" })),
    ),
    range: Type.Optional(Nullable(Closed({ offset: ByteCount, length: ByteCount }))),
    stall_ms: Type.Optional(Type.Integer({ minimum: 0, maximum: 600_000, default: 0 })),
  },
  { $id: "LabFaultCreate" },
);
export type LabFaultCreateRequest = Static<typeof LabFaultCreate>;

export const LabFaultQuery = Closed({
  device_id: Type.Optional(
    Type.String({ maxLength: 200, description: "only this device; else all" }),
  ),
});
