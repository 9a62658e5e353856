/** Of an array that cannot start, which copies it waits for, as this board remembers it. Pure. */

import { parsePeerPath } from "../hal/peer-path.ts";
import type { ArrayStatus } from "../raid/array-status.ts";
import type { StartProblem } from "./array-view.ts";

/** Other copies than those that are here end the problem. */
export const LACKS_COPIES: ReadonlySet<string> = new Set([
  "CLUSTER_NEWER_COPY_ELSEWHERE",
  "CONTROL_ARRAY_INCOMPLETE",
  "CONTROL_NO_MEMBERS",
  "RAID_NOT_ENOUGH_MEMBERS",
  "RAID_NO_MEMBERS",
]);

/** As devices of other boards are called everywhere: BOARD.DISK. */
const nameOf = (path: string): string => {
  const peer = parsePeerPath(path);
  return peer === null ? path : `${peer.board}.${peer.disk}`;
};

/** Members that were in sync when the array ran here last, and cannot be read now. */
const lacking = ({ members }: StartProblem, status: ArrayStatus | null): string[] => {
  const here = new Set(
    members.filter(({ reason }) => reason !== "unreadable").map(({ path }) => path),
  );
  return (status?.members ?? []).flatMap(({ path, states }) =>
    path !== null && states.includes("in_sync") && !here.has(path) ? [nameOf(path)] : [],
  );
};

/** The problem with the names of the members that it waits for. */
export const withLackingCopies = (
  problem: StartProblem,
  status: ArrayStatus | null,
): StartProblem => {
  if (!LACKS_COPIES.has(problem.code)) return problem;
  const names = lacking(problem, status);
  const verb = names.length === 1 ? "is" : "are";
  const which = `; ${names.join(", ")}, in sync when it ran here last, ${verb} not here`;
  const isClustered = status?.bitmap.type === "clustered";
  const alone = "; it starts by itself when they are back";
  return {
    ...problem,
    message: `${problem.message}${names.length === 0 ? "" : which}`,
    remedy: `${problem.remedy}${isClustered ? alone : ""}`,
  };
};
