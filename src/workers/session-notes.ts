/**
 * The main thread knows of each session in which an array thread of this board touches members: the
 * board's exporter acknowledges the fence of a session only after that is over (own-sessions.ts).
 */

import { parentPort } from "node:worker_threads";
import { CodedError } from "../common/errors.ts";
import type { ArrayToMain, MainToArray } from "./array-messages.ts";
import type { OwnSession } from "./own-sessions.ts";

/** BEFORE anything is touched in the session. Errors: CLUSTER_EXPELLED when it is over already. */
export const noteSession = async (session: OwnSession): Promise<void> => {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const hear = (message: MainToArray): void => {
    if (message.type === "session-noted") resolve(message.isOver);
  };
  parentPort?.on("message", hear);
  parentPort?.postMessage({ type: "session", session } satisfies ArrayToMain);
  const isOver = await promise;
  parentPort?.off("message", hear);
  if (!isOver) return;
  throw new CodedError("CLUSTER_EXPELLED", "the others have gone on before this node took part", {
    remedy: "nothing: it joins again by itself",
  });
};
