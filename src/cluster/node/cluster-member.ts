/**
 * An array's cluster as its array thread sees it: what is needed to join, what comes back, and how
 * to ask. `joinArray` (cluster-driver.ts) makes it. The order of a start:
 *
 *   superblocks are read (uuid, nodes) ─► joinArray: slot ─► superblocks and bitmaps are read
 *   AGAIN, the array machine starts with the slot ─► start(): notices come ─► it resolves: now
 *   clients may read and write
 */
import type {
  ClusterAnswer,
  ClusterCall,
  ClusterNotice,
  ClusterState,
} from "../../raid/cluster-port.ts";
import type { BoardKeys } from "../store/board-keys.ts";
import type { ClusterStore } from "../store/cluster-store.ts";
import type { ForcedStart } from "../store/copy-records.ts";
import type { MemberRecord } from "../store/member-records.ts";
import type { StoreClock } from "../store/store-clock.ts";
import type { ClusterHappening, ClusterView } from "./cluster-view.ts";

/** How messages travel. The literal choreography is the specification. */
export type Protocol = "channel" | "literal";

/** Calls of the cluster to the array; none of them may throw, or call back before it returns. */
export interface ClusterListener {
  readonly answer: (id: number, answer: ClusterAnswer) => void;
  /** One at a time: the next comes after `processed`, or after the call `new-disk-ack`. */
  readonly notice: (id: number, notice: ClusterNotice) => void;
  readonly state: (state: ClusterState) => void;
  /** I/O may begin until then: milliseconds of the clock that was given. */
  readonly gate: (untilMs: number) => void;
  /** For people; nothing has to be done. */
  readonly happened: (happening: ClusterHappening) => void;
}

export interface ClusterOptions {
  readonly store: ClusterStore;
  /** Of all keys of the array; ends in `/`. */
  readonly prefix: string;
  readonly member: MemberRecord;
  /** Bitmaps that the array has, from its bitmap superblock. */
  readonly nodes: number;
  readonly clock: StoreClock;
  /** A number in [0, 1), another one each time. */
  readonly random: () => number;
  readonly listener: ClusterListener;
  /** The channel if left out. */
  readonly protocol?: Protocol;
  /** How long to wait for a slot that is being recovered; 60 s if left out. */
  readonly patienceMs?: number;
  /**
   * Boards of the cluster serve the array's members to each other: none that is gone counts as
   * fenced before they have said so. Left out: all boards open the same disks.
   */
  readonly boards?: BoardKeys;
  /** For tests: 10 s, 1 s and 6 s if left out. */
  readonly leaseMs?: number;
  readonly confirmMs?: number;
  readonly permitMs?: number;
}

/**
 * What the cluster remembers of the array's copies, whoever is there. Errors of all calls:
 * CLUSTER_EXPELLED.
 */
export interface ArrayCopies {
  /**
   * Events of the newest superblocks that any node was told of: older copies lack what was
   * acknowledged since. Null: nothing is known. Asked with the right to write superblocks.
   */
  newest(): Promise<number | null>;
  /**
   * The array starts from copies with so many events, BEFORE anything is written on them; `forced`:
   * though newer ones are elsewhere.
   */
  begin(events: number, forced: ForcedStart | null): Promise<void>;
  /**
   * Notes that an administrator has put a member aside (`device`: its uuid, 32 hexadecimal digits),
   * or has taken it back: no board brings back by itself what is noted.
   */
  setAside(device: string, isAside: boolean): Promise<void>;
}

export interface JoinedCluster {
  /** Number of this node's bitmap, from 0. Its bitmap lock is held. */
  readonly slot: number;
  /** Create revision of its member key: this life of the node, never given twice. */
  readonly epoch: number;
  /** Other nodes run the array, and know which of its copies count. */
  readonly isRunElsewhere: boolean;
  /**
   * The array machine runs: notices may come from now on, the first ones about slots of absent
   * nodes and ranges that others resync. Resolves when those are carried out and this node takes
   * part; BEFORE that no client I/O. Never rejects: a node that is out says so by its state.
   */
  start(): Promise<void>;
  /** Asks; the answer comes through the listener, once, unless the node is out. */
  call(id: number, call: ClusterCall): void;
  /** The notice is carried out; `isRefused`: it cannot be, as a change that needs rest. */
  processed(id: number, isRefused?: boolean): void;
  readonly copies: ArrayCopies;
  /** What is known now, as plain values. */
  view(): ClusterView;
  /** Ends at once, without a word to the others: they take this node for dead. */
  stop(): void;
}
