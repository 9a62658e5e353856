/**
 * What is to be ended when the last test file of this process has run: what several of its files
 * share, from test/helpers to the end of test/runner/child.ts.
 */

const ends: (() => Promise<void>)[] = [];

export function afterAllFiles(end: () => Promise<void>): void {
  ends.push(end);
}

/** Ends everything, the newest first. Rejects with the first error, after the others have ended. */
export async function endAll(): Promise<void> {
  const results: PromiseSettledResult<void>[] = [];
  for (const end of ends.splice(0).reverse()) results.push(...(await Promise.allSettled([end()])));
  const failed = results.find((result) => result.status === "rejected");
  if (failed !== undefined) throw failed.reason;
}
