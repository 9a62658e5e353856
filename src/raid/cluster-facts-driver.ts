/** What a node has to know of a clustered array to join its cluster: read before, written never. */

import type { AssembleDevice } from "./assemble-driver.ts";
import { assemble } from "./assembly.ts";
import type { AssemblyCandidate } from "./assembly-types.ts";
import { bitmapClusterName } from "./bitmap-superblock.ts";
import { readCandidate } from "./candidate-driver.ts";
import { uuidToKernelText } from "./uuid.ts";

export interface ClusterFacts {
  /** set_uuid in the kernel's text form (8-4-4-4-12). */
  readonly uuid: string;
  readonly clusterName: string;
  /** Bitmaps that the array has. */
  readonly nodes: number;
}

/** Null when the devices make no array, or one that is not clustered. */
export const readClusterFacts = async (
  devices: readonly AssembleDevice[],
): Promise<ClusterFacts | null> => {
  const candidates: AssemblyCandidate[] = [];
  for (const { path, device } of devices) candidates.push(await readCandidate(path, device));
  const verdict = assemble(candidates);
  if (verdict.verdict === "refuse") return null;
  const { bitmap, shape } = verdict;
  if (bitmap.state === "none" || bitmap.state === "absent") return null;
  const { nodes } = bitmap.superblock;
  if (nodes === 0) return null;
  const uuid = uuidToKernelText(shape.freshest.setUuid);
  return { uuid, nodes, clusterName: bitmapClusterName(bitmap.superblock) };
};
