/** Pieces that routes share: their replies, and how the OpenAPI document groups them. */

import type { TSchema } from "typebox";
import { Problem, RefTo } from "./schemas/common.ts";

/** The declared replies of a route: the given ones, and a problem for everything else. */
export const replies = <R extends Record<number, TSchema>>(declared: R) => ({
  ...declared,
  "4xx": RefTo(Problem),
  "5xx": RefTo(Problem),
});
