/**
 * What an array asks of the cluster it may belong to, and what the cluster tells it: the call-backs
 * of MD Cluster (its chapter 6), as plain values. Calls go out with a number and are answered by
 * that number, now or later; notices come in and are answered once they are carried out. `join` and
 * `slot_number` come before the array machine starts (array-start.ts is given the slot);
 * `area_resyncing` is what the I/O workers look up in the shared state (`isSuspended`, `balances`).
 *
 * Who answers is not the array's business: a single board's array has no-cluster.ts.
 */

/** Sectors of the array's content, half-open; 0, 0: none. */
export interface SectorRange {
  readonly lo: number;
  readonly hi: number;
}

export type ClusterCall =
  /**
   * Answered when this node alone may write superblocks, and has carried out everything that others
   * sent before: the moment to look whether the update is still needed.
   */
  | { readonly type: "metadata-update-start" }
  /**
   * With the right to write superblocks: nodes that are gone may have left some that nobody was
   * told of. Answered with the events that the update has to end at: so many at least, and more
   * than any other such update was given, by as many as it may have to repeat itself.
   */
  | { readonly type: "outrun"; readonly events: number }
  /**
   * The superblocks are durable, with so many events. Answered when every node has read them again.
   */
  | {
      readonly type: "metadata-update-finish";
      readonly deviceNumber: number;
      readonly events: number;
    }
  /** Nothing is needed any more. */
  | { readonly type: "metadata-update-cancel" }
  /** Answered when this node alone may run a sync action. */
  | { readonly type: "resync-start" }
  /**
   * This node resyncs `[lo, hi)` from now on, instead of what it named before. Answered when every
   * other node holds its writes there, and none is under way: BEFORE anything is copied there.
   */
  | ({ readonly type: "resync-info-update" } & SectorRange)
  /** The sync action is over, or stops: nothing is resynced here any more. */
  | { readonly type: "resync-finish" }
  /**
   * A device with this uuid (32 hexadecimal digits) is to be added; its first metadata is on it.
   * Refused with CLUSTER_DEVICE_NOT_SEEN when a node does not see it. The right to write
   * superblocks stays with this node until the metadata update that follows.
   */
  | { readonly type: "add-new-disk-start"; readonly uuid: string; readonly deviceNumber: number }
  /** It has become a member, or has not. BEFORE the metadata update that tells. */
  | { readonly type: "add-new-disk-finish"; readonly isAdded: boolean }
  /** The answer to the notice `new-disk`. */
  | { readonly type: "new-disk-ack"; readonly isFound: boolean }
  /** A spare or faulty device leaves the array. Answered when every node has let it go. */
  | { readonly type: "remove-disk"; readonly deviceNumber: number }
  /**
   * A device that was here before returns. Answered when every node knows; AFTER that the bitmaps
   * of all slots are read and merged, and the device is rebuilt by what they say.
   */
  | { readonly type: "gather-bitmaps"; readonly deviceNumber: number }
  /**
   * Answered when no other node uses the array, and none can join before `unlock-all-bitmaps` or
   * the end of this node; CLUSTER_BITMAP_IN_USE otherwise. `isNew`: the array is about to become
   * clustered, so bitmaps of nodes that can write no more tell nothing.
   */
  | { readonly type: "lock-all-bitmaps"; readonly isNew?: boolean }
  | { readonly type: "unlock-all-bitmaps" }
  /**
   * With the right to write superblocks: the array is to be changed as a whole, its sync size is to
   * be `sectors`. Answered when every other node is at rest: it writes nothing until the metadata
   * update that follows, and then starts anew from the superblocks. Refused with CLUSTER_NODE_BUSY
   * when one cannot rest now; the update that follows ends the rest of the others.
   */
  | { readonly type: "bitmap-resize"; readonly sectors: number }
  /** With the right to write superblocks: the size that they tell is the array's from now on. */
  | { readonly type: "change-capacity" }
  /** Leaves the cluster; `needsSync`: somebody has to resync what this node's bitmap says. */
  | { readonly type: "leave"; readonly needsSync: boolean };

export type ClusterAnswer =
  /** `events`: as `outrun` says. */
  | { readonly ok: true; readonly events?: number }
  | { readonly ok: false; readonly code: string; readonly message: string };

/** Carry it out, then answer `cluster-processed`; one at a time, others wait for it. */
export type ClusterNotice =
  /**
   * Read the superblocks again, that of this device number first. One with fewer events is not what
   * the sender tells of, however new it is here: a step of the update may have reached it, without
   * what it ended at.
   */
  | { readonly type: "metadata-updated"; readonly deviceNumber: number; readonly events: number }
  /** Node `slot` (bitmap slot, from 0) resyncs the range: hold writes there, and let others go. */
  | ({ readonly type: "resyncing"; readonly slot: number } & SectorRange)
  /** Look for the device; answered by the call `new-disk-ack`. */
  | { readonly type: "new-disk"; readonly uuid: string; readonly deviceNumber: number }
  | { readonly type: "remove"; readonly deviceNumber: number }
  | { readonly type: "re-add"; readonly deviceNumber: number }
  /** Come to rest, or refuse; node `slot` changes the array. */
  | { readonly type: "bitmap-resize"; readonly slot: number; readonly sectors: number }
  | { readonly type: "change-capacity" }
  /**
   * The node of this bitmap slot is gone and can write no more; its bitmap lock is this node's.
   * Answered when its bits are in this node's bitmap, durably, and AFTER that cleared in its own.
   * A sync action has to BEGIN after that (`resync-start`) and end, be it empty: until then no node
   * balances reads. A metadata update has to follow as well, for the node may have left
   * superblocks, or a change of the array, half done: others rest, or may not join, until then.
   * Not where nobody has had the slot since the cluster's store was made (`isUnused`).
   */
  | { readonly type: "recover-slot"; readonly slot: number; readonly isUnused?: boolean };

/** Comes at any time, and is not answered. */
export type ClusterState =
  /** A node is being recovered: copies may differ anywhere, reads go to the first in-sync one. */
  | { readonly type: "read-balancing"; readonly isSuspended: boolean }
  /** The others go on without this node: it may read and write no more. */
  | { readonly type: "expelled"; readonly reason: string };

/** Who answers the calls of one array. */
export interface ClusterPort {
  /** Number of this node's bitmap, from 0. */
  readonly slot: number;
  /** The answer if there is one now; null: it comes as the event `cluster-answer`. */
  call(id: number, call: ClusterCall): ClusterAnswer | null;
}
