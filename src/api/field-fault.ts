/** Fields of a request at fault, and the refusal that tells them. */

import { CodedError } from "../common/errors.ts";

/** One field at fault, as `errors[]` of a problem shows it. */
export interface FieldFault {
  readonly pointer: string;
  readonly code: string;
  readonly detail: string;
}

/** A field that the request may not have; `pointer`: JSON pointer into the body. */
export const unknownField = (pointer: string): FieldFault => ({
  pointer,
  code: "additionalProperties",
  detail: "is not known here",
});

/** A request that breaks its schema, part by part. */
export const refusal = (httpPart: string, faults: readonly FieldFault[]): CodedError =>
  new CodedError(
    "API_VALIDATION_FAILED",
    `the ${httpPart === "querystring" ? "query" : httpPart} is not as it must be: ${faults
      .map(({ pointer, detail }) => `${pointer === "" ? "/" : pointer} ${detail}`)
      .join("; ")}`,
    { remedy: "correct the fields named", details: { errors: faults } },
  );
