/** The flags of a member that a user may set, and where md has no use for them. */

import { CodedError } from "../common/errors.ts";

/** Absent fields stay as they are. */
export interface MemberFlags {
  readonly writeMostly?: boolean;
  readonly failfast?: boolean;
}

/**
 * Refuses flags that would have no effect, or a wrong one. Errors: RAID_UNSUPPORTED_ON_CLUSTERED,
 * RAID_FLAG_UNSUPPORTED.
 * Source: mdadm.8, --write-mostly "valid for RAID1 only"; mdadm refuses both with a clustered
 * bitmap.
 */
export function refuseFlags(
  array: { readonly level: string; readonly bitmap: string },
  flags: MemberFlags,
): void {
  const isSet = flags.writeMostly === true || flags.failfast === true;
  if (isSet && array.bitmap === "clustered") {
    const message = "write-mostly and failfast members are not possible in a clustered array";
    throw new CodedError("RAID_UNSUPPORTED_ON_CLUSTERED", message, {
      remedy: "leave the flags out",
    });
  }
  if (flags.writeMostly === true && array.level !== "raid1") {
    const message = `write-mostly is for raid1 members; the array is ${array.level}`;
    throw new CodedError("RAID_FLAG_UNSUPPORTED", message, { remedy: "leave write-mostly out" });
  }
}
