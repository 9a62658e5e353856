/** Requests to a board that may be too busy for them just now, and says how long to wait. */
import { setTimeout as pause } from "node:timers/promises";

const LIMIT_MS = 60_000;
const PAUSE_MIN_MS = 10;
/** What ends by itself soon; the cluster's troubles are answers. */
const SHED = new Set(["API_OVERLOADED", "API_NOT_READY"]);

/**
 * The board's answer; one that sheds the request (503 with Retry-After) is waited for, and given
 * back only when it would be asked for longer than the limit.
 */
export async function patientFetch(
  url: string,
  init: RequestInit,
  limitMs = LIMIT_MS,
): Promise<Response> {
  const until = performance.now() + limitMs;
  for (;;) {
    const response = await fetch(url, init);
    const seconds = Number(response.headers.get("retry-after") ?? Number.NaN);
    if (response.status !== 503 || Number.isNaN(seconds)) return response;
    const problem = (await response.clone().json()) as { readonly code?: string };
    if (!SHED.has(problem.code ?? "")) return response;
    const pauseMs = Math.max(PAUSE_MIN_MS, seconds * 1000);
    if (performance.now() + pauseMs > until) return response;
    await response.body?.cancel();
    await pause(pauseMs);
  }
}
