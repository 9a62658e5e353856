/** The board. */

import { systemResource } from "../resources/system-resource.ts";
import { replies } from "../responses.ts";
import type { ApiServer, RouteContext } from "../route-context.ts";
import { RefTo } from "../schemas/common.ts";
import { System } from "../schemas/system.ts";

/** Registers the route. */
export function registerSystemRoutes(app: ApiServer, { control }: RouteContext): void {
  app.get(
    "/api/v1/system",
    {
      schema: {
        operationId: "getSystem",
        summary: "Version, addresses and health of the board",
        tags: ["system"],
        response: replies({ 200: RefTo(System) }),
      },
    },
    async () => systemResource(control),
  );
}
