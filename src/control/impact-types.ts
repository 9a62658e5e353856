/** What an impact question goes by, and its answer: plain values. */

import type { ArrayStatus } from "../raid/array-status.ts";

/** A member of etcd, and whose machine it runs on. */
export interface Voter {
  readonly name: string;
  /** Null: a machine that is none of the boards, such as a witness. */
  readonly board: string | null;
  readonly isHealthy: boolean;
}

/** What is known of etcd's members; `problem`: why they could not be asked. */
export interface Quorum {
  readonly voters: readonly Voter[];
  readonly problem: string | null;
}

/** One array, as this board sees it. */
export interface ImpactArray {
  readonly uuid: string;
  readonly name: string;
  readonly status: ArrayStatus;
  /** Boards that run it now; this board's own name for an array that is in no cluster. */
  readonly nodes: readonly string[];
  /** Clients attached on this board. */
  readonly clients: number;
  /** What the bitmaps of all nodes mark now. */
  readonly dirtyBytes: number;
}

/** An array that is known and does not run here: nothing is known of its members now. */
export interface IdleArray {
  readonly uuid: string;
  readonly name: string;
  /** Other boards may run it. */
  readonly isClustered: boolean;
  readonly memberPaths: readonly string[];
}

/** A device that is known, as it was read last. */
export interface ImpactDevice {
  readonly name: string;
  readonly path: string;
  /** Something is at its path. */
  readonly isThere: boolean;
  /** The array whose superblock it has; null: what it holds is not known. */
  readonly holds: { readonly uuid: string; readonly name: string } | "no array" | null;
}

/** What is known when the question is asked. */
export interface ImpactFacts {
  readonly here: string;
  /** No other board can use this board's disks, nor run its arrays. */
  readonly isAlone: boolean;
  /** Boards that do not live now. */
  readonly away: readonly string[];
  readonly arrays: readonly ImpactArray[];
  readonly idle: readonly IdleArray[];
  readonly devices: readonly ImpactDevice[];
  /** UUIDs of arrays that other boards run on disks which this board serves, without dashes. */
  readonly served: readonly string[];
  /** UUIDs of arrays that devices name and that no board of the cluster runs. */
  readonly abandoned: readonly string[];
  /** The board that serves the device; null: every board opens it by itself. */
  readonly boardOf: (path: string) => string | null;
  /** Null: the arrays depend on no etcd. */
  readonly quorum: Quorum | null;
}

/** What goes. */
export type ImpactSubject =
  | { readonly kind: "board"; readonly name: string }
  | { readonly kind: "device"; readonly name: string; readonly path: string };

/** `data`: no in-sync copy is left of something; `outage`: nobody runs the array any more. */
export type ArrayLoss = "nothing" | "redundancy" | "data" | "outage";

/** What an array loses. */
export interface ArrayImpact {
  readonly uuid: string;
  readonly name: string;
  readonly loss: ArrayLoss;
  readonly copiesBefore: number;
  readonly copiesAfter: number;
  /** Members in use that go. */
  readonly members: readonly string[];
  /** Boards that go on running it. */
  readonly nodesAfter: readonly string[];
  /** Clients of this board that have to attach elsewhere. */
  readonly clients: number;
  /** What the bitmaps mark now: to be resynced, or copied when the member is back. */
  readonly dirtyChunks: number;
  readonly dirtyBytes: number;
  /** Seconds that copying this takes; null: nothing is to be copied. */
  readonly recovery: { readonly low: number; readonly high: number } | null;
}

/** What etcd loses. */
export interface QuorumImpact {
  readonly voters: number;
  readonly needed: number;
  readonly healthyBefore: number;
  readonly healthyAfter: number;
  readonly isKept: boolean;
}

/**
 * `safe`: nothing is lost. `degrades`: clients go on, with less redundancy until it is back.
 * `loses`: data, an array or the cluster stops.
 */
export type ImpactVerdict = "safe" | "degrades" | "loses" | "unknown";

/** The answer. */
export interface Impact {
  readonly subject: ImpactSubject;
  readonly verdict: ImpactVerdict;
  readonly sentence: string;
  readonly reasons: readonly string[];
  readonly arrays: readonly ArrayImpact[];
  readonly quorum: QuorumImpact | null;
  /** Names of arrays that this board cannot judge. */
  readonly unjudged: readonly string[];
}

/** What this board cannot judge: names. */
export interface Unknowns {
  /** Arrays that do not run here. */
  readonly idle: readonly string[];
  /** Arrays that run here without an in-sync copy. */
  readonly copyless: readonly string[];
  /** Devices of which it is not known what they hold. */
  readonly unread: readonly string[];
}
