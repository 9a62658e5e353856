/** Deadlines for tests: uvu has none, so a promise that never settles would end a run silently. */
import type { Callback } from "uvu";

/**
 * Wraps the body of an async test so that it fails after `ms` milliseconds.
 * The body gets the uvu context and a signal that aborts at the deadline.
 * Use: `test("answers", withTimeout(5_000, async (context, signal) => { … }));`
 */
export function withTimeout<T>(
  ms: number,
  body: (context: Parameters<Callback<T>>[0], signal: AbortSignal) => Promise<void>,
): Callback<T> {
  return async (context) => {
    const controller = new AbortController();
    const { promise, reject } = Promise.withResolvers<never>();
    const error = new Error(`the test did not finish within ${ms} ms`);
    const timer = setTimeout(() => {
      controller.abort(error);
      reject(error);
    }, ms);
    try {
      await Promise.race([body(context, controller.signal), promise]);
    } finally {
      clearTimeout(timer);
    }
  };
}

/**
 * Waits until `probe` returns something other than undefined or false, and returns that.
 * Polls, because it is for the outside view of other processes; prefer an event where there is one.
 * Errors: rejects after `ms` milliseconds, naming `what`, with the probe's last error as cause.
 */
export async function eventually<R>(
  what: string,
  ms: number,
  probe: () => R | Promise<R>,
): Promise<Exclude<R, undefined | false>> {
  const deadline = performance.now() + ms;
  let cause: unknown;
  for (let pause = 2; ; pause = Math.min(pause * 2, 100)) {
    try {
      const result = await probe();
      if (result !== undefined && result !== false) return result as Exclude<R, undefined | false>;
      cause = undefined;
    } catch (error) {
      cause = error;
    }
    if (performance.now() > deadline) throw new Error(`not within ${ms} ms: ${what}`, { cause });
    await new Promise((resolve) => setTimeout(resolve, pause));
  }
}
