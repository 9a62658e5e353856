/**
 * Who may write to a member besides: nobody (`alone`), or the nodes of its cluster that run on this
 * machine (`cluster`). A block device is claimed alone by O_EXCL, which also refuses while a file
 * system or md of the kernel uses it; everything else is an advisory lock (flock), which other
 * boards and commands of this program ask for. Whether two nodes are of one cluster is what the
 * members' bitmap says; it is looked at by whoever assembles.
 */

import * as fs from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { CodedError } from "../../common/errors.ts";
import { loadNativeLibrary } from "./native-library.ts";

export type MemberClaim = "alone" | "cluster";

/** Source: flock(2). */
const LOCK_SH = 1;
const LOCK_EX = 2;
const LOCK_NB = 4;
const LOCK_UN = 8;

/** Another node looks for a moment, and udev reads what is on a disk: both let go soon. */
const ATTEMPTS = 20;
const PAUSE_MS = 50;

/** False when somebody else has a lock that does not go with it. */
type Flock = (fd: number, operation: number) => boolean;

let bound: Promise<Flock | null> | undefined;

const loadFlock = (): Promise<Flock | null> => {
  bound ??= loadNativeLibrary().then((library) => {
    if (library === null) return null;
    const flock = library.program.func("int flock(int fd, int operation)");
    return (fd, operation) => flock(fd, operation) === 0;
  });
  return bound;
};

const claimed = (path: string): CodedError =>
  new CodedError("HAL_DEVICE_CLAIMED", `${path}: a board or command of this machine uses it`, {
    remedy: "end what uses it; nodes of one cluster share the members of clustered arrays only",
    details: { path },
  });

/** Flags to open the path with; a block device that the kernel uses is refused. Errors: errno. */
export const claimFlags = async (
  path: string,
  isBlockDevice: boolean,
  claim: MemberClaim,
): Promise<number> => {
  const { O_EXCL, O_RDONLY } = fs.constants;
  if (!isBlockDevice) return 0;
  if (claim === "alone") return O_EXCL;
  for (let attempt = 1; ; attempt++) {
    try {
      fs.closeSync(fs.openSync(path, O_RDONLY | O_EXCL));
      return 0;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EBUSY" || attempt === ATTEMPTS) throw error;
    }
    await pause(PAUSE_MS);
  }
};

/**
 * Claims the open file until it is closed; without the native library nothing is claimed here.
 * Errors: HAL_DEVICE_CLAIMED.
 */
export const claimFile = async (
  fd: number,
  path: string,
  isBlockDevice: boolean,
  claim: MemberClaim,
): Promise<void> => {
  const flock = await loadFlock();
  if (flock === null) return;
  const lock = claim === "alone" ? LOCK_EX : LOCK_SH;
  for (let attempt = 1; !flock(fd, lock | LOCK_NB); attempt++) {
    if (attempt === ATTEMPTS) throw claimed(path);
    await pause(PAUSE_MS);
  }
  // O_EXCL keeps others out from here on; udev must be able to lock the device.
  if (isBlockDevice && claim === "alone") flock(fd, LOCK_UN);
};
