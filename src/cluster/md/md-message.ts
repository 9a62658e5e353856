/**
 * The messages that the nodes of a clustered array broadcast, in md-cluster's own words.
 * Source: drivers/md/md-cluster.c, enum msg_type and process_recvd_msg.
 */
import type { LockOwner } from "../dlm/lock-resource.ts";

/**
 * The superblocks have changed: read them again. `deviceNumber`: of a member that is good.
 * `events`: what says less is older; 0 of a sender that does not tell, as the kernel.
 */
export interface MetadataUpdated {
  readonly type: "metadata-updated";
  readonly deviceNumber: number;
  readonly events: number;
}

/**
 * The sender resyncs the sectors `[lo, hi)` from now on, instead of those it announced before;
 * 0, 0: none any more.
 */
export interface Resyncing {
  readonly type: "resyncing";
  readonly lo: number;
  readonly hi: number;
}

/** A device is about to be added: find it and say whether it is there. */
export interface NewDisk {
  readonly type: "newdisk";
  /** The device's uuid, 32 hexadecimal digits. */
  readonly uuid: string;
  readonly deviceNumber: number;
}

/** A failed or spare device leaves the array. */
export interface Remove {
  readonly type: "remove";
  readonly deviceNumber: number;
}

/** A failed device is active again. */
export interface ReAdd {
  readonly type: "re-add";
  readonly deviceNumber: number;
}

/** The sender leaves with bits in its bitmap: somebody has to resync them. */
export interface BitmapNeedsSync {
  readonly type: "bitmap-needs-sync";
}

/** The size that the superblocks tell is the array's size from now on. */
export interface ChangeCapacity {
  readonly type: "change-capacity";
}

/** Every node makes its bitmap fit this many sectors. */
export interface BitmapResize {
  readonly type: "bitmap-resize";
  readonly sectors: number;
}

export type ClusterMessage =
  | MetadataUpdated
  | Resyncing
  | NewDisk
  | Remove
  | ReAdd
  | BitmapNeedsSync
  | ChangeCapacity
  | BitmapResize;

/** A message of a later version: acknowledged, and otherwise ignored. */
export interface UnknownMessage {
  readonly type: "unknown";
  readonly code: number;
}

/** A message with who sent it. The origin stays the same when another node finishes it. */
export interface Envelope {
  /** From 1, one higher with each message; 0: of a sender that does not count, as the kernel. */
  readonly seq: number;
  /** DLM slot and session epoch; epoch 0 when `seq` is 0. */
  readonly origin: LockOwner;
  readonly message: ClusterMessage | UnknownMessage;
}
