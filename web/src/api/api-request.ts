/**
 * Requests to the API as values: what is sent and what is shown as `curl` is the same value, so the
 * shown command cannot differ from what the panel does.
 */

/**
 * One request. `wait`: seconds the reply may take to hold the final result; `patience`: seconds
 * after which there is no reply, where the usual ones do not suffice.
 */
export interface ApiRequest {
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  readonly path: string;
  readonly body?: unknown;
  readonly wait?: number;
  readonly patience?: number;
}

const ROOT = "/api/v1";

const segment = (text: string): string => encodeURIComponent(text);

const arrayPath = (array: string): string => `${ROOT}/arrays/${segment(array)}`;

const memberPath = (array: string, device: string): string =>
  `${arrayPath(array)}/members/${segment(device)}`;

const nodeAction = (node: string, action: string): string =>
  `${ROOT}/nodes/${segment(node)}/actions/${action}`;

/** What the panel asks the board to change. Ids are those of the resources. */
export const requests = {
  createArray: (body: {
    readonly name: string;
    readonly level: "raid1";
    readonly device_ids: readonly string[];
    readonly raid_devices?: number;
    readonly force?: boolean;
  }): ApiRequest => ({ method: "POST", path: `${ROOT}/arrays`, body, wait: 20 }),
  planArray: (body: unknown): ApiRequest => ({
    method: "POST",
    path: `${ROOT}/arrays?dry_run=true`,
    body,
  }),
  assembleArray: (array: string): ApiRequest => ({
    method: "POST",
    path: `${ROOT}/arrays`,
    body: { assemble: array },
    wait: 20,
  }),
  stopArray: (array: string, name: string, force: boolean): ApiRequest => ({
    method: "DELETE",
    path: arrayPath(array),
    body: force ? { confirm: name, force: true } : { confirm: name },
    wait: 20,
  }),
  addMember: (array: string, device: string, force: boolean): ApiRequest => ({
    method: "POST",
    path: `${arrayPath(array)}/members`,
    body: force ? { device_id: device, force: true } : { device_id: device },
    wait: 10,
  }),
  failMember: (array: string, device: string): ApiRequest => ({
    method: "POST",
    path: `${memberPath(array, device)}/actions/fail`,
  }),
  removeMember: (array: string, device: string): ApiRequest => ({
    method: "DELETE",
    path: memberPath(array, device),
  }),
  reAddMember: (array: string, device: string, force: boolean): ApiRequest => ({
    method: "POST",
    path: `${memberPath(array, device)}/actions/re-add`,
    ...(force ? { body: { force: true } } : {}),
    wait: 10,
  }),
  setSync: (
    array: string,
    body: { readonly action?: "idle" | "check" | "repair"; readonly sync_speed_max?: number },
  ): ApiRequest => ({ method: "PUT", path: `${arrayPath(array)}/sync-action`, body }),
  createDevice: (body: { readonly name?: string; readonly size: number }): ApiRequest => ({
    method: "POST",
    path: `${ROOT}/devices`,
    body,
  }),
  labelDevice: (device: string, label: string | null): ApiRequest => ({
    method: "PATCH",
    path: `${ROOT}/devices/${segment(device)}`,
    body: { label },
  }),
  createExport: (body: {
    readonly name: string;
    readonly array: string;
    readonly description?: string;
    readonly read_only?: boolean;
  }): ApiRequest => ({ method: "POST", path: `${ROOT}/exports`, body }),
  deleteExport: (name: string, force: boolean): ApiRequest => ({
    method: "DELETE",
    path: `${ROOT}/exports/${segment(name)}${force ? "?force=true" : ""}`,
  }),
  schedule: (array: string): ApiRequest => ({
    method: "GET",
    path: `${arrayPath(array)}/schedule`,
  }),
  latestScrub: (array: string): ApiRequest => ({
    method: "GET",
    path: `${arrayPath(array)}/scrubs?limit=1`,
  }),
  setSchedule: (array: string, body: unknown): ApiRequest => ({
    method: "PUT",
    path: `${arrayPath(array)}/schedule`,
    body,
  }),
  removeSchedule: (array: string): ApiRequest => ({
    method: "DELETE",
    path: `${arrayPath(array)}/schedule`,
  }),
  pauseJob: (job: string): ApiRequest => ({
    method: "POST",
    path: `${ROOT}/jobs/${segment(job)}/actions/pause`,
  }),
  resumeJob: (job: string): ApiRequest => ({
    method: "POST",
    path: `${ROOT}/jobs/${segment(job)}/actions/resume`,
  }),
  cancelJob: (job: string): ApiRequest => ({
    method: "POST",
    path: `${ROOT}/jobs/${segment(job)}/actions/cancel`,
  }),
  createCluster: (name: string): ApiRequest => ({
    method: "POST",
    path: `${ROOT}/cluster`,
    body: { name },
  }),
  joinCluster: (token: string): ApiRequest => ({
    method: "POST",
    path: `${ROOT}/cluster/actions/join`,
    body: { token },
    patience: 120,
  }),
  createJoinToken: (role: "board" | "witness"): ApiRequest => ({
    method: "POST",
    path: `${ROOT}/join-tokens`,
    body: { role },
  }),
  deleteJoinToken: (id: string): ApiRequest => ({
    method: "DELETE",
    path: `${ROOT}/join-tokens/${segment(id)}`,
  }),
  drainNode: (node: string, mode: "drain" | "maintenance", force: boolean): ApiRequest => ({
    method: "POST",
    path: nodeAction(node, "drain"),
    body: force ? { mode, force: true } : { mode },
    wait: 20,
  }),
  undrainNode: (node: string): ApiRequest => ({
    method: "POST",
    path: nodeAction(node, "undrain"),
    wait: 20,
  }),
  evictNode: (node: string, force: boolean): ApiRequest => ({
    method: "POST",
    path: nodeAction(node, "evict"),
    body: force ? { force: true } : {},
    patience: 90,
  }),
} as const;

/** `text` as one word of a shell. */
export function shellWord(text: string): string {
  return /^[A-Za-z0-9_@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

/** The request as a curl command; the token is left to the variable TOKEN. */
export function curlOf(request: ApiRequest, origin: string): string {
  const parts = [
    `curl ${request.method === "GET" ? "" : `-X ${request.method} `}${shellWord(origin + request.path)}`,
    '-H "Authorization: Bearer $TOKEN"',
    ...(request.wait === undefined ? [] : [`-H ${shellWord(`Prefer: wait=${request.wait}`)}`]),
    ...(request.body === undefined
      ? []
      : ["-H 'Content-Type: application/json'", `-d ${shellWord(JSON.stringify(request.body))}`]),
  ];
  return parts.join(" \\\n  ");
}
