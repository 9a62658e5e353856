/**
 * Members that failed while other nodes ran the array. They stay listed on those until somebody
 * removes them, so a node that starts lists them as well: any node may remove them then. On one
 * board nobody else knows them, and a start forgets them.
 * Source: mdadm Manage.c Manage_remove; drivers/md/md.c super_1_sync (dev_roles of who is listed).
 */

import { equalBytes } from "../common/bytes.ts";
import type { Member } from "./array-state.ts";
import type { AssemblyMember, AssemblyReason, AssemblyStart } from "./assembly-types.ts";
import { FAILED_BEFORE } from "./fault-reason-status.ts";
import { newMember } from "./new-member.ts";
import { memberRole } from "./superblock.ts";
import type { Superblock } from "./superblock-fields.ts";

/** What a device may look like that the others failed: it did not get their update. */
const LEFT_BEHIND: ReadonlySet<AssemblyReason> = new Set(["faulty", "non-fresh", "split-brain"]);

/** Where the failed device stands among the given ones, with its superblock. */
interface Failed {
  readonly id: number;
  readonly path: string;
  readonly superblock: Superblock;
}

/**
 * The devices that the freshest superblock names as faulty, as far as they are here and say
 * themselves who they are. A number may have been another device's before: the newest one counts.
 */
export const knownFailures = ({ members, shape }: AssemblyStart): readonly Member[] => {
  const failed = new Map<number, Failed>();
  for (const [id, { path, superblock, reason }] of members.entries()) {
    if (superblock === null || !LEFT_BEHIND.has(reason)) continue;
    if (memberRole(shape.freshest, superblock.devNumber).type !== "faulty") continue;
    if (members.some((other) => takesPart(other) && isSame(other, superblock))) continue;
    const known = failed.get(superblock.devNumber);
    if (known === undefined || known.superblock.events < superblock.events)
      failed.set(superblock.devNumber, { id, path, superblock });
  }
  return [...failed.values()].map(({ id, path, superblock }) =>
    newMember({ member: id, path, badBlocks: [] }, superblock, {
      state: "faulty",
      faultReason: FAILED_BEFORE,
    }),
  );
};

const takesPart = ({ placement: { type } }: AssemblyMember): boolean =>
  type === "in-sync" || type === "rebuilding" || type === "spare";

const isSame = ({ superblock }: AssemblyMember, { deviceUuid }: Superblock): boolean =>
  superblock !== null && equalBytes(superblock.deviceUuid, deviceUuid);
