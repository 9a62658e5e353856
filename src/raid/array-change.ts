/**
 * Changes of an array that is not running just then: what mdadm does with `--grow` and with
 * `--assemble --update`. Plain values; change-plan.ts says what each writes on which member.
 */

export type ArrayChange =
  /** Component size, bytes of each member; `max`: as much as the smallest member has. */
  | { readonly type: "size"; readonly sizeBytes: number | "max" }
  /** Raid slots of a raid1; as many as are given up must be empty, wherever they are. */
  | { readonly type: "raid-devices"; readonly count: number }
  | {
      readonly type: "bitmap";
      readonly bitmap: "none" | "internal" | "clustered";
      /** Bytes per bit; null = as the old bitmap has, where that fits, else as mdadm would. */
      readonly chunkBytes: number | null;
      /** Slots and cluster name, for `clustered`. */
      readonly nodes: number;
      readonly clusterName: string;
    }
  /** The part of set_name behind `homehost:`. */
  | { readonly type: "name"; readonly name: string }
  | { readonly type: "home-cluster"; readonly clusterName: string }
  | { readonly type: "nodes"; readonly nodes: number }
  | { readonly type: "uuid"; readonly setUuid: Uint8Array }
  /** Every copy counts as different from the next start on. */
  | { readonly type: "resync" }
  /**
   * A bad-block list for every member, or none. `force`: also where it has entries; such a member
   * is recovered whole, because nothing tells its bad blocks from good ones any more.
   */
  | { readonly type: "bad-block-list"; readonly enabled: boolean; readonly force?: boolean };
