/**
 * The validators of requests, loaded with the first request that needs one: they take 8 MiB, and a
 * board may run for months without anybody asking.
 */

import type { FastifyRequest, FastifySchemaCompiler } from "fastify";
import type { TSchema } from "typebox";
import { assert } from "../common/assert.ts";

type Validation = typeof import("./validation.ts");

let validation: Validation | null = null;

/** BEFORE the request's parts are checked. */
export const loadValidation = async ({ routeOptions }: FastifyRequest): Promise<void> => {
  const { params, querystring, body } = routeOptions.schema ?? {};
  if (params === undefined && querystring === undefined && body === undefined) return;
  validation ??= await import("./validation.ts");
};

/** The validator of one part of a request. AFTER `loadValidation` it checks as validation.ts. */
export const compileValidator: FastifySchemaCompiler<TSchema> = (part) => {
  let check: ReturnType<Validation["compileValidator"]> | null = null;
  return (input: unknown) => {
    assert(validation !== null, "a request is checked before its validator is loaded");
    check ??= validation.compileValidator(part);
    return check(input);
  };
};
