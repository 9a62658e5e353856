/** What the demos of several boards have in common: names, the array's discovery, the export. */

import type { ArrayResource } from "../api/schemas/array.ts";
import type { ArrayCandidateResource } from "../api/schemas/array-candidate.ts";
import type { ExportResource } from "../api/schemas/export.ts";
import type { ApiClient } from "./api-client.ts";
import type { BoardProcess } from "./board-process.ts";
import { fetchAll } from "./online-access.ts";

export const DEMO_ARRAY = "md0";
export const DEMO_EXPORT = "md0";
export const DEMO_CLUSTER = "demo";
export const JOB_WAIT_SECONDS = 60;
/** Bitmaps of the array: a killed board takes another slot while its own is recovered. */
const NODES_MIN = 4;

/** What a demo of several boards was asked for. */
export interface BoardsDemoOptions {
  readonly directory: string;
  readonly boards: number;
  /** Of each disk. */
  readonly sizeBytes: number;
  readonly http?: string;
  readonly nbd?: string;
  /** Resolves when the demo is to end. */
  readonly ended: Promise<"signal">;
}

export const boardNames = (boards: number): readonly string[] =>
  Array.from({ length: boards }, (_, at) => `board${at + 1}`);

/** Slots of the array's bitmap. */
export const nodesFor = (boards: number): number => Math.max(NODES_MIN, boards + 1);

export const hasArray = async (client: ApiClient): Promise<boolean> =>
  (await fetchAll<ArrayResource>(client, "arrays")).some(({ name }) => name === DEMO_ARRAY);

/** The array as its members' superblocks tell of it; null: no device holds one. */
export const candidate = async (client: ApiClient): Promise<ArrayCandidateResource | null> => {
  const { items } = await client.request<{ readonly items: readonly ArrayCandidateResource[] }>(
    "GET",
    "/api/v1/arrays/candidates",
  );
  return items.find(({ name }) => name === DEMO_ARRAY) ?? null;
};

/** Makes the export unless the board has one: what the user changed is left alone. */
export const ensureExport = async (client: ApiClient): Promise<void> => {
  const exports = await fetchAll<ExportResource>(client, "exports");
  if (exports.length > 0) return;
  const arrays = await fetchAll<ArrayResource>(client, "arrays");
  const array = arrays.find(({ name }) => name === DEMO_ARRAY);
  if (array === undefined) return;
  const body = { name: DEMO_EXPORT, array: array.id };
  await client.request("POST", "/api/v1/exports", { body });
};

/** How to reach a board, for the one who started the demo. */
export const describeBoard = (board: BoardProcess, folder: string): string =>
  [
    `board ${board.name} (pid ${board.pid})`,
    `  panel:   ${board.url}/#token=${board.token}`,
    `  token:   ${board.token}`,
    `  attach:  nbdinfo 'nbd+unix:///${DEMO_EXPORT}?socket=${board.nbdSocket}'`,
    `  status:  npx satsuma status --data ${folder}`,
    "",
  ].join("\n");
