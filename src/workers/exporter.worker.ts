/** The exporter's thread: serves the board's disks, and lives in the cluster for it. */

import { parentPort, workerData } from "node:worker_threads";
import { clusterPrefix } from "../cluster/store/board-keys.ts";
import type { ClusterStore } from "../cluster/store/cluster-store.ts";
import { openEtcd } from "../cluster/store/etcd-start-client.ts";
import { CodedError, toPlainError } from "../common/errors.ts";
import type { LogFields, Logger, LogLevel } from "../common/log.ts";
import { addressText } from "../nbd/address-driver.ts";
import type { ConnectionDirectory } from "../nbd/export-backend.ts";
import { NbdServer } from "../nbd/server-driver.ts";
import type { ServedDisk } from "../peers/disk-rooms-driver.ts";
import { Exporter } from "../peers/exporter-driver.ts";
import type { ExporterView } from "../peers/exporter-view.ts";
import { refusalText } from "../peers/member-refusal.ts";
import type { ExporterThreadData, ExporterToMain, MainToExporter } from "./exporter-messages.ts";
import { afterMs, monotonicMs } from "./monotonic-clock.ts";
import { openMember } from "./open-member.ts";

/** All peers' connections together; one peer may have fewer (exporter-driver.ts). */
const CONNECTIONS_MAX = 2048;
/** All boards come back at once when the exporter does. */
const HANDSHAKES_MAX = 512;
/** Payloads that wait for one disk, beyond what each connection may always hold. */
const DISK_BUDGET_BYTES = 64 * 1024 * 1024;
/** Between attempts to open the store: a board may start long before its etcd. */
const STORE_PAUSE_MS = 2000;
/** The board remembers the store's revision, as it was so long ago at most. */
const STORE_TOLD_MS = 10_000;
/** At the end connections are waited for so long; the process ends with what hangs. */
const CLOSE_MS = 1000;

const post = (message: ExporterToMain): void => parentPort?.postMessage(message);

const logger: Logger = ((): Logger => {
  const at =
    (level: LogLevel) =>
    (fields: LogFields, event: string): void =>
      post({ type: "log", level, fields, event });
  const own: Logger = {
    debug: () => undefined,
    info: at("info"),
    warn: at("warn"),
    error: at("error"),
    child: () => own,
  };
  return own;
})();

/** Before the board has found its cluster's store. */
const NOBODY_IS_SERVED: ConnectionDirectory = {
  list: () => [],
  find: () => null,
  isComing: () => false,
  refusal: () => ({
    kind: "unknown",
    text: refusalText("restarted", "this board is not in its cluster now: it serves nobody"),
  }),
  secured: () => undefined,
  attached: () => undefined,
  gone: () => undefined,
  ended: () => undefined,
};

const NO_VIEW: ExporterView = {
  state: { life: null, isOpen: false, reason: null, draining: [], unacknowledged: [] },
  connections: [],
  heard: [],
};

class ExporterThread {
  readonly #data: ExporterThreadData;
  readonly #server: NbdServer;
  #address = "";
  #store: ClusterStore | null = null;
  #exporter: Exporter | null = null;
  #disks: readonly ServedDisk[] = [];
  #reaches: readonly string[] = [];
  #refused: readonly string[] = [];
  #isEnding = false;

  constructor(data: ExporterThreadData) {
    this.#data = data;
    const { ca, cert, key } = data.tls;
    const none = { list: () => [], find: () => null, isComing: () => false };
    this.#server = new NbdServer(none, {
      tls: { certificate: cert, key, clientAuthority: ca },
      idPrefix: "m-",
      limits: {
        connectionsMax: CONNECTIONS_MAX,
        handshakesMax: HANDSHAKES_MAX,
        budgetBytes: DISK_BUDGET_BYTES,
      },
      directoryFor: () => this.#exporter?.makeDirectory() ?? NOBODY_IS_SERVED,
    });
  }

  /** Listens, then lives in the cluster as soon as its store answers. */
  async start(): Promise<void> {
    const { listen, advertise } = this.#data;
    try {
      await this.#server.listen(listen);
    } catch (error) {
      if (!(error instanceof CodedError)) throw error;
      return post({ type: "refused", error: toPlainError(error) });
    }
    const port = this.#server.addresses[0]?.port ?? listen.port;
    this.#address = addressText({ host: advertise ?? listen.host, port });
    post({ type: "listening", address: this.#address });
    await this.#live();
  }

  onMain(message: MainToExporter): void {
    switch (message.type) {
      case "disks":
        this.#disks = message.disks;
        return this.#exporter?.setDisks(message.disks);
      case "reaches":
        this.#reaches = message.names;
        return this.#exporter?.setReaches(message.names);
      case "refused":
        this.#refused = message.serials;
        return this.#exporter?.setRefused(message.serials);
      case "own-drained":
        return this.#exporter?.ownDrained(message.uuid, message.slot, message.epoch);
      case "view": {
        const answer = this.#exporter?.view() ?? NO_VIEW;
        return post({ type: "reply", id: message.id, answer });
      }
      case "trust": {
        const { id, session, disk } = message;
        const answer = this.#exporter?.isTrusted(session, disk) === true;
        return post({ type: "reply", id, answer });
      }
      case "close":
        return void this.#close(message.id);
    }
  }

  async #live(): Promise<void> {
    const store = await this.#openStore();
    if (store === null) return;
    this.#store = store;
    const { cluster, board } = this.#data;
    const exporter = new Exporter({
      cluster,
      board: { ...board, address: this.#address },
      store,
      clock: { now: monotonicMs, after: afterMs },
      random: Math.random,
      openDisk: ({ path, faults = null }, mode) =>
        // Who reads looks on; who writes keeps others of this machine out.
        openMember({ path, faults }, mode, { claim: mode === "write" ? "cluster" : null }),
      listener: {
        boards: (boards) => post({ type: "boards", boards }),
        ownFenced: (uuid, slot, epoch) => post({ type: "own-fenced", uuid, slot, epoch }),
        state: (state) => post({ type: "state", state }),
      },
      onAnswered: () => this.#server.exportsChanged(),
      logger,
    });
    exporter.setDisks(this.#disks);
    exporter.setReaches(this.#reaches);
    exporter.setRefused(this.#refused);
    this.#exporter = exporter;
    exporter.start();
    setInterval(() => post({ type: "store-seen", seen: store.identity }), STORE_TOLD_MS).unref();
  }

  /** Null: the thread ends. */
  async #openStore(): Promise<ClusterStore | null> {
    const { endpoints, etcdTls, learnsMembers, seen, cluster } = this.#data;
    let told = "";
    while (!this.#isEnding) {
      try {
        const known = seen === null ? {} : { known: seen };
        const options = { endpoints, tls: etcdTls, learnsMembers, ...known };
        const { store, warnings } = await openEtcd(options, clusterPrefix(cluster));
        for (const warning of warnings) logger.info({ warning }, "exporter.store");
        if (!this.#isEnding) return store;
        await store.close();
      } catch (error) {
        if (!(error instanceof CodedError)) throw error;
        const reason = `${error.code}: ${error.message}`;
        if (reason !== told) post({ type: "state", state: { ...NO_VIEW.state, reason } });
        told = reason;
      }
      await new Promise<void>((resolve) => void afterMs(STORE_PAUSE_MS, resolve));
    }
    return null;
  }

  async #close(id: number): Promise<void> {
    this.#isEnding = true;
    await this.#exporter?.close();
    const late = Promise.withResolvers<void>();
    afterMs(CLOSE_MS, late.resolve);
    await Promise.race([this.#server.close(), late.promise]);
    await this.#store?.close();
    post({ type: "reply", id, answer: null });
  }
}

const thread = new ExporterThread(workerData as ExporterThreadData);
parentPort?.on("message", (message: MainToExporter) => thread.onMain(message));
void thread.start();
