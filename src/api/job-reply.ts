/**
 * Answers verbs that run as jobs: 202 with the job, or with `Prefer: wait=N` the final resource
 * when the job ends within N seconds. A job that failed meanwhile is a problem, not a resource.
 *
 * Source: RFC 7240 (Prefer).
 */

import type { FastifyReply, FastifyRequest } from "fastify";
import { fromPlainError } from "../common/errors.ts";
import type { ControlPlane } from "../control/control-plane.ts";
import type { Job } from "../control/job.ts";
import { subjectOf } from "../control/subject.ts";
import { jobResource } from "./resources/job-resource.ts";
import type { JobResource } from "./schemas/job.ts";

/** Longest wait a request may ask for, seconds. */
export const WAIT_SECONDS_MAX = 60;

/** Seconds a request is willing to wait; 0 when it does not say. */
export function preferredWait(request: FastifyRequest): number {
  const header = [request.headers["prefer"] ?? ""].flat().join(",");
  const match = /(?:^|[,;\s])wait\s*=\s*"?([0-9]{1,5})"?/i.exec(header);
  return Math.min(Number(match?.[1] ?? 0), WAIT_SECONDS_MAX);
}

/** The final resource and its status, or the job and 202. */
export async function replyWithJob<Final>(
  control: ControlPlane,
  request: FastifyRequest,
  reply: FastifyReply,
  job: Job,
  final: { readonly status: 200 | 201; readonly show: (ended: Job) => Final },
): Promise<Final | JobResource> {
  const seconds = preferredWait(request);
  reply.header("location", subjectOf("job", job.id));
  if (seconds === 0) {
    reply.code(202);
    return jobResource(control, control.jobs.get(job.id));
  }
  reply.header("preference-applied", `wait=${seconds}`);
  const latest = await control.jobs.waitFor(job.id, AbortSignal.timeout(seconds * 1000));
  if (latest.state === "failed" && latest.problem !== null) {
    throw fromPlainError({
      ...latest.problem,
      details: { ...latest.problem.details, job: subjectOf("job", job.id) },
    });
  }
  if (latest.state === "succeeded") {
    reply.code(final.status).header("location", latest.subject);
    return final.show(latest);
  }
  reply.code(202);
  return jobResource(control, latest);
}
