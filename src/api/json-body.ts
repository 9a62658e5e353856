/**
 * The body of a request as a value. What the parser would take and the schemas would stumble over
 * (names that reach into prototypes, thousands of brackets) is refused here, with a code.
 */

import { CodedError } from "../common/errors.ts";
import { type FieldFault, refusal, unknownField } from "./field-fault.ts";

/** Levels of arrays and objects in a body: no order has more than five. */
export const NESTING_MAX = 32;

const refuse = (message: string, cause?: unknown): CodedError =>
  new CodedError("API_MALFORMED_REQUEST", message, {
    remedy: "send well-formed JSON in UTF-8",
    cause,
  });

/** Levels of brackets in a JSON text, outside its strings. */
const nestingOf = (text: string): number => {
  let level = 0;
  let deepest = 0;
  let isString = false;
  for (let at = 0; at < text.length; at += 1) {
    const char = text[at];
    if (isString && char === "\\") at += 1;
    else if (char === '"') isString = !isString;
    else if (!isString && (char === "[" || char === "{")) deepest = Math.max(deepest, ++level);
    else if (!isString && (char === "]" || char === "}")) level -= 1;
  }
  return deepest;
};

/**
 * The value of a body; undefined for an empty one.
 * Errors: API_MALFORMED_REQUEST, API_VALIDATION_FAILED for a field that no order may have.
 */
export function parseJsonBody(body: string): unknown {
  // Clients that always name the type may send none of it.
  if (body.length === 0) return undefined;
  const text = body.replace(/^\uFEFF/, "");
  if (nestingOf(text) > NESTING_MAX) {
    throw refuse(`the body has more than ${NESTING_MAX} levels of arrays and objects`);
  }
  let hasPrototype = false;
  const watch = (key: string, value: unknown): unknown => {
    hasPrototype ||= key === "__proto__";
    return value;
  };
  let value: unknown;
  try {
    value = JSON.parse(text, watch);
  } catch (error) {
    throw refuse("the body is not valid JSON", error);
  }
  if (hasPrototype) {
    throw new CodedError("API_VALIDATION_FAILED", "the body has a field __proto__", {
      remedy: "leave it out",
      details: { errors: [unknownField("/__proto__")] },
    });
  }
  return value;
}

/** Fields told of a body that should have none. */
const FIELDS_MAX = 20;

const fieldsOf = (body: object): readonly FieldFault[] =>
  Object.keys(body)
    .slice(0, FIELDS_MAX)
    .map((name) => unknownField(`/${name}`));

/**
 * Refuses what a route that takes no body is sent: no field would be heeded. Clients that always
 * send one send null or an empty object. Errors: API_VALIDATION_FAILED.
 */
export function refuseBody(body: unknown): void {
  if (body === undefined || body === null) return;
  const isObject = typeof body === "object" && !Array.isArray(body);
  const nothing = { pointer: "", code: "type", detail: "takes no body" };
  const faults = isObject ? fieldsOf(body) : [nothing];
  if (faults.length > 0) throw refusal("body", faults);
}
