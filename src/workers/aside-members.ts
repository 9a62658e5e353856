/**
 * Which members an administrator has put aside, noted in the array's cluster: no board brings such
 * a member back by itself. Noted BEFORE the member is out: a board that sees it out sees the note.
 */

import type { CommandOutcome } from "../raid/array-messages.ts";
import type { MemberStatus } from "../raid/array-status.ts";
import { parseUuid, uuidToHex } from "../raid/uuid.ts";
import type { ArrayCluster } from "./array-cluster.ts";

/** Fails or removes the member by request. Errors: CLUSTER_EXPELLED. */
export const putAside = async (
  cluster: ArrayCluster | null,
  member: MemberStatus | undefined,
  run: () => Promise<CommandOutcome>,
): Promise<CommandOutcome> => {
  const uuid = parseUuid(member?.deviceUuid ?? "");
  if (cluster === null || uuid === null) return await run();
  const device = uuidToHex(uuid);
  const wasAside = cluster.view().aside.includes(device);
  await cluster.copies.setAside(device, true);
  const outcome = await run();
  if (!outcome.ok && !wasAside) await cluster.copies.setAside(device, false);
  return outcome;
};

/** The device is a member again. A node that is out has nothing to note any more. */
export const takeBack = async (
  cluster: ArrayCluster | null,
  deviceUuid: Uint8Array | undefined,
): Promise<void> => {
  if (cluster === null || deviceUuid === undefined) return;
  await cluster.copies.setAside(uuidToHex(deviceUuid), false).catch(() => undefined);
};
