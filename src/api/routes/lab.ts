/** Faults of the lab: only when the daemon runs in lab mode. */

import { Type } from "typebox";
import type { LabFault as PlacedFault } from "../../control/lab-faults.ts";
import { replies } from "../responses.ts";
import type { ApiServer, RouteContext } from "../route-context.ts";
import { RefTo } from "../schemas/common.ts";
import {
  LabFault,
  LabFaultCreate,
  LabFaultList,
  LabFaultQuery,
  type LabFaultResource,
} from "../schemas/lab.ts";

const faultResource = ({ deviceId, fault }: PlacedFault): LabFaultResource => ({
  device_id: deviceId ?? "",
  path: fault.path,
  kind: fault.kind,
  after: fault.after,
  count: fault.count,
  range: fault.range === null ? null : { ...fault.range },
  stall_ms: fault.stallMs,
});

/** Registers the routes. */
export function registerLabRoutes(app: ApiServer, { control }: RouteContext): void {
  app.get(
    "/api/v1/lab/faults",
    {
      schema: {
        operationId: "listFaults",
        summary: "Faults laid over members",
        tags: ["lab"],
        response: replies({ 200: RefTo(LabFaultList) }),
      },
    },
    async () => ({ items: control.labFaults.list().map(faultResource), next_cursor: null }),
  );

  app.post(
    "/api/v1/lab/faults",
    {
      schema: {
        operationId: "setFault",
        summary: "Lay a fault over a member",
        tags: ["lab"],
        body: RefTo(LabFaultCreate),
        response: replies({ 201: RefTo(LabFault) }),
      },
    },
    async ({ body }, reply) => {
      const placed = await control.labFaults.set(body.device_id, {
        kind: body.kind,
        after: body.after ?? 0,
        count: body.count ?? null,
        range: body.range ?? null,
        stallMs: body.stall_ms ?? 0,
      });
      return reply.code(201).send(faultResource(placed));
    },
  );

  app.delete(
    "/api/v1/lab/faults",
    {
      schema: {
        operationId: "clearFaults",
        summary: "Lift the faults of one device, or all",
        tags: ["lab"],
        querystring: LabFaultQuery,
        response: replies({ 204: Type.Null() }),
      },
    },
    async ({ query }, reply) => {
      await control.labFaults.clear(query.device_id ?? null);
      return reply.code(204).send(null);
    },
  );
}
