/** sysfs `sync_action` and the speed limits, of one array. */

import { type Static, Type } from "typebox";
import { Sync, SyncActionWord } from "./array.ts";
import { ByteCount, Closed, Nullable, RefTo } from "./common.ts";

export const SyncAction = Closed(
  {
    action: SyncActionWord,
    sync_speed_min: ByteCount,
    sync_speed_max: ByteCount,
    sync: Nullable(RefTo(Sync)),
  },
  { $id: "SyncAction" },
);
export type SyncActionResource = Static<typeof SyncAction>;

/**
 * Speeds are bytes per second; what is left out stays as it is. `from` and `to` are bytes of the
 * array, widened to whole MiB: where a check or repair begins and ends (sysfs sync_min, sync_max).
 */
export const SyncActionPut = Closed(
  {
    action: Type.Optional(Type.Enum(["idle", "check", "repair", "frozen"])),
    from: Type.Optional(Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })),
    to: Type.Optional(Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER })),
    sync_speed_min: Type.Optional(Type.Integer({ minimum: 0, maximum: 2 ** 40 })),
    sync_speed_max: Type.Optional(Type.Integer({ minimum: 1024, maximum: 2 ** 40 })),
  },
  { $id: "SyncActionPut" },
);
export type SyncActionPutRequest = Static<typeof SyncActionPut>;
