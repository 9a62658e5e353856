/**
 * Boards of the cluster that serve their disks to each other, as control sees them. The real thing
 * is src/workers/peer-host.ts.
 */

/** A disk that this board serves to its peers. */
export interface ServedDisk {
  /** The device's id. */
  readonly id: string;
  readonly path: string;
  readonly kind: "file" | "block";
  readonly sizeBytes: number;
  readonly logicalBlockSize: number;
  /** Why it holds less than was written to it, until it is rebuilt whole. */
  readonly lostContent?: string;
}

/** A board whose member exports are there. */
export interface PeerBoard {
  readonly name: string;
  /** One life of its exports. */
  readonly epoch: number;
  readonly isHere: boolean;
  /** HOST:PORT of its member exports. */
  readonly address: string;
  /** URL of its API, or "". */
  readonly api: string;
  readonly version: string;
  readonly disks: readonly Omit<ServedDisk, "path">[];
  /** Names of the boards whose member exports it reaches. */
  readonly reaches: readonly string[];
}

/** The way from this board to a peer's disk. */
export interface PeerLink {
  readonly board: string;
  readonly disk: string;
  /** `gone`: given up; it is opened anew when the member is added again. */
  readonly state: "up" | "reconnecting" | "gone";
  /** Smoothed, milliseconds; null: nothing was asked yet. */
  readonly latencyMs: number | null;
  readonly inFlight: number;
  /** Since the disk was opened. */
  readonly reconnects: number;
  readonly lastError: string | null;
}

/** Whether this board's own exports serve its peers. */
export interface ExporterGate {
  readonly isOpen: boolean;
  /** Why not. */
  readonly reason: string | null;
  /**
   * Own disks, by id, at which requests of connections that ended are still under way: such a write
   * would meet what is copied there.
   */
  readonly draining: readonly string[];
}

/** On whose behalf a disk of this board is used. */
export interface ExporterSession {
  /** `node:UUID:SLOT:EPOCH` or `board:NAME:EPOCH`. */
  readonly session: string;
  readonly board: string;
  readonly disks: readonly string[];
  readonly connections: number;
  /** Requests at the disks. */
  readonly inFlight: number;
  /** What a connection of it waits for, for people. */
  readonly waits: string | null;
}

/** A session that is over, while its requests at this board's disks are waited for. */
export interface ExporterFence {
  readonly arrayUuid: string;
  /** Bitmap slot, from 0. */
  readonly slot: number;
  readonly epoch: number;
}

/** What this board's exports do. */
export interface ExporterReport {
  /** Seconds since each live board was heard. */
  readonly heard: readonly { readonly name: string; readonly seconds: number }[];
  readonly sessions: readonly ExporterSession[];
  readonly fences: readonly ExporterFence[];
}

/** The boards. */
export interface PeerBoards {
  /** Those that live, by name, this one among them. */
  boards(): readonly PeerBoard[];
  /** To every peer's disk that this board has open, or has looked at. */
  links(): readonly PeerLink[];
  gate(): ExporterGate;
  /** Told whenever a board, a disk or the gate has changed. */
  onChange(listener: () => void): void;
  /** Sets the disks that the peers see. */
  serve(disks: readonly ServedDisk[]): void;
  /** Serial numbers of certificates that open no disk here any more; replaces the last ones. */
  refuse(serials: readonly string[]): void;
  report(): Promise<ExporterReport>;
}

/** Seconds since the board was heard; null: this board is cut off, and hears nobody. */
export const secondsSince = (
  { heard }: ExporterReport,
  { isOpen }: ExporterGate,
  name: string,
): number | null => (isOpen ? (heard.find((one) => one.name === name)?.seconds ?? null) : null);
