/** What the main thread and the I/O workers say to each other. */

import type { MessagePort } from "node:worker_threads";
import type { PlainError } from "../common/errors.ts";
import type { EngineTls, ExportClient, ExportSpec, IoCounters } from "../control/engine.ts";
import type { PeerLink } from "../control/peer-boards.ts";
import type { ExportNotice } from "../nbd/export-backend.ts";
import type { SharedArrayShape } from "../raid/shared-state.ts";
import type { LegTicket } from "./array-messages.ts";
import type { PeerUse } from "./peer-links.ts";

/** workerData of an I/O worker. */
export interface IoThreadData {
  /** Number of this worker, from 0. */
  readonly worker: number;
  readonly tls: EngineTls | null;
  /** Members are used past the page cache where they can be. */
  readonly isDirect: boolean;
  /** Exports of arrays that are about to start. */
  readonly comingExports: readonly ExportNotice[];
}

export type IoRequest =
  | { readonly type: "listen"; readonly host: string; readonly port: number }
  | { readonly type: "listen-socket"; readonly path: string }
  | {
      readonly type: "attach-array";
      readonly uuid: string;
      readonly shape: SharedArrayShape;
      readonly legs: readonly LegTicket[];
      readonly readOnly: boolean;
      readonly hasBitmap: boolean;
      readonly isGated: boolean;
      /** As whom peers' disks are opened; null: not at all. */
      readonly peers: PeerUse | null;
      readonly port: MessagePort;
    }
  | { readonly type: "detach-array"; readonly uuid: string }
  | { readonly type: "open-export"; readonly spec: ExportSpec }
  /** `coming`: clients who ask for it wait until it is opened again; else they hear `reason`. */
  | {
      readonly type: "close-export";
      readonly name: string;
      readonly coming: ExportNotice | null;
      readonly reason: string;
    }
  /** Answered when nothing that was given up may still reach one of the paths. */
  | { readonly type: "settle"; readonly paths: readonly string[] }
  | { readonly type: "close" };

export interface MainToIo {
  readonly id: number;
  readonly request: IoRequest;
}

export type IoToMain =
  | {
      readonly type: "reply";
      readonly id: number;
      readonly error: PlainError | null;
      /** TCP port, for `listen`. */
      readonly port: number | null;
    }
  /** A member of the array cannot be used past the page cache. */
  | { readonly type: "not-direct"; readonly uuid: string; readonly error: PlainError }
  | { readonly type: "clients"; readonly clients: readonly ExportClient[] }
  | { readonly type: "counters"; readonly counters: IoCounters }
  | { readonly type: "peer-links"; readonly links: readonly PeerLink[] };
