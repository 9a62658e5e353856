/**
 * Schema pieces every resource shares: nullable values, references, paging, problems. The schemas
 * of this folder are the single source for validation, TypeScript types and OpenAPI.
 *
 * Sizes and offsets are bytes, rates bytes per second, times RFC 3339 UTC, durations seconds.
 */

import { type Static, type TSchema, Type } from "typebox";

/** `schema` or null. */
export const Nullable = <S extends TSchema>(schema: S) => Type.Union([schema, Type.Null()]);

/** A reference to a registered component (`schema` has `$id`), with the component's type. */
export const RefTo = <S extends TSchema>(schema: S) =>
  Type.Unsafe<Static<S>>({ $ref: `${(schema as { $id?: string }).$id}#` });

/** A closed object: unknown fields are refused in requests, and absent from replies. */
export const Closed = <P extends Record<string, TSchema>>(
  properties: P,
  options: { readonly $id?: string; readonly description?: string } = {},
) => Type.Object(properties, { ...options, additionalProperties: false });

/** An RFC 3339 time in UTC, such as `2026-11-22T14:01:00.000Z`. */
export const Time = Type.String({ description: "RFC 3339, UTC" });

/** A count of bytes below 2^53. */
export const ByteCount = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });

/** Name of an array, export or device: 1 to 31 characters, safe in URIs, shells and set_name. */
export const Name = Type.String({
  pattern: "^[A-Za-z0-9][A-Za-z0-9._-]{0,30}$",
  description: "1 to 31 of A-Z a-z 0-9 . _ -, the first a letter or digit",
});

/** Links of a resource, by relation. */
export const Links = Type.Record(Type.String(), Type.String());

/** One page of a collection. */
export const PageOf = <S extends TSchema>(item: S, $id: string) =>
  Closed({ items: Type.Array(item), next_cursor: Nullable(Type.String()) }, { $id });

/** Paging of a collection. */
export const PageQuery = Closed({
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 1000, default: 50 })),
  cursor: Type.Optional(Type.String({ maxLength: 128 })),
});

/** `dry_run=true`: validate and tell the outcome, do nothing. */
export const DryRunQuery = Closed({ dry_run: Type.Optional(Type.Boolean({ default: false })) });

/** One field at fault in a `validation-failed` problem. */
export const FieldError = Closed({
  pointer: Type.String({ description: "JSON pointer into the body, or the parameter's name" }),
  code: Type.String(),
  detail: Type.String(),
});

/** The one error shape of every route. Source: RFC 9457; extension members are ours. */
export const Problem = Type.Object(
  {
    type: Type.String({ description: "urn:satsuma:problem:<slug>" }),
    title: Type.String(),
    status: Type.Integer({ minimum: 400, maximum: 599 }),
    detail: Type.String({ description: "What happened to what, in words" }),
    code: Type.String({ description: "Stable code of docs/errors.md, such as RAID_DEVICE_IN_USE" }),
    cause: Type.Optional(Type.String()),
    correction: Type.Optional(Type.String({ description: "What to do about it" })),
    help: Type.String(),
    instance: Type.String({ description: "Path of the request" }),
    request_id: Type.String(),
    job: Type.Optional(Type.String({ description: "Path of the job that failed" })),
    errors: Type.Optional(Type.Array(FieldError)),
    details: Type.Optional(Type.Record(Type.String(), Type.Unknown())),
  },
  { $id: "Problem" },
);
export type ProblemDocument = Static<typeof Problem>;
