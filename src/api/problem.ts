/**
 * Problem documents: the one shape in which a request fails.
 *
 * Source: RFC 9457.
 */

import type { FastifyError, FastifyReply, FastifyRequest } from "fastify";
import { CodedError, type PlainError, toPlainError } from "../common/errors.ts";
import { problemKind } from "./error-mapping.ts";
import type { FieldFault } from "./field-fault.ts";
import type { ProblemDocument } from "./schemas/common.ts";

/** Media type of a problem document. */
export const PROBLEM_TYPE = "application/problem+json; charset=utf-8";

/** Where and for whom a problem arose. */
export interface ProblemPlace {
  readonly instance: string;
  readonly requestId: string;
}

/** The problem document of a coded failure; `details.job` is the path of a job that failed. */
export function problemDocument(failure: PlainError, place: ProblemPlace): ProblemDocument {
  const { status, slug, title } = problemKind(failure.code);
  const { errors, job, ...details } = failure.details as { errors?: FieldFault[]; job?: unknown };
  return {
    type: `urn:satsuma:problem:${slug}`,
    title,
    status,
    detail: failure.message,
    code: failure.code,
    ...(failure.remedy === "" ? {} : { correction: failure.remedy }),
    help: `/problems/${slug}`,
    instance: place.instance,
    request_id: place.requestId,
    ...(typeof job === "string" ? { job } : {}),
    ...(errors === undefined ? {} : { errors }),
    ...(Object.keys(details).length === 0 ? {} : { details }),
  };
}

const fromStatus = (error: FastifyError): CodedError | null => {
  switch (error.statusCode) {
    case 400:
      return new CodedError("API_MALFORMED_REQUEST", error.message, {
        remedy: "send well-formed JSON in UTF-8",
        cause: error,
      });
    case 413:
      return new CodedError("API_TOO_LARGE", error.message, {
        remedy: "send a smaller body",
        cause: error,
      });
    case 414:
      return new CodedError("API_NOT_FOUND", "nothing here has a name that long", {
        remedy: "list the collection for the ids there are",
        cause: error,
      });
    case 415:
      return new CodedError("API_UNSUPPORTED_MEDIA_TYPE", error.message, {
        remedy: "send Content-Type: application/json",
        cause: error,
      });
    case 429:
      return new CodedError("API_RATE_LIMITED", error.message, {
        remedy: "wait as Retry-After says",
        cause: error,
      });
    case 503:
      return new CodedError("API_OVERLOADED", "the board is too busy to answer", {
        remedy: "wait as Retry-After says",
        cause: error,
      });
    default:
      return null;
  }
};

/** Any error of a route or of the server as a coded one; unknown ones are defects. */
export function codedError(error: unknown): CodedError {
  if (error instanceof CodedError) {
    return error;
  }
  const known = error instanceof Error ? fromStatus(error as FastifyError) : null;
  return (
    known ??
    new CodedError("API_INTERNAL", "the daemon could not carry out the request", {
      remedy: "report it with the daemon's log and the request id",
      cause: error,
    })
  );
}

/** Answers with the problem of `error`. */
export function sendProblem(request: FastifyRequest, reply: FastifyReply, error: unknown): void {
  const coded = codedError(error);
  const place = { instance: request.url, requestId: request.id };
  const document = problemDocument(toPlainError(coded), place);
  if (document.status === 401) {
    reply.header("www-authenticate", 'Bearer realm="satsuma"');
  }
  if (document.status === 503 && !reply.hasHeader("retry-after")) {
    reply.header("retry-after", "5");
  }
  reply.code(document.status).type(PROBLEM_TYPE).send(document);
}
