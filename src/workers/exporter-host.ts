/** The exporter's thread as the main thread holds it. */

import { Worker } from "node:worker_threads";
import { assert } from "../common/assert.ts";
import { fromPlainError } from "../common/errors.ts";
import type { Logger } from "../common/log.ts";
import { workerUrl } from "../common/worker-url.ts";
import type { SeenStore } from "../control/engine.ts";
import type { ServedDisk } from "../peers/disk-rooms-driver.ts";
import type { ExporterState, ExporterView, SeenBoard } from "../peers/exporter-view.ts";
import type { NodeSession } from "../peers/fence-trust.ts";
import type { PeerTls } from "../peers/peer-ticket.ts";
import type {
  ExporterAnswer,
  ExporterThreadData,
  ExporterToMain,
  MainToExporter,
} from "./exporter-messages.ts";
import { ThreadLink } from "./thread-link.ts";

/** Its new objects are small and short-lived; replies are written from slabs. */
const YOUNG_GENERATION_MB = 8;

export interface ExporterOptions {
  readonly cluster: string;
  /** The board's name, as its certificate tells. */
  readonly node: string;
  /** Another one for each start of the board. */
  readonly boot: string;
  /** URL of the board's API, or "". */
  readonly api: string;
  readonly version: string;
  /** Client URLs of etcd's members. */
  readonly endpoints: readonly string[];
  /** PEM texts; null: plain HTTP, or HTTPS by the machine's authorities. */
  readonly etcdTls: PeerTls | null;
  /** Members that etcd tells of are asked as well. */
  readonly learnsMembers?: boolean;
  /** Of the cluster's authority, for peers. */
  readonly tls: PeerTls;
  readonly listen: { readonly host: string; readonly port: number };
  /** The host that peers are told; null: the one of `listen`. */
  readonly advertise: string | null;
  /** What is remembered of the store; null: nothing. */
  readonly seen: SeenStore | null;
  readonly logger: Logger;
  /** Whenever a board of the cluster comes, goes, or tells something else; live ones only. */
  readonly onBoards: (boards: readonly SeenBoard[]) => void;
  /**
   * Sessions of the slot up to `epoch` are over, and may have been this board's own: end what this
   * process does with its disks for them, then call `ownDrained`; at once if there is nothing.
   */
  readonly onOwnFenced: (uuid: string, slot: number, epoch: number) => void;
  readonly onState: (state: ExporterState) => void;
  /** Now and then, to be remembered over restarts. */
  readonly onStoreSeen?: (seen: SeenStore) => void;
}

export class ExporterHost {
  readonly #options: ExporterOptions;
  readonly #link: ThreadLink<ExporterAnswer>;
  readonly #listening = Promise.withResolvers<string>();
  #address = "";

  private constructor(options: ExporterOptions) {
    this.#options = options;
    const { cluster, node, boot, api, version, endpoints, etcdTls, tls } = options;
    const { listen, advertise, seen, learnsMembers = false } = options;
    const board = { name: node, boot, api, version };
    const data: ExporterThreadData = {
      cluster,
      board,
      endpoints,
      etcdTls,
      learnsMembers,
      tls,
      listen,
      advertise,
      seen,
    };
    const worker = new Worker(workerUrl("exporter", import.meta.url), {
      name: "exporter",
      workerData: data,
      resourceLimits: { maxYoungGenerationSizeMb: YOUNG_GENERATION_MB },
    });
    this.#link = new ThreadLink(worker, "exporter's thread");
    worker.on("message", (message: ExporterToMain) => this.#onMessage(message));
  }

  /**
   * Resolves when it listens; it joins its cluster by itself, when that can be.
   * Errors: NBD_ADDRESS_IN_USE, NBD_ADDRESS_DENIED, NBD_ADDRESS_INVALID.
   */
  static async start(options: ExporterOptions): Promise<ExporterHost> {
    const host = new ExporterHost(options);
    host.#address = await host.#listening.promise;
    return host;
  }

  /** HOST:PORT as peers are told it. */
  get address(): string {
    return this.#address;
  }

  setDisks(disks: readonly ServedDisk[]): void {
    this.#post({ type: "disks", disks });
  }

  /** Names of the boards whose member exports this board reaches. */
  setReaches(names: readonly string[]): void {
    this.#post({ type: "reaches", names });
  }

  /** Serial numbers of certificates that are good for nothing any more; replaces the last ones. */
  setRefused(serials: readonly string[]): void {
    this.#post({ type: "refused", serials });
  }

  ownDrained(uuid: string, slot: number, epoch: number): void {
    this.#post({ type: "own-drained", uuid, slot, epoch });
  }

  async view(): Promise<ExporterView> {
    const view = await this.#link.ask((id) => this.#post({ type: "view", id }));
    assert(view !== null && typeof view === "object", "a view is asked for");
    return view;
  }

  /**
   * Whether a node of this board, in this session, may use the disk (its id) where others run its
   * array and it takes no part yet: see peers/fence-trust.ts.
   */
  async isTrusted(session: NodeSession, disk: string): Promise<boolean> {
    return (
      (await this.#link.ask((id) => this.#post({ type: "trust", id, session, disk }))) === true
    );
  }

  /** Serves nobody any more and leaves; what hangs at a disk is not waited for. */
  async close(): Promise<void> {
    await this.#link.ask((id) => this.#post({ type: "close", id }));
    this.#link.expectEnd();
    await this.#link.worker.terminate();
  }

  #post(message: MainToExporter): void {
    this.#link.worker.postMessage(message);
  }

  #onMessage(message: ExporterToMain): void {
    const { onBoards, onOwnFenced, onState, onStoreSeen, logger } = this.#options;
    switch (message.type) {
      case "listening":
        return this.#listening.resolve(message.address);
      case "refused":
        this.#link.expectEnd();
        void this.#link.worker.terminate();
        return this.#listening.reject(fromPlainError(message.error));
      case "boards":
        return onBoards(message.boards);
      case "own-fenced":
        return onOwnFenced(message.uuid, message.slot, message.epoch);
      case "state":
        return onState(message.state);
      case "store-seen":
        return onStoreSeen?.(message.seen);
      case "log":
        return logger[message.level](message.fields, message.event);
      case "reply":
        return this.#link.settle(message.id, null, message.answer);
    }
  }
}
