/** Arrays: list, create, assemble, import, change, stop. */

import { Type } from "typebox";
import type { ArrayPatch as ArrayPatchOrder } from "../../control/array-change-commands.ts";
import type { ImportOrder } from "../../control/array-import.ts";
import type { CreateOrder } from "../../control/array-plan.ts";
import type { Job } from "../../control/job.ts";
import { replyWithJob } from "../job-reply.ts";
import { pageOf } from "../page.ts";
import { candidateResource, planResource } from "../resources/array-order-resource.ts";
import { arrayResource } from "../resources/array-resource.ts";
import { jobResource } from "../resources/job-resource.ts";
import { replies } from "../responses.ts";
import type { ApiServer, RouteContext } from "../route-context.ts";
import { ArrayList, ArrayObject, ArrayParams, ArrayStop } from "../schemas/array.ts";
import { ArrayCandidateList } from "../schemas/array-candidate.ts";
import {
  type ArrayCreateRequest,
  type ArrayImportRequest,
  ArrayPatch,
  type ArrayPatchRequest,
  ArrayPlan,
  ArrayPost,
} from "../schemas/array-order.ts";
import { DryRunQuery, PageQuery, RefTo } from "../schemas/common.ts";
import { JobObject } from "../schemas/job.ts";

const orderOf = (body: ArrayCreateRequest): CreateOrder => ({
  name: body.name,
  level: body.level,
  layout: body.layout ?? null,
  chunkBytes: body.chunk_size ?? null,
  devices: body.device_ids,
  raidDevices: body.raid_devices ?? null,
  bitmap: body.bitmap ?? "internal",
  bitmapChunkBytes: body.bitmap_chunk_size ?? null,
  nodes: body.nodes ?? null,
  clusterName: body.home_cluster ?? null,
  writeMostly: body.write_mostly ?? [],
  failfast: body.failfast ?? [],
  metadata: body.metadata ?? "1.2",
  sizeBytes: body.size ?? null,
  assumeClean: body.assume_clean ?? false,
  force: body.force ?? false,
});

const importOf = (body: ArrayImportRequest): ImportOrder => ({
  devices: body.import,
  readOnly: body.read_only ?? false,
  run: body.run ?? false,
  exportName: body.export ?? null,
});

const patchOf = (body: ArrayPatchRequest): ArrayPatchOrder => ({
  ...(body.name === undefined ? {} : { name: body.name }),
  ...(body.size === undefined ? {} : { sizeBytes: body.size }),
  ...(body.raid_devices === undefined ? {} : { raidDevices: body.raid_devices }),
  ...(body.bitmap === undefined ? {} : { bitmap: bitmapOf(body.bitmap) }),
  ...(body.home_cluster === undefined ? {} : { clusterName: body.home_cluster }),
  ...(body.bad_block_list === undefined
    ? {}
    : { badBlockList: { enabled: body.bad_block_list, force: body.force ?? false } }),
  ...(body.sync_speed_min === undefined ? {} : { speedMin: body.sync_speed_min }),
  ...(body.sync_speed_max === undefined ? {} : { speedMax: body.sync_speed_max }),
});

const bitmapOf = (bitmap: NonNullable<ArrayPatchRequest["bitmap"]>) => ({
  ...(bitmap.type === undefined ? {} : { type: bitmap.type }),
  ...(bitmap.chunk_size === undefined ? {} : { chunkBytes: bitmap.chunk_size }),
  ...(bitmap.nodes === undefined ? {} : { nodes: bitmap.nodes }),
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
        description: "With what starting each would come to, and why a device takes no part.",
        tags: ["arrays"],
        response: replies({ 200: RefTo(ArrayCandidateList) }),
      },
    },
    async () => ({
      items: (await control.arrayImport.candidates()).map(candidateResource),
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
        const order = { readOnly: body.read_only ?? false, run: body.run ?? false };
        const job = await arrayCommands.assemble(body.assemble, order, actor);
        return await replyWithJob(control, request, reply, job, { status: 200, show: shown });
      }
      if ("import" in body) {
        const job = await control.arrayImport.take(importOf(body), actor);
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
};

const registerChange = (app: ApiServer, { control }: RouteContext): void => {
  app.patch(
    "/api/v1/arrays/:array",
    {
      schema: {
        operationId: "changeArray",
        summary: "Change a running array: name, size, raid devices, bitmap, cluster, speed limits",
        description:
          "As mdadm --grow. Clients stay attached. Speed limits apply at once, the rest is a job.",
        tags: ["arrays"],
        params: ArrayParams,
        body: RefTo(ArrayPatch),
        response: replies({ 200: RefTo(ArrayObject), 202: RefTo(JobObject) }),
      },
    },
    async (request, reply) => {
      const { body, params, actor } = request;
      // The name may be what changes.
      const { uuid } = control.arrays.find(params.array).record;
      const job = await control.arrayChanges.change(uuid, patchOf(body), actor);
      const show = () => arrayResource(control, control.arrays.find(uuid));
      return job === null
        ? show()
        : await replyWithJob(control, request, reply, job, { status: 200, show });
    },
  );
};

const registerStop = (app: ApiServer, { control }: RouteContext): void => {
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

/** Registers the routes. */
export function registerArrayRoutes(app: ApiServer, context: RouteContext): void {
  registerCollection(app, context);
  registerCreate(app, context);
  registerOne(app, context);
  registerChange(app, context);
  registerStop(app, context);
}
