/**
 * Requests that never reach a route: what Node's HTTP parser refuses is answered with a problem
 * document like everything else.
 *
 * Source: Node.js, http "clientError"; the codes are those of llhttp (HPE_…) and of node:http.
 */

import { randomUUID } from "node:crypto";
import { STATUS_CODES } from "node:http";
import type { Socket } from "node:net";
import { CodedError, toPlainError } from "../common/errors.ts";
import { PROBLEM_TYPE, problemDocument } from "./problem.ts";

/** What `error` of the parser means to the client. */
export function clientFailure(error: NodeJS.ErrnoException): CodedError {
  switch (error.code) {
    case "HPE_HEADER_OVERFLOW":
      return new CodedError("API_HEADERS_TOO_LARGE", "the URL and headers are too long", {
        remedy: "send a shorter URL and fewer headers; 16 KiB fit",
        cause: error,
      });
    case "HPE_INVALID_METHOD":
      return new CodedError("API_MALFORMED_REQUEST", "the request has no method of HTTP", {
        remedy: "use one that /api/v1/openapi.json shows for the URL",
        cause: error,
      });
    case "ERR_HTTP_REQUEST_TIMEOUT":
      return new CodedError("API_REQUEST_TIMEOUT", "the request did not arrive whole in time", {
        remedy: "send it again, without a rest in the middle",
        cause: error,
      });
    default:
      return new CodedError("API_MALFORMED_REQUEST", "the request is not well-formed HTTP", {
        remedy: "send HTTP/1.1",
        cause: error,
      });
  }
}

/** Answers on the bare socket and closes it; a client that is gone gets nothing. */
export function answerClientFailure(
  error: NodeJS.ErrnoException,
  socket: Socket,
  nodeName: string,
): void {
  if (error.code === "ECONNRESET" || socket.destroyed) return;
  if (!socket.writable) {
    socket.destroy(error);
    return;
  }
  const requestId = randomUUID();
  // What was asked for is not known: the parser gave up before it told.
  const place = { instance: "about:blank", requestId };
  const document = problemDocument(toPlainError(clientFailure(error)), place);
  const body = JSON.stringify(document);
  const head = [
    `HTTP/1.1 ${document.status} ${STATUS_CODES[document.status] ?? ""}`,
    `content-type: ${PROBLEM_TYPE}`,
    `content-length: ${Buffer.byteLength(body)}`,
    "cache-control: no-store",
    `x-request-id: ${requestId}`,
    `x-satsuma-node: ${nodeName}`,
    "connection: close",
  ];
  socket.end(`${head.join("\r\n")}\r\n\r\n${body}`);
}
