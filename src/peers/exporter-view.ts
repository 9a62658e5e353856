/** What an exporter tells of itself, for status, health and people. Plain values. */
import type { BoardRecord } from "../cluster/store/board-record.ts";
import type { SlotEpoch } from "./fence-ledger.ts";

/** Whether the board serves its disks, and why not. */
export interface ExporterState {
  /** Board epoch of this life; null: the board is not in its cluster. */
  readonly life: number | null;
  /** Requests of peers may begin now. */
  readonly isOpen: boolean;
  /** Why not, for people; null when it is open. */
  readonly reason: string | null;
  /** Disks that requests of connections which are over may still reach: nobody may add them. */
  readonly draining: readonly string[];
  /** Sessions that are over, and whose end is not acknowledged yet. */
  readonly unacknowledged: readonly SlotEpoch[];
}

/** A board that lives. */
export interface SeenBoard {
  readonly name: string;
  readonly epoch: number;
  readonly record: BoardRecord;
  readonly isHere: boolean;
}

/** One connection of a peer. */
export interface SeenConnection {
  readonly peer: string;
  readonly disk: string;
  readonly mode: "read" | "write";
  /** `node:UUID:SLOT:EPOCH` or `board:NAME:EPOCH`. */
  readonly session: string;
  readonly state: "asking" | "open" | "closing";
  /** Requests that the disk has not answered. */
  readonly atDevice: number;
  /** What it waits for, for people. */
  readonly waits: string | null;
}

export interface ExporterView {
  readonly state: ExporterState;
  readonly connections: readonly SeenConnection[];
  /** Seconds since each live board was heard. */
  readonly heard: readonly { readonly name: string; readonly seconds: number }[];
}
