/** /healthz, /readyz, /metrics and the pages that explain problem types. */

import { CodedError } from "../../common/errors.ts";
import { PROBLEM_KINDS } from "../error-mapping.ts";
import type { MetricsPage } from "../metrics.ts";
import { replies } from "../responses.ts";
import type { ApiServer, RouteContext } from "../route-context.ts";
import { RefTo } from "../schemas/common.ts";
import { Ready } from "../schemas/system.ts";

const readyText = (isDone: boolean): string | null => (isDone ? null : "not done yet");

/** Registers the routes. */
export function registerHealthRoutes(
  app: ApiServer,
  { control }: RouteContext,
  metrics: MetricsPage,
): void {
  app.get("/healthz", { schema: { hide: true }, config: { rateLimit: false } }, (_request, reply) =>
    reply.type("text/plain; charset=utf-8").send("ok\n"),
  );

  const readySchema = {
    hide: true,
    response: replies({ 200: RefTo(Ready), 503: RefTo(Ready) }),
  };
  app.get(
    "/readyz",
    { schema: readySchema, config: { rateLimit: false } },
    async (_request, reply) => {
      const { isReady, steps } = control.readiness();
      return reply.code(isReady ? 200 : 503).send({
        ready: isReady,
        steps: steps.map(({ step, isDone, message }) => ({
          step,
          done: isDone,
          message: message ?? readyText(isDone),
        })),
      });
    },
  );

  app.get(
    "/metrics",
    { schema: { hide: true }, config: { rateLimit: false } },
    async (_request, reply) => {
      const text = await metrics.render();
      return reply.type(metrics.contentType).send(text);
    },
  );

  app.get<{ Params: { slug: string } }>(
    "/problems/:slug",
    { schema: { hide: true } },
    (request, reply) => {
      const { slug } = request.params;
      const rows = Object.entries(PROBLEM_KINDS).filter(([, kind]) => kind.slug === slug);
      const [first] = rows;
      if (first === undefined) {
        throw new CodedError("API_NOT_FOUND", `there is no problem type ${slug}`);
      }
      const { status, title } = first[1];
      const codes = rows.map(([code]) => `  ${code}`).join("\n");
      return reply
        .type("text/plain; charset=utf-8")
        .send(`${title} (HTTP ${status})\n\nurn:satsuma:problem:${slug}\n\nCodes:\n${codes}\n`);
    },
  );
}
