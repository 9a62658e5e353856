/**
 * Idempotency-Key on POST: a retry with the same key and the same request gets the stored reply
 * for 24 hours and changes nothing. A key of another request is refused; while the first request
 * is under way a retry is refused. Replies that tell of a failing server (5xx) are not kept.
 */

import { createHash } from "node:crypto";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { CodedError } from "../common/errors.ts";
import type { ControlPlane } from "../control/control-plane.ts";

const KEY_SHAPE = /^[\x21-\x7e]{1,255}$/;

declare module "fastify" {
  interface FastifyRequest {
    /** Key under which the reply is kept; null when none was sent, or it is a replay. */
    replyKey: string | null;
  }
}

type Stored = NonNullable<ReturnType<ControlPlane["store"]["replies"]["find"]>>;

const fingerprintOf = (request: FastifyRequest): string =>
  createHash("sha256")
    .update(`${request.method} ${request.url}\n${JSON.stringify(request.body ?? null)}`)
    .digest("hex");

const keyOf = (request: FastifyRequest): string | null => {
  const header = request.headers["idempotency-key"];
  if (request.method !== "POST" || header === undefined) {
    return null;
  }
  if (typeof header !== "string" || !KEY_SHAPE.test(header)) {
    throw new CodedError("API_VALIDATION_FAILED", "Idempotency-Key has no fitting form", {
      remedy: "send 1 to 255 printable ASCII characters",
    });
  }
  return `${request.actor} ${header}`;
};

/** Answers a retry with the reply of the first request. Errors: API_IDEMPOTENCY_KEY_REUSED. */
const replay = (request: FastifyRequest, reply: FastifyReply, stored: Stored): FastifyReply => {
  if (stored.fingerprint !== fingerprintOf(request)) {
    throw new CodedError("API_IDEMPOTENCY_KEY_REUSED", "the key was used for another request", {
      remedy: "make a new key for every new request",
    });
  }
  if (stored.location !== null) {
    reply.header("location", stored.location);
  }
  const type = stored.status < 400 ? "application/json" : "application/problem+json";
  return reply
    .code(stored.status)
    .header("idempotency-replayed", "true")
    .type(`${type}; charset=utf-8`)
    .serializer((text: string) => text)
    .send(stored.body);
};

/** Keeps the reply under the request's key. */
const keep = (
  control: ControlPlane,
  request: FastifyRequest,
  reply: FastifyReply,
  body: unknown,
): void => {
  const key = request.replyKey;
  if (key === null || reply.statusCode >= 500 || typeof body !== "string") {
    return;
  }
  const { now, logger } = control.options;
  const location = reply.getHeader("location");
  try {
    control.store.replies.put({
      key,
      fingerprint: fingerprintOf(request),
      status: reply.statusCode,
      location: typeof location === "string" ? location : null,
      body,
      createdAt: now(),
    });
  } catch (error) {
    logger.warn({ error }, "reply-write-failed");
  }
};

/** Installs the hooks. */
export function installIdempotency(app: FastifyInstance, control: ControlPlane): void {
  const underWay = new Set<string>();
  app.decorateRequest("replyKey", null);

  app.addHook("preHandler", async (request, reply) => {
    const key = keyOf(request);
    if (key === null) {
      return;
    }
    if (underWay.has(key)) {
      throw new CodedError("API_IDEMPOTENCY_IN_PROGRESS", "the first request is under way", {
        remedy: "wait, then send the same request again",
      });
    }
    const stored = control.store.replies.find(key, control.options.now());
    if (stored !== null) {
      return replay(request, reply, stored);
    }
    underWay.add(key);
    request.replyKey = key;
  });

  app.addHook("onSend", async (request, reply, body) => keep(control, request, reply, body));

  app.addHook("onResponse", async (request) => {
    if (request.replyKey !== null) {
      underWay.delete(request.replyKey);
    }
  });
}
