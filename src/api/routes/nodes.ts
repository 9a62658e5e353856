/** Boards: in service or not, drain, restart; what is lost when a board or a disk goes. */

import { CodedError } from "../../common/errors.ts";
import type { ControlPlane } from "../../control/control-plane.ts";
import { replyWithJob } from "../job-reply.ts";
import { impactResource, nodeResource } from "../resources/node-resource.ts";
import { replies } from "../responses.ts";
import type { ApiServer, RouteContext } from "../route-context.ts";
import { RefTo } from "../schemas/common.ts";
import { DeviceParams } from "../schemas/device.ts";
import { JobObject } from "../schemas/job.ts";
import {
  ImpactList,
  ImpactObject,
  NodeDrain,
  NodeList,
  NodeObject,
  NodeParams,
  NodeRestart,
} from "../schemas/node.ts";

const refuseUnknown = (control: ControlPlane, name: string): void => {
  if (control.nodes.names().includes(name)) return;
  throw new CodedError("CONTROL_NODE_NOT_FOUND", `there is no board ${name}`, {
    remedy: `boards that are there: ${control.nodes.names().join(", ")}`,
  });
};

const registerReading = (app: ApiServer, { control }: RouteContext): void => {
  app.get(
    "/api/v1/nodes",
    {
      schema: {
        operationId: "listNodes",
        summary: "Boards that are there; each tells its own state",
        tags: ["cluster"],
        response: replies({ 200: RefTo(NodeList) }),
      },
    },
    async () => {
      const names = control.nodes.names();
      const items = await Promise.all(names.map((name) => nodeResource(control, name)));
      return { items, next_cursor: null };
    },
  );

  app.get(
    "/api/v1/nodes/:node",
    {
      schema: {
        operationId: "getNode",
        summary: "One board",
        tags: ["cluster"],
        params: NodeParams,
        response: replies({ 200: RefTo(NodeObject) }),
      },
    },
    async ({ params }) => {
      refuseUnknown(control, params.node);
      return await nodeResource(control, params.node);
    },
  );
};

const registerImpact = (app: ApiServer, { control }: RouteContext): void => {
  app.get(
    "/api/v1/nodes/:node/impact",
    {
      schema: {
        operationId: "getNodeImpact",
        summary: "What is lost if this board stops now",
        tags: ["cluster"],
        params: NodeParams,
        response: replies({ 200: RefTo(ImpactObject) }),
      },
    },
    async ({ params }) => {
      refuseUnknown(control, params.node);
      return impactResource(await control.nodes.boardImpact(params.node));
    },
  );

  app.get(
    "/api/v1/devices/:device_id/impact",
    {
      schema: {
        operationId: "getDeviceImpact",
        summary: "Whether this device is safe to pull now",
        tags: ["devices"],
        params: DeviceParams,
        response: replies({ 200: RefTo(ImpactObject) }),
      },
    },
    async ({ params }) => impactResource(await control.nodes.deviceImpact(params.device_id)),
  );

  app.get(
    "/api/v1/impacts",
    {
      schema: {
        operationId: "listImpacts",
        summary:
          "What is lost if any one board stops, or any one device is pulled, all of one moment",
        tags: ["cluster"],
        response: replies({ 200: RefTo(ImpactList) }),
      },
    },
    async () => {
      const impacts = await control.nodes.impacts();
      return { items: impacts.map(impactResource), next_cursor: null };
    },
  );
};

const registerService = (app: ApiServer, { control }: RouteContext): void => {
  app.post(
    "/api/v1/nodes/:node/actions/drain",
    {
      schema: {
        operationId: "drainNode",
        summary: "Take this board out of service: other boards go on with its arrays",
        description:
          "`drain` leaves its disks to the others; `maintenance` fails them first, with the bits kept, so that the board can be switched off. Refused where it would cost the last in-sync copy or the quorum.",
        tags: ["cluster"],
        params: NodeParams,
        body: RefTo(NodeDrain),
        response: replies({ 200: RefTo(NodeObject), 202: RefTo(JobObject) }),
      },
    },
    async (request, reply) => {
      const { params, body, actor } = request;
      const { mode = "drain", force = false } = body;
      const job = await control.drains.drain(params.node, mode, force, actor);
      const shown = await nodeResource(control, params.node);
      return await replyWithJob(control, request, reply, job, { status: 200, show: () => shown });
    },
  );

  app.post(
    "/api/v1/nodes/:node/actions/undrain",
    {
      schema: {
        operationId: "undrainNode",
        summary: "Take this board into service again: arrays start, its disks are re-added",
        tags: ["cluster"],
        params: NodeParams,
        response: replies({ 200: RefTo(NodeObject), 202: RefTo(JobObject) }),
      },
    },
    async (request, reply) => {
      const { params, actor } = request;
      const job = control.drains.undrain(params.node, actor);
      const shown = await nodeResource(control, params.node);
      return await replyWithJob(control, request, reply, job, { status: 200, show: () => shown });
    },
  );
};

const registerRestart = (app: ApiServer, { control }: RouteContext): void => {
  app.post(
    "/api/v1/nodes/:node/actions/restart",
    {
      schema: {
        operationId: "restartNode",
        summary: "End this board's daemon cleanly; what runs it starts it again",
        description: "Refused where stopping the board now loses data, an array or the quorum.",
        tags: ["cluster"],
        params: NodeParams,
        body: RefTo(NodeRestart),
        response: replies({ 202: RefTo(ImpactObject) }),
      },
    },
    async ({ params, body }, reply) => {
      control.drains.refuseOther(params.node);
      const impact = await control.nodes.boardImpact(params.node);
      if (impact.verdict === "loses" && body.force !== true) {
        throw new CodedError("CONTROL_RESTART_REFUSED", impact.sentence, {
          remedy: "see to the reasons first, or ask with force (--force)",
          details: { reasons: impact.reasons },
        });
      }
      reply.raw.once("finish", () => control.options.endProcess());
      return reply.code(202).send(impactResource(impact));
    },
  );
};

/** Registers the routes. */
export function registerNodeRoutes(app: ApiServer, context: RouteContext): void {
  registerReading(app, context);
  registerImpact(app, context);
  registerService(app, context);
  registerRestart(app, context);
}
