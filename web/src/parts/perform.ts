/** Carrying out an action: busy while it runs, then done, or with the problem it met. */

import { useState } from "preact/hooks";
import type { ProblemDocument } from "../../../src/api/schemas/common.ts";
import { ApiProblem } from "../api/api-client.ts";
import type { ApiRequest } from "../api/api-request.ts";
import { t } from "../messages/translate.ts";
import { isUnauthenticated, session, signOut } from "../shell/session.ts";

/** Sends the request with the session. Errors: ApiProblem; signs out when the token is refused. */
export async function perform<Reply>(request: ApiRequest): Promise<Reply> {
  const { client } = session.value ?? {};
  if (client === undefined) {
    throw new Error("nobody is signed in");
  }
  try {
    return await client.send<Reply>(request);
  } catch (error) {
    if (isUnauthenticated(error)) {
      signOut(t("sign-in.expired"));
    }
    throw error;
  }
}

/** The problem behind any failure of `perform`. Errors: passes on what is no ApiProblem. */
export function problemOf(error: unknown): ProblemDocument {
  if (error instanceof ApiProblem) {
    return error.document;
  }
  throw error;
}

/** What a button or a dialog shows of an action. */
export interface Performance {
  readonly isBusy: boolean;
  readonly problem: ProblemDocument | null;
  /** Runs the work; resolves to false when it met a problem. */
  readonly run: (work: () => Promise<void>) => Promise<boolean>;
  readonly reset: () => void;
}

/** The state of one action at a time; `onProblem` is told of each problem. */
export function usePerformance(onProblem?: (problem: ProblemDocument) => void): Performance {
  const [isBusy, setBusy] = useState(false);
  const [problem, setProblem] = useState<ProblemDocument | null>(null);
  const run = async (work: () => Promise<void>): Promise<boolean> => {
    setBusy(true);
    setProblem(null);
    try {
      await work();
      return true;
    } catch (error) {
      const met = problemOf(error);
      setProblem(met);
      onProblem?.(met);
      return false;
    } finally {
      setBusy(false);
    }
  };
  return { isBusy, problem, run, reset: () => setProblem(null) };
}
