/** The write-intent bitmaps of an array: one on a single board. */

import { type Static, Type } from "typebox";
import { ByteCount, Closed, RefTo } from "./common.ts";

export const BitmapObject = Closed(
  {
    slot: Type.Integer({ description: "bitmap slot, 0 on a single board" }),
    node: Type.String(),
    type: Type.Enum(["internal", "clustered"]),
    state: Type.Enum(["free", "held", "recovering", "needs-sync"]),
    chunk_size: ByteCount,
    dirty: Type.Integer({ description: "chunks whose bit is set" }),
    total: Type.Integer(),
  },
  { $id: "Bitmap" },
);
export type BitmapResource = Static<typeof BitmapObject>;

export const BitmapList = Closed(
  { items: Type.Array(RefTo(BitmapObject)), next_cursor: Type.Null() },
  { $id: "BitmapList" },
);
