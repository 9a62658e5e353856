/**
 * An I/O worker: owns NBD connections and does their members' I/O on this thread. Several of them
 * share the TCP port (the kernel spreads connections); the first one owns the unix socket.
 */

import { parentPort, workerData } from "node:worker_threads";
import { assert, assertNever } from "../common/assert.ts";
import { CodedError, toPlainError } from "../common/errors.ts";
import type { ExportSpec } from "../control/engine.ts";
import { loadSendBuffer, type SetSendBuffer } from "../hal/linux/send-buffer.ts";
import type {
  ExportDirectory,
  ExportEntry,
  ExportNotice,
  ExportRefusal,
} from "../nbd/export-backend.ts";
import { NbdServer } from "../nbd/server-driver.ts";
import { settled } from "./open-member.ts";
import { peerLinks } from "./peer-links.ts";
import { WorkerArray } from "./worker-array.ts";
import type { IoRequest, IoThreadData, IoToMain, MainToIo } from "./worker-messages.ts";

/** Between looks at clients and counters. */
const STATISTICS_MS = 250;
/** Block sizes advertised. Source: NBD protocol, "Block size constraints"; maximum as qemu's. */
const PREFERRED_BLOCK = 4096;
/** Closed exports whose reasons are kept: as many as a board may have. */
const REASONS_MAX = 256;
const MAXIMUM_PAYLOAD = 32 * 1024 * 1024;

class IoThread implements ExportDirectory {
  readonly #worker: number;
  readonly #isDirect: boolean;
  readonly #arrays = new Map<string, WorkerArray>();
  readonly #exports = new Map<string, ExportEntry>();
  readonly #coming: Map<string, ExportNotice>;
  /** Why exports that were closed are, by name. */
  readonly #reasons = new Map<string, string>();
  readonly #server: NbdServer;
  /** Loaded with the first array: who serves none needs none. */
  #sendBuffer: SetSendBuffer | null = null;
  #lastClients = "";
  #lastOps = -1;
  #lastLinks = "[]";

  constructor(data: IoThreadData) {
    this.#worker = data.worker;
    this.#isDirect = data.isDirect;
    this.#coming = new Map(data.comingExports.map((notice) => [notice.name, notice]));
    this.#server = new NbdServer(this, {
      tls: data.tls,
      idPrefix: `${data.worker}-`,
      makeRoom: (fd, bytes) => this.#sendBuffer?.(fd, bytes),
    });
    setInterval(() => this.#postStatistics(), STATISTICS_MS).unref();
  }

  list(): readonly ExportNotice[] {
    return [...this.#exports.values(), ...this.#coming.values()];
  }

  find(name: string): ExportEntry | null {
    return this.#exports.get(this.#meant(name)) ?? null;
  }

  refusal(name: string): ExportRefusal | null {
    const text = this.#reasons.get(name);
    return text === undefined ? null : { kind: "unknown", text };
  }

  isComing(name: string): boolean {
    return this.#coming.has(this.#meant(name));
  }

  /** The default export is the only one, open or to come. */
  #meant(name: string): string {
    const all = name === "" ? this.list() : [];
    return all.length === 1 ? (all[0]?.name ?? name) : name;
  }

  async onMain({ id, request }: MainToIo): Promise<void> {
    try {
      const port = await this.#handle(request);
      post({ type: "reply", id, error: null, port });
    } catch (error) {
      if (!(error instanceof CodedError)) throw error;
      post({ type: "reply", id, error: toPlainError(error), port: null });
    }
  }

  async #handle(request: IoRequest): Promise<number | null> {
    switch (request.type) {
      case "listen":
        return this.#listen(request.host, request.port);
      case "listen-socket":
        await this.#server.listen({ path: request.path });
        return null;
      case "attach-array": {
        const array = new WorkerArray({
          ...request,
          worker: this.#worker,
          isDirect: this.#isDirect,
          onNotDirect: (error) => this.#tellNotDirect(request.uuid, error),
        });
        this.#arrays.set(request.uuid, array);
        await array.start();
        this.#sendBuffer ??= await loadSendBuffer();
        return null;
      }
      case "detach-array": {
        const array = this.#arrays.get(request.uuid);
        this.#arrays.delete(request.uuid);
        await array?.close();
        return null;
      }
      case "open-export":
        this.#exports.set(request.spec.name, this.#entry(request.spec));
        this.#coming.delete(request.spec.name);
        this.#reasons.delete(request.spec.name);
        this.#server.exportsChanged();
        return null;
      case "close-export":
        await this.#closeExport(request.name, request.coming, request.reason);
        this.#postStatistics();
        return null;
      case "settle":
        await Promise.all(request.paths.map(settled));
        return null;
      case "close":
        await this.#server.close();
        return null;
      default:
        return assertNever(request);
    }
  }

  async #listen(host: string, port: number): Promise<number | null> {
    await this.#server.listen({ host, port, reusePort: true });
    return this.#server.addresses.find((address) => address.port !== null)?.port ?? null;
  }

  async #closeExport(name: string, coming: ExportNotice | null, reason: string): Promise<void> {
    this.#exports.delete(name);
    this.#reasons.delete(name);
    if (reason !== "") this.#reasons.set(name, reason);
    const [oldest = ""] = this.#reasons.keys();
    if (this.#reasons.size > REASONS_MAX) this.#reasons.delete(oldest);
    const wasComing = this.#coming.delete(name);
    if (coming !== null) this.#coming.set(name, coming);
    if (wasComing || coming !== null) this.#server.exportsChanged();
    await this.#server.closeExport(name);
  }

  #entry(spec: ExportSpec): ExportEntry {
    const array = this.#arrays.get(spec.arrayUuid);
    assert(array !== undefined, "an export names an attached array");
    return {
      name: spec.name,
      description: spec.description,
      tlsRequired: spec.tlsRequired,
      minimumBlock: 1,
      preferredBlock: PREFERRED_BLOCK,
      maximumPayload: MAXIMUM_PAYLOAD,
      contexts: ["base:allocation", "satsuma:dirty"],
      backend: array.makeExport(spec.readOnly),
    };
  }

  /** The workers open the same members on the same kernel: the first one tells of them all. */
  #tellNotDirect(uuid: string, error: CodedError): void {
    if (this.#worker === 0) post({ type: "not-direct", uuid, error: toPlainError(error) });
  }

  /** Posts what changed since the last look. */
  #postStatistics(): void {
    const clients = this.#server.clients();
    const seen = JSON.stringify(clients);
    if (seen !== this.#lastClients) post({ type: "clients", clients });
    this.#lastClients = seen;
    const counters = this.#server.counters();
    const ops = Object.values(counters.nbdRequests).reduce((sum, count) => sum + count, 0);
    if (ops !== this.#lastOps) post({ type: "counters", counters });
    this.#lastOps = ops;
    const links = peerLinks();
    const told = JSON.stringify(links);
    if (told !== this.#lastLinks) post({ type: "peer-links", links });
    this.#lastLinks = told;
  }
}

const post = (message: IoToMain): void => parentPort?.postMessage(message);

const data: IoThreadData = workerData;
const thread = new IoThread(data);
parentPort?.on("message", (message: MainToIo) => void thread.onMain(message));
