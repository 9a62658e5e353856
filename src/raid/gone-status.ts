/** What an array tells that ended unasked: its cluster goes on without this board. */
import { CodedError } from "../common/errors.ts";

const GONE: ReadonlySet<string> = new Set(["CLUSTER_EXPELLED", "RAID_ARRAY_BROKEN"]);

/** Whoever waits for the array gets this; its status tells the same. `isBroken`: the array is. */
export const goneError = (reason: string, isBroken: boolean): CodedError =>
  isBroken
    ? new CodedError(
        "RAID_ARRAY_BROKEN",
        `the array is broken on this board, the cluster goes on without it: ${reason}`,
        {
          remedy:
            "see to the way to the members, then start the array here; " +
            "for disks of other boards the board tries by itself",
        },
      )
    : new CodedError(
        "CLUSTER_EXPELLED",
        `this board is out of the cluster for now: ${reason}; it joins again by itself`,
        { remedy: "nothing: the board joins again by itself" },
      );

/** True of an error that such an array answers. */
export const isGoneError = (error: unknown): error is CodedError =>
  error instanceof CodedError && GONE.has(error.code);
