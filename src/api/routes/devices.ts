/** Devices: list, make file-backed ones, label. */

import { Type } from "typebox";
import { pageOf } from "../page.ts";
import { deviceResource } from "../resources/device-resource.ts";
import { replies } from "../responses.ts";
import type { ApiServer, RouteContext } from "../route-context.ts";
import { PageQuery, RefTo } from "../schemas/common.ts";
import {
  DeviceCreate,
  DeviceList,
  DeviceObject,
  DeviceParams,
  DevicePatch,
} from "../schemas/device.ts";

const registerCollection = (app: ApiServer, { control }: RouteContext): void => {
  app.get(
    "/api/v1/devices",
    {
      schema: {
        operationId: "listDevices",
        summary: "Every device of the board, usable or not, with the reason",
        tags: ["devices"],
        querystring: PageQuery,
        response: replies({ 200: RefTo(DeviceList) }),
      },
    },
    async ({ query }) => {
      const page = pageOf(
        control.devices.list(),
        query,
        (view) => view.record.id,
        (view) => deviceResource(control, view),
      );
      return { ...page, items: [...page.items] };
    },
  );

  app.post(
    "/api/v1/devices",
    {
      schema: {
        operationId: "createDevice",
        summary: "Make a file-backed device in the data directory",
        tags: ["devices"],
        body: RefTo(DeviceCreate),
        response: replies({ 201: RefTo(DeviceObject) }),
      },
    },
    async ({ body }, reply) => {
      const view = await control.devices.createImage(body.name ?? null, body.size);
      const shown = deviceResource(control, view);
      return reply.code(201).header("location", shown.links["self"]).send(shown);
    },
  );
};

const registerOne = (app: ApiServer, { control }: RouteContext): void => {
  app.get(
    "/api/v1/devices/:device_id",
    {
      schema: {
        operationId: "getDevice",
        summary: "One device by id",
        tags: ["devices"],
        params: DeviceParams,
        response: replies({ 200: RefTo(DeviceObject) }),
      },
    },
    async ({ params }) => deviceResource(control, control.devices.find(params.device_id)),
  );

  app.patch(
    "/api/v1/devices/:device_id",
    {
      schema: {
        operationId: "labelDevice",
        summary: "Set or clear the label of a device",
        tags: ["devices"],
        params: DeviceParams,
        body: RefTo(DevicePatch),
        response: replies({ 200: RefTo(DeviceObject) }),
      },
    },
    async ({ params, body }) =>
      deviceResource(control, control.devices.setLabel(params.device_id, body.label)),
  );

  app.delete(
    "/api/v1/devices/:device_id",
    {
      schema: {
        operationId: "forgetDevice",
        summary: "Forget a missing device that nothing names any more",
        tags: ["devices"],
        params: DeviceParams,
        response: replies({ 204: Type.Null() }),
      },
    },
    async ({ params }, reply) => {
      control.devices.forget(params.device_id);
      return reply.code(204).send(null);
    },
  );
};

/** Registers the routes. */
export function registerDeviceRoutes(app: ApiServer, context: RouteContext): void {
  registerCollection(app, context);
  registerOne(app, context);
}
