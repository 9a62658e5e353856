/** Boards of the cluster that serve their disks to each other. */

import { peerReportResource } from "../resources/peer-resource.ts";
import { replies } from "../responses.ts";
import type { ApiServer, RouteContext } from "../route-context.ts";
import { RefTo } from "../schemas/common.ts";
import { PeerReport } from "../schemas/peer.ts";

/** Registers the route. */
export function registerPeerRoutes(app: ApiServer, { control }: RouteContext): void {
  app.get(
    "/api/v1/peers",
    {
      schema: {
        operationId: "getPeers",
        summary: "Boards that serve their disks to each other, and who reaches which disk",
        description:
          "As this board sees them: each board with its disks, the state of every way between a board and a disk, and for whom this board's own exports work. Empty on a board that serves no disks.",
        tags: ["cluster"],
        response: replies({ 200: RefTo(PeerReport) }),
      },
    },
    async () => await peerReportResource(control),
  );
}
