/**
 * The HTTP server: REST, event stream, metrics, panel. `build` makes it and never listens.
 *
 * Every failure leaves as one problem document; every reply carries X-Request-Id, X-Satsuma-Node.
 */

import { randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import path from "node:path";
import helmet from "@fastify/helmet";
import rateLimit from "@fastify/rate-limit";
import fastifyStatic from "@fastify/static";
import type { TypeBoxTypeProvider } from "@fastify/type-provider-typebox";
import underPressure from "@fastify/under-pressure";
import fastify, { type FastifyInstance } from "fastify";
import { CodedError } from "../common/errors.ts";
import type { ControlPlane } from "../control/control-plane.ts";
import { installAuthentication, type TokenCheck } from "./authentication.ts";
import { answerClientFailure } from "./client-failure.ts";
import { COMPONENTS } from "./components.ts";
import { EventStream } from "./event-stream.ts";
import { installIdempotency } from "./idempotency.ts";
import { parseJsonBody, refuseBody } from "./json-body.ts";
import { compileValidator, loadValidation } from "./lazy-validation.ts";
import { MetricsPage } from "./metrics.ts";
import { registerOpenApi } from "./openapi.ts";
import { codedError, sendProblem } from "./problem.ts";
import type { ApiServer, RouteContext } from "./route-context.ts";
import { registerArrayReportRoutes } from "./routes/array-reports.ts";
import { registerArrayRoutes } from "./routes/arrays.ts";
import { registerClusterRoutes } from "./routes/cluster.ts";
import { registerDeviceRoutes } from "./routes/devices.ts";
import { registerDlmRoutes } from "./routes/dlm.ts";
import { registerEventRoutes } from "./routes/events.ts";
import { registerExportRoutes } from "./routes/exports.ts";
import { registerHealthRoutes } from "./routes/health.ts";
import { registerJobRoutes } from "./routes/jobs.ts";
import { registerLabRoutes } from "./routes/lab.ts";
import { registerMemberRoutes } from "./routes/members.ts";
import { registerNodeRoutes } from "./routes/nodes.ts";
import { registerPeerRoutes } from "./routes/peers.ts";
import { registerScheduleRoutes } from "./routes/schedule.ts";
import { registerSystemRoutes } from "./routes/system.ts";

/** Largest request body, bytes: no verb needs more. */
export const BODY_BYTES_MAX = 64 * 1024;
/** Requests per minute from one address. */
export const REQUESTS_PER_MINUTE = 6000;
/** The control thread this late sheds requests; a machine busy with other work is not that late. */
const EVENT_LOOP_DELAY_MAX_MS = 10_000;

/** What the server is built over. */
export interface ApiOptions {
  readonly control: ControlPlane;
  readonly checkToken: TokenCheck;
  /** Folder of the built panel; null or absent on the filesystem: no panel is served. */
  readonly panelDirectory: string | null;
  readonly requestsPerMinute?: number;
}

const REQUEST_ID = /^[A-Za-z0-9._-]{1,64}$/;

const installGuards = async (app: FastifyInstance, options: ApiOptions): Promise<void> => {
  await app.register(helmet, {
    // Plain HTTP on loopback or behind a proxy: whether to insist on HTTPS is not ours to say.
    hsts: false,
    contentSecurityPolicy: {
      useDefaults: false,
      directives: {
        defaultSrc: ["'self'"],
        imgSrc: ["'self'", "data:"],
        objectSrc: ["'none'"],
        baseUri: ["'none'"],
        formAction: ["'self'"],
        frameAncestors: ["'none'"],
      },
    },
  });
  await app.register(rateLimit, {
    max: options.requestsPerMinute ?? REQUESTS_PER_MINUTE,
    timeWindow: "1 minute",
    enableDraftSpec: true,
  });
  await app.register(underPressure, {
    maxEventLoopDelay: EVENT_LOOP_DELAY_MAX_MS,
    pressureHandler: async (_request, _reply, _type, delayMs) => shed(delayMs),
    exposeStatusRoute: false,
  });
};

/**
 * The plugin calls the delay infinite when it has measured none since it looked last: a process
 * that was held up for a second once would refuse everything for the next one.
 */
const shed = (delayMs: number | undefined): void => {
  if (!Number.isFinite(delayMs)) return;
  throw new CodedError("API_OVERLOADED", "the board is too busy to answer", {
    remedy: "wait as Retry-After says",
    details: { delayMs },
  });
};

/**
 * Given with the options, not set afterwards: fastify then does not load ajv and
 * fast-json-stringify. Replies are built from typed resources, which tests check.
 */
const COMPILERS = {
  buildValidator: () => compileValidator as never,
  buildSerializer: () => () => (reply: unknown) => JSON.stringify(reply),
};

/** Verbs wait until the start is done: before that the lists are not whole. */
const installReadiness = (app: FastifyInstance, control: ControlPlane): void => {
  app.addHook("onRequest", async (request) => {
    const isDescription = request.url.startsWith("/api/v1/openapi.json");
    if (request.url.startsWith("/api/") && !isDescription && !control.readiness().isReady) {
      throw new CodedError("API_NOT_READY", "the board is starting or ending", {
        remedy: "ask again as Retry-After says; /readyz tells the steps",
      });
    }
  });
};

const installReplies = (app: FastifyInstance, control: ControlPlane): void => {
  // JSON is the only body there is.
  app.removeContentTypeParser("text/plain");
  const parse = async (_: unknown, body: string | Buffer) => parseJsonBody(body.toString());
  app.addHook("preValidation", loadValidation);
  app.addHook("preValidation", async ({ is404, routeOptions, body }) => {
    if (!is404 && routeOptions.schema?.body === undefined) refuseBody(body);
  });
  app.addContentTypeParser("application/json", { parseAs: "string" }, parse);
  app.addHook("onRequest", async (request, reply) => {
    reply.header("x-request-id", request.id).header("x-satsuma-node", control.nodes.here);
    if (request.url.startsWith("/api/")) {
      reply.header("cache-control", "no-store");
    }
  });
  app.setErrorHandler((error, request, reply) => {
    const coded = codedError(error);
    if (coded.code === "API_INTERNAL") {
      const { id, method, url } = request;
      control.options.logger.error({ request: id, method, url, error }, "request-crashed");
    }
    sendProblem(request, reply, coded);
  });
};

/** The panel's files, and its page for every path that is nothing else. */
const installPanel = async (app: FastifyInstance, directory: string | null): Promise<void> => {
  const hasPanel = directory !== null && existsSync(path.join(directory, "index.html"));
  if (hasPanel) {
    await app.register(fastifyStatic, {
      root: path.resolve(directory),
      wildcard: false,
      cacheControl: false,
      setHeaders: (reply, file) => {
        // Vite names files under assets/ by their content.
        const isHashed = file.includes(`${path.sep}assets${path.sep}`);
        const policy = isHashed ? "public, max-age=31536000, immutable" : "no-cache";
        reply.header("cache-control", policy);
      },
    });
  }
  app.setNotFoundHandler((request, reply) => {
    const wantsPage = /\btext\/html\b/.test(request.headers.accept ?? "");
    const isPage = !/^\/(api|metrics|healthz|readyz|problems)(\/|$|\?)/.test(request.url);
    if (hasPanel && request.method === "GET" && wantsPage && isPage) {
      return reply.sendFile("index.html");
    }
    const message = `there is nothing at ${request.method} ${request.url}`;
    const remedy = "see /api/v1/openapi.json";
    return sendProblem(request, reply, new CodedError("API_NOT_FOUND", message, { remedy }));
  });
};

/** Builds the server. Close it to end the event streams. */
export async function build(options: ApiOptions): Promise<FastifyInstance> {
  const { control } = options;
  const app = fastify({
    logger: false,
    bodyLimit: BODY_BYTES_MAX,
    schemaController: { compilersFactory: COMPILERS },
    requestTimeout: 30_000,
    maxRequestsPerSocket: 0,
    forceCloseConnections: true,
    frameworkErrors: (error, request, reply) => sendProblem(request, reply, codedError(error)),
    clientErrorHandler: (error, socket) => answerClientFailure(error, socket, control.nodes.here),
    genReqId: (request) => {
      const given = request.headers["x-request-id"];
      return typeof given === "string" && REQUEST_ID.test(given) ? given : randomUUID();
    },
    routerOptions: { maxParamLength: 200, ignoreTrailingSlash: false },
  });
  for (const schema of COMPONENTS.values()) {
    app.addSchema(schema);
  }
  installReplies(app, control);
  await installGuards(app, options);
  installAuthentication(app, options.checkToken);
  installReadiness(app, control);
  installIdempotency(app, control);
  await registerOpenApi(app, control.options.version);

  const stream = new EventStream(control);
  const metrics = new MetricsPage(control, stream);
  app.addHook("preClose", async () => stream.close());
  app.addHook("onClose", async () => metrics.close());

  const server: ApiServer = app.withTypeProvider<TypeBoxTypeProvider>();
  const context: RouteContext = { control };
  registerHealthRoutes(server, context, metrics);
  registerSystemRoutes(server, context);
  registerArrayRoutes(server, context);
  registerArrayReportRoutes(server, context);
  registerScheduleRoutes(server, context);
  registerMemberRoutes(server, context);
  registerExportRoutes(server, context);
  registerDeviceRoutes(server, context);
  registerDlmRoutes(server, context);
  registerClusterRoutes(server, context);
  registerNodeRoutes(server, context);
  registerPeerRoutes(server, context);
  registerJobRoutes(server, context);
  registerEventRoutes(server, context, stream);
  registerLabRoutes(server, context);
  await installPanel(app, options.panelDirectory);
  return app;
}
