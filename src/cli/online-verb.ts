/** What online verbs that change something have in common: flags, waiting for jobs, the report. */

import type { ArrayResource } from "../api/schemas/array.ts";
import type { JobResource } from "../api/schemas/job.ts";
import type { ApiClient } from "./api-client.ts";
import { followJob } from "./job-follow.ts";
import type { OnlineFlags } from "./online-access.ts";
import { printJson, printText } from "./output.ts";
import { statusLines } from "./status-text.ts";

/** Seconds a verb waits for its job before it asks for the job's end itself. */
export const VERB_WAIT_SECONDS = 60;

/** Flags of verbs that change something. */
export interface VerbFlags extends OnlineFlags {
  readonly force?: boolean;
  readonly wait?: boolean;
}

/** Prints lines for people. */
export function printLines(lines: readonly string[]): void {
  printText(`${lines.join("\n")}\n`);
}

/** Prints what a verb on an array led to. */
export function reportArray(flags: OnlineFlags, array: ArrayResource): void {
  if (flags.json) {
    printJson(array);
  } else {
    printLines(statusLines(array));
  }
}

/** True for a job, false for the resource that a verb led to. */
const isJob = (reply: object): reply is JobResource => "kind" in reply && "created_by" in reply;

/**
 * Runs a verb that answers with a job or the final resource, and waits for the job. Returns the id
 * of the array, for verbs on arrays.
 */
export async function runJob(
  client: ApiClient,
  method: string,
  path: string,
  body?: unknown,
): Promise<string> {
  const reply = await client.request<ArrayResource | JobResource>(method, path, {
    wait: VERB_WAIT_SECONDS,
    ...(body === undefined ? {} : { body }),
  });
  if (!isJob(reply)) {
    return reply.id;
  }
  if (reply.state !== "succeeded") {
    await followJob(client, reply.id);
  }
  return reply.subject.split("/").at(-1) ?? "";
}
