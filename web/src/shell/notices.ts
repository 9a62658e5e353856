/** Short messages about what was done, and problems of actions that have no dialog. */

import { signal } from "@preact/signals";
import type { ProblemDocument } from "../../../src/api/schemas/common.ts";

/** One notice; with a problem it stays until it is dismissed. */
export interface Notice {
  readonly id: number;
  readonly text: string;
  readonly problem: ProblemDocument | null;
}

const SHOWN_MS = 6000;
const NOTICES_MAX = 4;

/** The notices on show, oldest first. */
export const notices = signal<readonly Notice[]>([]);

let lastId = 0;

const show = (text: string, problem: ProblemDocument | null): number => {
  lastId += 1;
  notices.value = [...notices.value, { id: lastId, text, problem }].slice(-NOTICES_MAX);
  return lastId;
};

/** Takes a notice away. */
export function dismiss(id: number): void {
  notices.value = notices.value.filter((notice) => notice.id !== id);
}

/** Says what was done, for a few seconds. */
export function notify(text: string): void {
  const id = show(text, null);
  window.setTimeout(() => dismiss(id), SHOWN_MS);
}

/** Shows a problem until it is dismissed. */
export function notifyProblem(problem: ProblemDocument): void {
  show(problem.title, problem);
}
