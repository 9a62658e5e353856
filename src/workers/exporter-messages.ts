/** What the main thread and the exporter's thread say to each other. */

import type { BoardRecord } from "../cluster/store/board-record.ts";
import type { PlainError } from "../common/errors.ts";
import type { LogFields, LogLevel } from "../common/log.ts";
import type { SeenStore } from "../control/engine.ts";
import type { ServedDisk } from "../peers/disk-rooms-driver.ts";
import type { ExporterState, ExporterView, SeenBoard } from "../peers/exporter-view.ts";
import type { NodeSession } from "../peers/fence-trust.ts";
import type { PeerTls } from "../peers/peer-ticket.ts";

/** workerData of the exporter's thread. */
export interface ExporterThreadData {
  readonly cluster: string;
  readonly board: Pick<BoardRecord, "name" | "boot" | "api" | "version">;
  /** Client URLs of etcd's members. */
  readonly endpoints: readonly string[];
  /** PEM texts; null: plain HTTP, or HTTPS by the machine's authorities. */
  readonly etcdTls: PeerTls | null;
  readonly learnsMembers: boolean;
  readonly tls: PeerTls;
  readonly listen: { readonly host: string; readonly port: number };
  /** The host that peers are told; null: the one of `listen`. */
  readonly advertise: string | null;
  readonly seen: SeenStore | null;
}

/** Null: done. */
export type ExporterAnswer = ExporterView | boolean | null;

export type MainToExporter =
  | { readonly type: "disks"; readonly disks: readonly ServedDisk[] }
  | { readonly type: "reaches"; readonly names: readonly string[] }
  | { readonly type: "refused"; readonly serials: readonly string[] }
  | {
      readonly type: "own-drained";
      readonly uuid: string;
      readonly slot: number;
      readonly epoch: number;
    }
  | { readonly type: "view"; readonly id: number }
  | {
      readonly type: "trust";
      readonly id: number;
      readonly session: NodeSession;
      readonly disk: string;
    }
  | { readonly type: "close"; readonly id: number };

export type ExporterToMain =
  /** HOST:PORT as peers are told it. */
  | { readonly type: "listening"; readonly address: string }
  | { readonly type: "refused"; readonly error: PlainError }
  | { readonly type: "boards"; readonly boards: readonly SeenBoard[] }
  | {
      readonly type: "own-fenced";
      readonly uuid: string;
      readonly slot: number;
      readonly epoch: number;
    }
  | { readonly type: "state"; readonly state: ExporterState }
  | { readonly type: "store-seen"; readonly seen: SeenStore }
  | {
      readonly type: "log";
      readonly level: LogLevel;
      readonly fields: LogFields;
      readonly event: string;
    }
  | { readonly type: "reply"; readonly id: number; readonly answer: ExporterAnswer };
