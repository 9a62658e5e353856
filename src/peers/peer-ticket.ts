/** What it takes to open a peer's disk: where it is, and who asks. Plain values, for any thread. */

import type { PeerSession } from "./member-name.ts";

/** Where a disk of another board is, in one life of that board's exports. */
export interface PeerTicket {
  readonly board: string;
  /** The device's id on its board. */
  readonly disk: string;
  /** Board epoch of the exporter. */
  readonly life: number;
  readonly host: string;
  readonly port: number;
  readonly sizeBytes: number;
  readonly logicalBlockSize: number;
}

/** PEM texts by which boards of a cluster know each other. */
export interface PeerTls {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

/** Who opens it. */
export interface PeerAccess {
  readonly tls: PeerTls;
  readonly session: PeerSession;
  /** Unique per opened device: `NODE.BOOT8.THREAD.NUMBER`. */
  readonly handle: string;
}
