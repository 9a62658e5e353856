/** Jobs: list, look at, cancel. */

import { CodedError } from "../../common/errors.ts";
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

  app.post(
    "/api/v1/jobs/:job_id/actions/cancel",
    {
      schema: {
        operationId: "cancelJob",
        summary: "Cancel a running check or repair",
        tags: ["jobs"],
        params: JobParams,
        response: replies({ 200: RefTo(JobObject) }),
      },
    },
    async ({ params }) =>
      jobResource(control, await control.memberCommands.cancelJob(params.job_id)),
  );
}
