/** Locks, messages and nodes of the clustered arrays that run here. */

import { dlmResource } from "../resources/dlm-resource.ts";
import { replies } from "../responses.ts";
import type { ApiServer, RouteContext } from "../route-context.ts";
import { RefTo } from "../schemas/common.ts";
import { Dlm } from "../schemas/dlm.ts";

/** Registers the route. */
export function registerDlmRoutes(app: ApiServer, { control }: RouteContext): void {
  app.get(
    "/api/v1/dlm",
    {
      schema: {
        operationId: "getDlm",
        summary: "Locks, messages and nodes of the clustered arrays that run here",
        description:
          "As this board sees them: who holds and who waits for which lock, what is awaited in one sentence, which writes were held and for how long, and the last few hundred events.",
        tags: ["cluster"],
        response: replies({ 200: RefTo(Dlm) }),
      },
    },
    async () => await dlmResource(control),
  );
}
