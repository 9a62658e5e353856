/** Where the copies differed when they were compared last. */

import { type Static, Type } from "typebox";
import { ByteCount, Closed } from "./common.ts";

export const Mismatches = Closed(
  {
    mismatch_count: Type.Integer({ description: "sectors, as sysfs mismatch_cnt counts them" }),
    truncated: Type.Boolean({ description: "there were more ranges than are kept" }),
    items: Type.Array(Closed({ offset: ByteCount, length: ByteCount }), {
      description: "bytes of the array, ascending",
    }),
  },
  { $id: "Mismatches" },
);
export type MismatchesResource = Static<typeof Mismatches>;
