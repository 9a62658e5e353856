/** Jobs: list, look at, cancel, pause, resume. */

import { CodedError } from "../../common/errors.ts";
import type { ControlPlane } from "../../control/control-plane.ts";
import { cursorKey, pageOfPrefix } from "../page.ts";
import { jobResource } from "../resources/job-resource.ts";
import { replies } from "../responses.ts";
import type { ApiServer, RouteContext } from "../route-context.ts";
import { RefTo } from "../schemas/common.ts";
import { JobList, JobObject, JobParams, JobQuery } from "../schemas/job.ts";

/** The place in the list that a cursor names: the last job of the page before. */
const placeOf = (cursor: string): { readonly createdAt: number; readonly id: string } => {
  const [createdAt = "", id = ""] = cursorKey(cursor).split(" ", 2);
  if (!/^[0-9]{1,16}$/.test(createdAt)) {
    throw new CodedError("API_VALIDATION_FAILED", "the cursor is not one of this server's", {
      remedy: "start again without cursor",
    });
  }
  return { createdAt: Number(createdAt), id };
};

const registerActions = (app: ApiServer, control: ControlPlane): void => {
  app.post(
    "/api/v1/jobs/:job_id/actions/cancel",
    {
      schema: {
        operationId: "cancelJob",
        summary: "Cancel a check or repair that has not ended",
        tags: ["jobs"],
        params: JobParams,
        response: replies({ 200: RefTo(JobObject) }),
      },
    },
    async ({ params }) =>
      jobResource(control, await control.scrubCommands.cancelJob(params.job_id)),
  );

  app.post(
    "/api/v1/jobs/:job_id/actions/pause",
    {
      schema: {
        operationId: "pauseJob",
        summary: "Pause a check, repair, resync or recovery",
        description:
          "A check or repair keeps its position until it is resumed. For a resync or recovery the array's sync actions are frozen; a restart of the daemon ends that.",
        tags: ["jobs"],
        params: JobParams,
        response: replies({ 200: RefTo(JobObject) }),
      },
    },
    async ({ params }) => jobResource(control, await control.scrubCommands.pauseJob(params.job_id)),
  );

  app.post(
    "/api/v1/jobs/:job_id/actions/resume",
    {
      schema: {
        operationId: "resumeJob",
        summary: "Let a paused job go on, at once or as soon as it may",
        tags: ["jobs"],
        params: JobParams,
        response: replies({ 200: RefTo(JobObject) }),
      },
    },
    async ({ params }) =>
      jobResource(control, await control.scrubCommands.resumeJob(params.job_id)),
  );
};

/** Registers the routes. */
export function registerJobRoutes(app: ApiServer, { control }: RouteContext): void {
  app.get(
    "/api/v1/jobs",
    {
      schema: {
        operationId: "listJobs",
        summary: "Jobs, newest first",
        tags: ["jobs"],
        querystring: JobQuery,
        response: replies({ 200: RefTo(JobList) }),
      },
    },
    async ({ query }) => {
      const limit = query.limit ?? 50;
      const found = control.jobs.page({
        limit: limit + 1,
        before: query.cursor === undefined ? null : placeOf(query.cursor),
        state: query.state ?? null,
        subject: query.subject ?? null,
      });
      const page = pageOfPrefix(
        found,
        limit,
        (job) => `${job.createdAt} ${job.id}`,
        (job) => jobResource(control, job),
      );
      return { ...page, items: [...page.items] };
    },
  );

  app.get(
    "/api/v1/jobs/:job_id",
    {
      schema: {
        operationId: "getJob",
        summary: "One job",
        tags: ["jobs"],
        params: JobParams,
        response: replies({ 200: RefTo(JobObject) }),
      },
    },
    async ({ params }) => jobResource(control, control.jobs.get(params.job_id)),
  );

  registerActions(app, control);
}
