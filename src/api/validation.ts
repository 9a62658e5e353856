/**
 * Checks requests against the schemas. Parameters and queries arrive as text and are converted;
 * a body is taken as it is, apart from defaults. A refused request tells every field at fault.
 */

import type { FastifySchemaCompiler } from "fastify";
import type { TSchema } from "typebox";
import { Compile } from "typebox/compile";
import { Value } from "typebox/value";
import { COMPONENTS } from "./components.ts";
import { type FieldFault, refusal, unknownField } from "./field-fault.ts";

/** Most faults told in one reply. */
const FAULTS_MAX = 20;

interface RawFault {
  readonly keyword: string;
  readonly instancePath: string;
  readonly message: string;
  readonly params: object;
}

const namesOf = (fault: RawFault): readonly string[] => {
  const { params } = fault;
  const names =
    (params as { additionalProperties?: unknown }).additionalProperties ??
    (params as { requiredProperties?: unknown }).requiredProperties;
  return Array.isArray(names) ? (names as string[]) : [];
};

const toFaults = (fault: RawFault): FieldFault[] => {
  const names = namesOf(fault);
  if (names.length === 0) {
    const allowed = (fault.params as { allowedValues?: unknown }).allowedValues;
    const list = Array.isArray(allowed) ? `: ${allowed.join(", ")}` : "";
    return [
      { pointer: fault.instancePath, code: fault.keyword, detail: `${fault.message}${list}` },
    ];
  }
  const { keyword } = fault;
  return names.map((name) => {
    const pointer = `${fault.instancePath}/${name}`;
    return keyword === "required"
      ? { pointer, code: keyword, detail: "is missing" }
      : unknownField(pointer);
  });
};

/** A schema that points to a component is that component. */
const resolve = (schema: TSchema): TSchema => {
  const reference = (schema as { readonly $ref?: string }).$ref;
  const component =
    reference === undefined ? undefined : COMPONENTS.get(reference.replace(/#$/, ""));
  return component ?? schema;
};

/** The shapes a value may have: those of a union, else the schema alone. */
const branchesOf = (schema: TSchema): readonly TSchema[] =>
  (schema as { readonly anyOf?: readonly TSchema[] }).anyOf ?? [schema];

/**
 * A body that has no field of any shape says nothing about which one was meant: all are named.
 * null: it has some.
 */
const faultOfNone = (shapes: readonly TSchema[], value: unknown): FieldFault | null => {
  const parts = shapes as readonly { readonly properties?: object; readonly required?: string[] }[];
  const known = new Set(parts.flatMap(({ properties }) => Object.keys(properties ?? {})));
  const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
  if (shapes.length < 2 || !isObject || Object.keys(value).some((name) => known.has(name))) {
    return null;
  }
  const ways = parts.map(({ required }) => (required ?? []).join(", "));
  return { pointer: "", code: "anyOf", detail: `needs ${ways.join("; or ")}` };
};

/**
 * The validator of one part of a request. Fastify calls the result with the part's value and throws
 * the `error` it returns.
 */
export const compileValidator: FastifySchemaCompiler<TSchema> = ({ schema, httpPart }) => {
  const branches = branchesOf(resolve(schema)).map((shape) => ({
    shape,
    compiled: Compile(shape),
  }));
  const shapes = branches.map(({ shape }) => shape);
  return (input: unknown) => {
    let best: readonly FieldFault[] | null = null;
    for (const { shape, compiled } of branches) {
      // An absent body is an empty one: every verb with optional fields accepts it.
      const raw = input ?? (httpPart === "body" ? {} : input);
      const converted = httpPart === "body" ? raw : Value.Convert(shape, raw);
      const value = Value.Default(shape, structuredClone(converted));
      if (compiled.Check(value)) {
        return { value };
      }
      const faults = compiled
        .Errors(value)
        // An unknown field is told once, as such.
        .filter((fault) => fault.keyword !== "boolean")
        .flatMap((fault) => toFaults(fault as unknown as RawFault))
        .slice(0, FAULTS_MAX);
      // Of several shapes the one that fits best tells what is wrong.
      if (best === null || faults.length < best.length) {
        best = faults;
      }
    }
    const none = faultOfNone(shapes, input ?? {});
    return { error: refusal(httpPart ?? "request", none === null ? (best ?? []) : [none]) };
  };
};
