/** What starting an array from some paths would come to, and how much a member's bitmap marks. */

import { CodedError } from "../common/errors.ts";
import { assemblyReport } from "../raid/assembly-report.ts";
import type { AssemblyReport, FoundMember } from "../raid/assembly-status.ts";
import type { AssemblyCandidate } from "../raid/assembly-types.ts";
import { readCandidate } from "../raid/candidate-driver.ts";
import { readMarkedBytes } from "../raid/marked-bytes-driver.ts";
import { type ReadStore, withStore } from "./read-store.ts";

const unreadable = (path: string, error: CodedError): FoundMember => ({
  path,
  superblock: null,
  placement: "unusable",
  raidSlot: null,
  reason: "unreadable",
  text: error.message,
});

/**
 * The report for a board of `cluster` (null: of none); a path that cannot be opened is in it with
 * the reason. Never rejects for that.
 */
export const examinePaths = async (
  paths: readonly string[],
  cluster: string | null,
  open: ReadStore,
): Promise<AssemblyReport> => {
  const candidates: AssemblyCandidate[] = [];
  const unopened = new Map<string, FoundMember>();
  for (const path of paths) {
    try {
      candidates.push(await withStore(path, open, (device) => readCandidate(path, device)));
    } catch (error) {
      if (!(error instanceof CodedError)) throw error;
      unopened.set(path, unreadable(path, error));
    }
  }
  const report = assemblyReport(candidates, cluster);
  const judged = new Map(report.members.map((member) => [member.path, member]));
  const members = paths.flatMap((path) => judged.get(path) ?? unopened.get(path) ?? []);
  return { ...report, members };
};

/** Bytes that the bitmap on the device marks; null when it cannot tell. Never rejects for that. */
export const markedBytesOf = async (path: string, open: ReadStore): Promise<number | null> => {
  try {
    return await withStore(path, open, readMarkedBytes);
  } catch (error) {
    if (error instanceof CodedError) return null;
    throw error;
  }
};
