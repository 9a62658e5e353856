/** Arrays: list, create, assemble, import, stop; their sync action and bitmaps. */

import { Type } from "typebox";
import type { CreateOrder } from "../../control/array-plan.ts";
import type { Job } from "../../control/job.ts";
import { replyWithJob } from "../job-reply.ts";
import { pageOf } from "../page.ts";
import {
  arrayResource,
  bitmapResources,
  candidateResource,
  planResource,
  syncActionResource,
} from "../resources/array-resource.ts";
import { jobResource } from "../resources/job-resource.ts";
import { replies } from "../responses.ts";
import type { ApiServer, RouteContext } from "../route-context.ts";
import {
  ArrayCandidateList,
  type ArrayCreateRequest,
  ArrayList,
  ArrayObject,
  ArrayParams,
  ArrayPlan,
  ArrayPost,
  ArrayStop,
} from "../schemas/array.ts";
import { BitmapList } from "../schemas/bitmap.ts";
import { DryRunQuery, PageQuery, RefTo } from "../schemas/common.ts";
import { JobObject } from "../schemas/job.ts";
import { SyncAction, SyncActionPut } from "../schemas/sync-action.ts";

const orderOf = (body: ArrayCreateRequest): CreateOrder => ({
  name: body.name,
  level: body.level,
  devices: body.device_ids,
  raidDevices: body.raid_devices ?? null,
  bitmap: body.bitmap ?? "internal",
  bitmapChunkBytes: body.bitmap_chunk_size ?? null,
  metadata: body.metadata ?? "1.2",
  sizeBytes: body.size ?? null,
  assumeClean: body.assume_clean ?? false,
  force: body.force ?? false,
});

const registerCollection = (app: ApiServer, { control }: RouteContext): void => {
  app.get(
    "/api/v1/arrays",
    {
      schema: {
        operationId: "listArrays",
        summary: "Every array of the board, running or not",
        tags: ["arrays"],
        querystring: PageQuery,
        response: replies({ 200: RefTo(ArrayList) }),
      },
    },
    async ({ query }) => {
      const page = pageOf(
        control.arrays.list(),
        query,
        (view) => view.record.uuid,
        (view) => arrayResource(control, view),
      );
      return { ...page, items: [...page.items] };
    },
  );

  app.get(
    "/api/v1/arrays/candidates",
    {
      schema: {
        operationId: "listArrayCandidates",
        summary: "Arrays found in superblocks on devices that do not run",
        tags: ["arrays"],
        response: replies({ 200: RefTo(ArrayCandidateList) }),
      },
    },
    async () => ({
      items: control.arrayCommands.candidates().map(candidateResource),
      next_cursor: null,
    }),
  );
};

const registerCreate = (app: ApiServer, { control }: RouteContext): void => {
  const shown = (job: Job) =>
    arrayResource(control, control.arrays.find(String(job.result?.["array_id"])));

  app.post(
    "/api/v1/arrays",
    {
      schema: {
        operationId: "createArray",
        summary: "Create an array, or start one that is known (assemble) or found (import)",
        description:
          "The array is usable at once; a first resync goes on as a job. With dry_run a create is checked and planned, and nothing is written.",
        tags: ["arrays"],
        querystring: DryRunQuery,
        body: RefTo(ArrayPost),
        response: replies({
          200: Type.Union([RefTo(ArrayObject), RefTo(ArrayPlan)]),
          201: RefTo(ArrayObject),
          202: RefTo(JobObject),
        }),
      },
    },
    async (request, reply) => {
      const { body, actor } = request;
      const { arrayCommands } = control;
      if ("assemble" in body) {
        const job = await arrayCommands.assemble(body.assemble, body.read_only ?? false, actor);
        return await replyWithJob(control, request, reply, job, { status: 200, show: shown });
      }
      if ("import" in body) {
        const job = await arrayCommands.importDevices(body.import, body.read_only ?? false, actor);
        return await replyWithJob(control, request, reply, job, { status: 200, show: shown });
      }
      if (request.query.dry_run) {
        return planResource(await arrayCommands.plan(orderOf(body)));
      }
      const job = await arrayCommands.create(orderOf(body), actor);
      return await replyWithJob(control, request, reply, job, { status: 201, show: shown });
    },
  );
};

const registerOne = (app: ApiServer, { control }: RouteContext): void => {
  app.get(
    "/api/v1/arrays/:array",
    {
      schema: {
        operationId: "getArray",
        summary: "One array by uuid or unique name",
        tags: ["arrays"],
        params: ArrayParams,
        response: replies({ 200: RefTo(ArrayObject) }),
      },
    },
    async ({ params }) => arrayResource(control, control.arrays.find(params.array)),
  );

  app.delete(
    "/api/v1/arrays/:array",
    {
      schema: {
        operationId: "stopArray",
        summary: "Stop an array; `confirm` is its name",
        description: "Its members keep their content and superblocks; it can be assembled again.",
        tags: ["arrays"],
        params: ArrayParams,
        body: RefTo(ArrayStop),
        response: replies({ 200: RefTo(JobObject), 202: RefTo(JobObject) }),
      },
    },
    async (request, reply) => {
      const { body, params, actor } = request;
      const order = {
        confirm: body.confirm ?? null,
        force: body.force ?? false,
        forget: body.forget ?? false,
      };
      const job = control.arrayCommands.stop(params.array, order, actor);
      return await replyWithJob(control, request, reply, job, {
        status: 200,
        show: (ended) => jobResource(control, ended),
      });
    },
  );
};

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
        ...(body.sync_speed_min === undefined ? {} : { speedMin: body.sync_speed_min }),
        ...(body.sync_speed_max === undefined ? {} : { speedMax: body.sync_speed_max }),
      };
      await control.memberCommands.setSync(params.array, change, actor);
      return syncActionResource(control, control.arrays.find(params.array));
    },
  );

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
};

/** Registers the routes. */
export function registerArrayRoutes(app: ApiServer, context: RouteContext): void {
  registerCollection(app, context);
  registerCreate(app, context);
  registerOne(app, context);
  registerSync(app, context);
}
