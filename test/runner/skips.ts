/**
 * The skips of this process with their reasons, from test/helpers/skip.ts to the group's report.
 */

export interface Skip {
  readonly name: string;
  readonly reason: string;
}

const skips: Skip[] = [];

export function recordSkip(name: string, reason: string): void {
  skips.push({ name, reason });
}

/** The skips since the last call. */
export function takeSkips(): Skip[] {
  return skips.splice(0);
}
