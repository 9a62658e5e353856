/** What an array tells besides itself: its sync action, bitmaps, mismatches and rescue commands. */

import { rescueGuide, rescueText } from "../../control/rescue.ts";
import { rescueFacts } from "../../control/rescue-facts.ts";
import {
  bitmapResources,
  mismatchesResource,
  syncActionResource,
} from "../resources/array-resource.ts";
import { rescueResource } from "../resources/rescue-resource.ts";
import { replies } from "../responses.ts";
import type { ApiServer, RouteContext } from "../route-context.ts";
import { ArrayParams } from "../schemas/array.ts";
import { BitmapList } from "../schemas/bitmap.ts";
import { RefTo } from "../schemas/common.ts";
import { Mismatches } from "../schemas/mismatch.ts";
import { Rescue } from "../schemas/rescue.ts";
import { SyncAction, SyncActionPut } from "../schemas/sync-action.ts";

const registerSync = (app: ApiServer, { control }: RouteContext): void => {
  app.get(
    "/api/v1/arrays/:array/sync-action",
    {
      schema: {
        operationId: "getSyncAction",
        summary: "What sync action runs, and the speed limits",
        tags: ["arrays"],
        params: ArrayParams,
        response: replies({ 200: RefTo(SyncAction) }),
      },
    },
    async ({ params }) => syncActionResource(control, control.arrays.find(params.array)),
  );

  app.put(
    "/api/v1/arrays/:array/sync-action",
    {
      schema: {
        operationId: "setSyncAction",
        summary: "Start or end a check or repair, freeze syncs, set the speed limits",
        tags: ["arrays"],
        params: ArrayParams,
        body: RefTo(SyncActionPut),
        response: replies({ 200: RefTo(SyncAction) }),
      },
    },
    async ({ params, body, actor }) => {
      const change = {
        ...(body.action === undefined ? {} : { action: body.action }),
        ...(body.from === undefined ? {} : { from: body.from }),
        ...(body.to === undefined ? {} : { to: body.to }),
        ...(body.sync_speed_min === undefined ? {} : { speedMin: body.sync_speed_min }),
        ...(body.sync_speed_max === undefined ? {} : { speedMax: body.sync_speed_max }),
      };
      await control.memberCommands.setSync(params.array, change, actor);
      return syncActionResource(control, control.arrays.find(params.array));
    },
  );
};

const registerReports = (app: ApiServer, { control }: RouteContext): void => {
  app.get(
    "/api/v1/arrays/:array/bitmaps",
    {
      schema: {
        operationId: "listBitmaps",
        summary: "The write-intent bitmaps: dirty and total chunks",
        tags: ["arrays"],
        params: ArrayParams,
        response: replies({ 200: RefTo(BitmapList) }),
      },
    },
    async ({ params }) => ({
      items: bitmapResources(control, control.arrays.find(params.array)),
      next_cursor: null,
    }),
  );

  app.get(
    "/api/v1/arrays/:array/mismatches",
    {
      schema: {
        operationId: "listMismatches",
        summary: "Where the last check or repair found the copies different",
        tags: ["arrays"],
        params: ArrayParams,
        response: replies({ 200: RefTo(Mismatches) }),
      },
    },
    async ({ params }) => mismatchesResource(control.arrays.find(params.array)),
  );

  app.get(
    "/api/v1/arrays/:array/rescue",
    {
      schema: {
        operationId: "getRescue",
        summary: "The mdadm commands that read the array on any Linux PC",
        description: "With Accept: text/plain a text of commands and comments.",
        tags: ["arrays"],
        params: ArrayParams,
        response: replies({ 200: RefTo(Rescue) }),
      },
    },
    async ({ params, headers }, reply) => {
      const guide = rescueGuide(await rescueFacts(control, params.array));
      if (/^text\/plain\b/.test(headers.accept ?? "")) {
        reply.type("text/plain; charset=utf-8");
        return reply.serializer((body: string) => body).send(rescueText(guide) as never);
      }
      return rescueResource(guide);
    },
  );
};

/** Registers the routes. */
export function registerArrayReportRoutes(app: ApiServer, context: RouteContext): void {
  registerSync(app, context);
  registerReports(app, context);
}
