/** Exports: list, make, change, delete; their clients; how to attach them. */

import { Type } from "typebox";
import type { ControlPlane } from "../../control/control-plane.ts";
import type { ExportView } from "../../control/export-service.ts";
import { type AttachPlace, attachItems } from "../attach-commands.ts";
import { pageOf } from "../page.ts";
import {
  clientResource,
  exportResource,
  exportUris,
  reachableHost,
  urisElsewhere,
} from "../resources/export-resource.ts";
import { replies } from "../responses.ts";
import type { ApiServer, RouteContext } from "../route-context.ts";
import { PageQuery, RefTo } from "../schemas/common.ts";
import {
  Attach,
  AttachQuery,
  type AttachResource,
  ExportClientList,
  ExportCreate,
  ExportDeleteQuery,
  ExportList,
  ExportObject,
  ExportParams,
  ExportPatch,
} from "../schemas/export.ts";

const attachOf = async (control: ControlPlane, view: ExportView): Promise<AttachResource> => {
  const { tcp, socketPath } = control.engine.nbd;
  const uris = exportUris(control, view);
  const places: AttachPlace[] = [];
  if (uris.unix !== null && socketPath !== null) {
    places.push({ transport: "unix", uri: uris.unix, socketPath });
  }
  if (uris.tcp !== null && tcp !== null) {
    const host = reachableHost(control, tcp.host);
    places.push({ transport: "tcp", uri: uris.tcp, host, port: tcp.port });
  }
  return {
    export_id: view.record.name,
    uris,
    closed: view.isOpen ? null : (view.reason ?? "it is closed"),
    elsewhere: urisElsewhere(view, await control.elsewhere(view.record.arrayUuid)),
    items: places.flatMap((place) => attachItems(place, view.record.name)),
  };
};

const registerCollection = (app: ApiServer, { control }: RouteContext): void => {
  app.get(
    "/api/v1/exports",
    {
      schema: {
        operationId: "listExports",
        summary: "Every NBD export",
        tags: ["exports"],
        querystring: PageQuery,
        response: replies({ 200: RefTo(ExportList) }),
      },
    },
    async ({ query }) => {
      const page = pageOf(
        control.exports.list(),
        query,
        (view) => view.record.name,
        (view) => exportResource(control, view),
      );
      return { ...page, items: [...page.items] };
    },
  );

  app.post(
    "/api/v1/exports",
    {
      schema: {
        operationId: "createExport",
        summary: "Export an array under a name",
        tags: ["exports"],
        body: RefTo(ExportCreate),
        response: replies({ 201: RefTo(ExportObject) }),
      },
    },
    async ({ body }, reply) => {
      const view = await control.exports.create({
        name: body.name,
        array: body.array,
        description: body.description ?? "",
        readOnly: body.read_only ?? false,
        tlsRequired: body.tls_required ?? false,
      });
      const shown = exportResource(control, view);
      return reply.code(201).header("location", shown.links["self"]).send(shown);
    },
  );
};

const registerOne = (app: ApiServer, { control }: RouteContext): void => {
  app.get(
    "/api/v1/exports/:export_id",
    {
      schema: {
        operationId: "getExport",
        summary: "One export",
        tags: ["exports"],
        params: ExportParams,
        response: replies({ 200: RefTo(ExportObject) }),
      },
    },
    async ({ params }) => exportResource(control, control.exports.find(params.export_id)),
  );

  app.patch(
    "/api/v1/exports/:export_id",
    {
      schema: {
        operationId: "changeExport",
        summary: "Change an export; refused while clients are attached, unless forced",
        tags: ["exports"],
        params: ExportParams,
        body: RefTo(ExportPatch),
        response: replies({ 200: RefTo(ExportObject) }),
      },
    },
    async ({ params, body }) => {
      const change = {
        ...(body.description === undefined ? {} : { description: body.description }),
        ...(body.read_only === undefined ? {} : { readOnly: body.read_only }),
        ...(body.tls_required === undefined ? {} : { tlsRequired: body.tls_required }),
      };
      const view = await control.exports.change(params.export_id, change, body.force ?? false);
      return exportResource(control, view);
    },
  );

  app.delete(
    "/api/v1/exports/:export_id",
    {
      schema: {
        operationId: "deleteExport",
        summary: "Delete an export; refused while clients are attached, unless forced",
        tags: ["exports"],
        params: ExportParams,
        querystring: ExportDeleteQuery,
        response: replies({ 204: Type.Null() }),
      },
    },
    async ({ params, query }, reply) => {
      await control.exports.remove(params.export_id, query.force ?? false);
      return reply.code(204).send(null);
    },
  );
};

const registerUse = (app: ApiServer, { control }: RouteContext): void => {
  app.get(
    "/api/v1/exports/:export_id/clients",
    {
      schema: {
        operationId: "listExportClients",
        summary: "Connections to an export",
        tags: ["exports"],
        params: ExportParams,
        response: replies({ 200: RefTo(ExportClientList) }),
      },
    },
    async ({ params }) => ({
      items: control.exports.find(params.export_id).clients.map(clientResource),
      next_cursor: null,
    }),
  );

  app.get(
    "/api/v1/exports/:export_id/attach",
    {
      schema: {
        operationId: "getAttachCommands",
        summary: "Commands that attach the export, ready to paste",
        description: "With Accept: text/plain the commands alone.",
        tags: ["exports"],
        params: ExportParams,
        querystring: AttachQuery,
        response: replies({ 200: RefTo(Attach) }),
      },
    },
    async ({ params, query, headers }, reply) => {
      const all = await attachOf(control, control.exports.find(params.export_id));
      const items = all.items.filter(
        (item) =>
          (query.target === undefined || item.target === query.target) &&
          (query.transport === undefined || item.transport === query.transport),
      );
      if (/^text\/plain\b/.test(headers.accept ?? "")) {
        reply.type("text/plain; charset=utf-8");
        const text = `${items.map((item) => item.text).join("\n")}\n`;
        return reply.serializer((body: string) => body).send(text as never);
      }
      return { ...all, items };
    },
  );
};

/** Registers the routes. */
export function registerExportRoutes(app: ApiServer, context: RouteContext): void {
  registerCollection(app, context);
  registerOne(app, context);
  registerUse(app, context);
}
