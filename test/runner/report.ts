/**
 * What the process of a group tells the runner: one JSON object per line on descriptor 3, written
 * as things happen, so that a hang or a crash still names the file it happened in.
 */
import type { Skip } from "./skips.ts";

/** The descriptor that reports go to. */
export const REPORT_FD = 3;

/** A file was begun; its `file` line follows when all its suites have run. */
export interface FileStarted {
  readonly type: "started";
  readonly file: string;
}

/**
 * A file ended. `failures` are formatted texts; `failed` counts tests, and at least 1 if any text.
 */
export interface FileEnded {
  readonly type: "ended";
  readonly file: string;
  readonly passed: number;
  readonly failed: number;
  readonly skips: readonly Skip[];
  readonly failures: readonly string[];
}

/** Every file ended; the process now only has to exit by itself. */
export interface AllEnded {
  readonly type: "all-ended";
}

/** The process did not exit by itself: what keeps it alive, in Node's names. */
export interface Leaked {
  readonly type: "leaked";
  readonly resources: readonly string[];
}

export type Report = FileStarted | FileEnded | AllEnded | Leaked;

/** Parses one line; it was written by our own child, so anything else is a broken runner. */
export function parseReport(line: string): Report {
  return JSON.parse(line) as Report;
}
