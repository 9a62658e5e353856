/** The board itself: version, name, addresses, the one honest sentence of health. */

import { type Static, Type } from "typebox";
import { Health } from "./array.ts";
import { Closed, Links, Nullable, Time } from "./common.ts";

/** One thing that wants a person's attention, worst first. */
export const Attention = Closed({
  severity: Type.Enum(["info", "warning", "critical"]),
  code: Type.String(),
  message: Type.String(),
  subject: Type.String(),
  fix: Nullable(Type.String({ description: "what to do about it, one sentence" })),
});
export type AttentionResource = Static<typeof Attention>;

export const System = Closed(
  {
    product: Type.Literal("satsuma"),
    version: Type.String(),
    node: Type.String(),
    cluster: Nullable(
      Type.String({ description: "whose arrays it can run; null: it is in no cluster" }),
    ),
    lab_mode: Type.Boolean(),
    started_at: Time,
    time: Time,
    health: Closed({
      state: Health,
      sentence: Type.String(),
      attention: Type.Array(Attention),
    }),
    counts: Closed({
      arrays: Type.Integer(),
      devices: Type.Integer(),
      exports: Type.Integer(),
      clients: Type.Integer(),
    }),
    nbd: Closed({
      tcp: Nullable(Closed({ host: Type.String(), port: Type.Integer() })),
      socket: Nullable(Type.String()),
    }),
    links: Links,
  },
  { $id: "System" },
);
export type SystemResource = Static<typeof System>;

export const Ready = Closed(
  {
    ready: Type.Boolean(),
    steps: Type.Array(
      Closed({
        step: Type.String(),
        done: Type.Boolean(),
        message: Nullable(Type.String()),
      }),
    ),
  },
  { $id: "Ready" },
);
export type ReadyResource = Static<typeof Ready>;
