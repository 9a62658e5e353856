/**
 * Opens what a path leads to: a file or block device of this board, or a disk that another board
 * serves. Whoever opens or identifies a member does it here, and asks nothing of its kind.
 */

import { statSync } from "node:fs";
import { CodedError } from "../common/errors.ts";
import type { BlockDevice } from "../hal/block-device.ts";
import { DirectDevice } from "../hal/linux/direct-device.ts";
import { FileBlockDevice } from "../hal/linux/file-block-device.ts";
import type { MemberClaim } from "../hal/linux/member-claim.ts";
import { parsePeerPath } from "../hal/peer-path.ts";
import type { PeerTicket } from "../peers/peer-ticket.ts";
import { openPeer, type PeerUse } from "./peer-links.ts";

/** What there is to know of a path before it is opened. */
export interface StoreTicket {
  readonly path: string;
  /** Where a peer's disk is; null of a file or device of this board, and of a peer that is gone. */
  readonly peer?: PeerTicket | null;
}

export interface OpenStoreOptions {
  /** Done by one thread of a member only. */
  readonly claim?: MemberClaim | null;
  /** Of the array's thread, which reads each byte once: nothing is left in the page cache. */
  readonly isUncached?: boolean;
  readonly direct?: DirectUse | null;
  /** As whom peers' disks are opened; null: not at all. */
  readonly peers?: PeerUse | null;
}

/** That a member is to be used past the page cache. */
export interface DirectUse {
  /** Bytes of the member that hold the array's content; nothing else is touched by the handle. */
  readonly range: { readonly from: number; readonly to: number };
  /** It cannot be: it is used through the page cache. HAL_NOT_DIRECT. */
  readonly onRefused: (error: CodedError) => void;
}

/** Errors: those of FileBlockDevice.open and of openPeer. */
export const openStore = async (
  ticket: StoreTicket,
  mode: "read" | "write",
  { claim = null, isUncached = false, direct = null, peers = null }: OpenStoreOptions,
): Promise<BlockDevice> => {
  const { path, peer = null } = ticket;
  if (isPeer(path)) return await openPeer(path, peer, mode, peers);
  const options = { mode, isUncached, ...(claim === null ? {} : { claim }) };
  const file = await FileBlockDevice.open(path, options);
  return direct === null ? file : await pastPageCache(file, direct);
};

/** True of a disk of another board. */
export const isPeer = (path: string): boolean => parsePeerPath(path) !== null;

/** One store under two names is one; a path that leads nowhere is itself. */
export const storeOf = (path: string): string => {
  const stat = isPeer(path) ? undefined : statSync(path, { throwIfNoEntry: false });
  return stat === undefined ? path : `${stat.dev}:${stat.ino}:${stat.rdev}`;
};

const pastPageCache = async (file: FileBlockDevice, use: DirectUse): Promise<BlockDevice> => {
  try {
    return await DirectDevice.over(file, { range: use.range });
  } catch (error) {
    if (!(error instanceof CodedError)) throw error;
    use.onRefused(error);
    return file;
  }
};
