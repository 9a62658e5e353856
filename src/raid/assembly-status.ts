/**
 * What starting an array from some devices would come to, as plain values: the verdict of
 * assembly.ts and what the superblocks say. Sizes in bytes, times milliseconds since the epoch.
 */

/** The array as its freshest superblock describes it. */
export interface FoundArray {
  /** set_uuid in the kernel's text form. */
  readonly uuid: string;
  /** set_name without the `homehost:` part. */
  readonly name: string;
  /** Host that made it, or that it was last assembled for; null when the name has none. */
  readonly homehost: string | null;
  /** `raid1`, `raid10`, `raid5` …: any level there is. */
  readonly level: string;
  /** mdadm's words for a raid10 layout, `near=2`; null for other levels. */
  readonly layout: string | null;
  readonly chunkBytes: number | null;
  readonly raidDevices: number;
  readonly metadata: string;
  /** Null for levels whose size is not computed here. */
  readonly sizeBytes: number | null;
  readonly memberBytes: number;
  readonly createdAt: number;
  readonly events: number;
  readonly bitmap: {
    readonly type: "internal" | "clustered" | "none";
    readonly nodes: number;
    readonly clusterName: string;
  };
}

/** One device's part. */
export interface FoundMember {
  readonly path: string;
  /** What its superblock says; null without a sound one. */
  readonly superblock: {
    readonly arrayUuid: string;
    readonly deviceUuid: string;
    readonly events: number;
    readonly updatedAt: number;
    /** mdadm's words: `active device 0`, `spare` … */
    readonly role: string;
    /** Where the array's content begins on the device. */
    readonly dataOffset: number;
    readonly superblockOffset: number;
  } | null;
  /** What assembly would make of it. */
  readonly placement: "in-sync" | "rebuilding" | "spare" | "faulty" | "kicked" | "unusable";
  readonly raidSlot: number | null;
  /** A word for programs and a sentence, without a full stop, for people. */
  readonly reason: string;
  readonly text: string;
}

/** The report on some devices. */
export interface AssemblyReport {
  /** Null when no device has a sound superblock. */
  readonly array: FoundArray | null;
  /** Why it would not start; null when it would. */
  readonly refusal: {
    readonly code: string;
    readonly message: string;
    readonly remedy: string;
  } | null;
  /** False: a member that the others believe working is not among the devices. */
  readonly isComplete: boolean;
  /** Raid slots without an in-sync member. */
  readonly degraded: number;
  /** The copies may differ: a resync would run. */
  readonly needsResync: boolean;
  /** In the order of the paths. */
  readonly members: readonly FoundMember[];
}
