/** Jobs: work that goes on after the reply. They survive a restart of the daemon. */

import { type Static, Type } from "typebox";
import { Eta } from "./array.ts";
import { Closed, Links, Nullable, PageOf, Problem, RefTo, Time } from "./common.ts";

export const JobKind = Type.Enum([
  "array.create",
  "array.assemble",
  "array.stop",
  "array.grow",
  "array.resync",
  "array.recover",
  "array.check",
  "array.repair",
  "member.add",
  "member.re-add",
  "member.replace",
  "node.drain",
  "node.undrain",
]);
export type JobKindWord = Static<typeof JobKind>;

export const JobState = Type.Enum([
  "queued",
  "running",
  "paused",
  "cancelling",
  "succeeded",
  "failed",
  "cancelled",
  "interrupted",
]);
export type JobStateWord = Static<typeof JobState>;

export const JobObject = Closed(
  {
    id: Type.String(),
    kind: JobKind,
    state: JobState,
    subject: Type.String({ description: "path of what it works on" }),
    progress: Nullable(
      Closed({
        percent: Type.Number({ minimum: 0, maximum: 100 }),
        done: Type.Integer(),
        total: Type.Integer(),
        unit: Type.Literal("bytes"),
        speed: Type.Number(),
        eta: Nullable(Eta),
      }),
    ),
    node: Type.String(),
    cancelable: Type.Boolean(),
    pausable: Type.Boolean(),
    created_by: Type.String(),
    created_at: Time,
    started_at: Nullable(Time),
    finished_at: Nullable(Time),
    result: Nullable(Type.Record(Type.String(), Type.Unknown())),
    problem: Nullable(RefTo(Problem)),
    log: Type.Array(Closed({ at: Time, message: Type.String() })),
    links: Links,
  },
  { $id: "Job" },
);
export type JobResource = Static<typeof JobObject>;

export const JobList = PageOf(RefTo(JobObject), "JobList");

export const JobQuery = Closed({
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 1000, default: 50 })),
  cursor: Type.Optional(Type.String({ maxLength: 128 })),
  state: Type.Optional(JobState),
  subject: Type.Optional(Type.String({ maxLength: 200 })),
});

export const JobParams = Closed({ job_id: Type.String({ minLength: 1, maxLength: 64 }) });
