/** What the main thread and the I/O workers say to each other. */

import type { MessagePort } from "node:worker_threads";
import type { PlainError } from "../common/errors.ts";
import type { ExportClient, ExportSpec, IoCounters } from "../control/engine.ts";
import type { SharedArrayShape } from "../raid/shared-state.ts";
import type { LegTicket } from "./array-messages.ts";

/** Where a worker listens: the first on addresses, the others share what the first has bound. */
export interface ListenRequest {
  readonly tcp: { readonly host: string; readonly port: number } | null;
  readonly socketPath: string | null;
  /** File descriptor of the listening unix socket the first worker has bound. */
  readonly socketFd: number | null;
  readonly tls: TlsFiles | null;
  readonly maxConnections: number;
}

/** PEM texts of the NBD server's certificate. */
export interface TlsFiles {
  readonly cert: string;
  readonly key: string;
  /** Clients must present a certificate of this CA; null = any client. */
  readonly ca: string | null;
}

export type IoRequest =
  | { readonly type: "listen"; readonly listen: ListenRequest }
  | {
      readonly type: "attach-array";
      readonly uuid: string;
      readonly shape: SharedArrayShape;
      readonly legs: readonly LegTicket[];
      readonly readOnly: boolean;
      readonly hasBitmap: boolean;
      readonly port: MessagePort;
    }
  | { readonly type: "detach-array"; readonly uuid: string }
  | { readonly type: "open-export"; readonly spec: ExportSpec }
  | { readonly type: "close-export"; readonly name: string }
  | { readonly type: "close" };

export type MainToIo = { readonly id: number; readonly request: IoRequest };

/** What `listen` answers. */
export interface ListenReply {
  readonly tcpPort: number | null;
  readonly socketFd: number | null;
}

export type IoToMain =
  | {
      readonly type: "reply";
      readonly id: number;
      readonly error: PlainError | null;
      readonly listen: ListenReply | null;
    }
  | { readonly type: "stats"; readonly clients: readonly ExportClient[]; readonly counters: IoCounters };
