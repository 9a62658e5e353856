/**
 * The main thread knows of each session in which an array thread of this board touches members: the
 * board's exporter acknowledges the fence of a session only after that is over (own-sessions.ts).
 */

import { parentPort } from "node:worker_threads";
import { CodedError } from "../common/errors.ts";
import type { ArrayToMain, MainToArray, NotedSession } from "./array-messages.ts";
import type { OwnSession } from "./own-sessions.ts";

/**
 * BEFORE anything is touched in the session; resolves with the paths of own disks that may be old.
 * Errors: CLUSTER_EXPELLED when it is over already.
 */
export const noteSession = async (
  session: OwnSession,
  paths: readonly string[],
): Promise<ReadonlySet<string>> => {
  const { promise, resolve } = Promise.withResolvers<NotedSession>();
  const hear = (message: MainToArray): void => {
    if (message.type === "session-noted") resolve(message);
  };
  parentPort?.on("message", hear);
  parentPort?.postMessage({ type: "session", session, paths } satisfies ArrayToMain);
  const { isOver, distrusted } = await promise;
  parentPort?.off("message", hear);
  if (!isOver) return new Set(distrusted);
  throw new CodedError("CLUSTER_EXPELLED", "the others have gone on before this node took part", {
    remedy: "nothing: it joins again by itself",
  });
};
