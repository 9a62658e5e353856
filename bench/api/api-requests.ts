/** What the API bench asks a board: what a panel, a script and a monitoring system ask. */
import { patientFetch } from "../../test/helpers/patient-fetch.ts";
import type { ServeProcess } from "../../test/helpers/serve-process.ts";
import { BENCH_ARRAY } from "../clients/satsuma.ts";

export interface ApiRequest {
  readonly name: string;
  readonly method: "GET" | "PATCH";
  /** Behind the board's URL. */
  readonly path: string;
  /** Another one each time, so that something is stored. */
  readonly body?: (count: number) => unknown;
}

export const API_REQUESTS: readonly ApiRequest[] = [
  { name: "list arrays", method: "GET", path: "/api/v1/arrays" },
  { name: "get array", method: "GET", path: `/api/v1/arrays/${BENCH_ARRAY}` },
  { name: "list devices", method: "GET", path: "/api/v1/devices" },
  { name: "list events", method: "GET", path: "/api/v1/events" },
  { name: "get system", method: "GET", path: "/api/v1/system" },
  { name: "metrics", method: "GET", path: "/metrics" },
  {
    name: "label a device",
    method: "PATCH",
    path: `/api/v1/devices/${BENCH_ARRAY}-0`,
    body: (count) => ({ label: `label ${count}` }),
  },
];

/**
 * Sends a request, reads the whole answer. Returns milliseconds, with those that a board which is
 * too busy asked to wait. Errors: unless it answers 2xx.
 */
export async function sendRequest(
  { url, token }: Pick<ServeProcess, "url" | "token">,
  { method, path, body }: ApiRequest,
  count: number,
): Promise<number> {
  const headers: Record<string, string> = { authorization: `Bearer ${token}` };
  const init: RequestInit = { method, headers };
  if (body !== undefined) {
    headers["content-type"] = "application/json";
    init.body = JSON.stringify(body(count));
  }
  const began = performance.now();
  const response = await patientFetch(`${url}${path}`, init);
  const text = await response.text();
  const ms = performance.now() - began;
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
  return ms;
}
