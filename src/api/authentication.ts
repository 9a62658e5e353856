/**
 * Who asks: a bearer token on everything below /api/v1 except the API's own description. Health
 * needs none; metrics need one unless the request comes from this machine.
 */

import type { FastifyInstance, FastifyRequest } from "fastify";
import { CodedError } from "../common/errors.ts";
import type { TokenHolder } from "../control/access-token.ts";

/** Tells who a token stands for, or null. */
export type TokenCheck = (token: string) => TokenHolder | null;

declare module "fastify" {
  interface FastifyRequest {
    /** Who asks, such as `token:admin`; empty on routes that need no token. */
    actor: string;
  }
}

const API_PREFIX = "/api/";
const OPEN_PATHS = new Set(["/api/v1/openapi.json"]);
const LOOPBACK = /^(127\.|::1$|::ffff:127\.)/;
/** A page of another site cannot make a browser send one of these as Host by DNS rebinding. */
const LOCAL_HOST = /^(localhost|127\.[0-9.]+|\[::1\])(:[0-9]+)?$/;

const bearerOf = (request: FastifyRequest): string | null => {
  const match = /^Bearer ([^\s]+)$/i.exec(request.headers.authorization ?? "");
  return match?.[1] ?? null;
};

const isLocal = (request: FastifyRequest): boolean =>
  LOOPBACK.test(request.ip) && LOCAL_HOST.test(request.headers.host ?? "");

/** Installs the check on every route registered AFTER it. */
export function installAuthentication(app: FastifyInstance, check: TokenCheck): void {
  app.decorateRequest("actor", "");
  app.addHook("onRequest", async (request) => {
    const [path = ""] = request.url.split("?", 1);
    const isMetrics = path === "/metrics";
    const needsToken =
      (path.startsWith(API_PREFIX) && !OPEN_PATHS.has(path)) || (isMetrics && !isLocal(request));
    if (!needsToken) {
      return;
    }
    const token = bearerOf(request);
    const holder = token === null ? null : check(token);
    if (holder === null) {
      const what = token === null ? "no bearer token was sent" : "the token is not valid";
      throw new CodedError("API_UNAUTHENTICATED", what, {
        remedy: "send Authorization: Bearer satsuma_…; the daemon wrote it to its data directory",
      });
    }
    request.actor = `token:${holder.name}`;
  });
}
