/** The I/O workers as the main thread holds them: listening, arrays, exports, counters. */

import { createServer } from "node:net";
import { type MessagePort, Worker } from "node:worker_threads";
import type { PlainError } from "../common/errors.ts";
import { workerUrl } from "../common/worker-url.ts";
import type { EngineOptions, ExportClient, IoCounters } from "../control/engine.ts";
import type { PeerLink } from "../control/peer-boards.ts";
import { bindServer } from "../nbd/address-driver.ts";
import { LATENCY_BOUNDS } from "../nbd/io-statistics.ts";
import { ThreadLink } from "./thread-link.ts";
import type { IoRequest, IoThreadData, IoToMain } from "./worker-messages.ts";

interface PoolWorker {
  readonly link: ThreadLink<number | null>;
  clients: readonly ExportClient[];
  counters: IoCounters | null;
}

/** What workers tell unasked. */
export interface PoolListener {
  /** A member of array `uuid` cannot be used past the page cache. */
  notDirect(uuid: string, error: PlainError): void;
  /** How the ways to peers' disks are that `thread` has open. */
  links(thread: string, links: readonly PeerLink[]): void;
}

export class IoPool {
  readonly #workers: readonly PoolWorker[];

  constructor(options: EngineOptions, listener: PoolListener) {
    const { ioWorkers, tls, comingExports, isDirect } = options;
    this.#workers = Array.from({ length: ioWorkers }, (_, worker) =>
      startWorker({ worker, tls, comingExports, isDirect }, listener),
    );
  }

  get size(): number {
    return this.#workers.length;
  }

  /** Binds every worker to the port; resolves with it. Errors: NBD_ADDRESS_*. */
  async listenTcp(host: string, port: number): Promise<number> {
    if (port !== 0) await assertFree(host, port);
    let bound = port;
    for (const worker of this.#workers) {
      const answer = await this.#ask(worker, { type: "listen", host, port: bound });
      bound = answer ?? bound;
    }
    return bound;
  }

  /** The first worker owns the unix socket. Errors: NBD_ADDRESS_*. */
  async listenSocket(path: string): Promise<void> {
    const [first] = this.#workers;
    if (first !== undefined) await this.#ask(first, { type: "listen-socket", path });
  }

  /** Sends each worker the request made for it; resolves when all have answered. */
  async askEach(
    make: (worker: number) => { request: IoRequest; transfer?: readonly MessagePort[] },
  ): Promise<void> {
    await Promise.all(
      this.#workers.map((worker, index) => {
        const { request, transfer } = make(index);
        return this.#ask(worker, request, transfer);
      }),
    );
  }

  clients(): readonly ExportClient[] {
    return this.#workers.flatMap((worker) => worker.clients);
  }

  counters(): IoCounters {
    return this.#workers.reduce(
      (sum, { counters }) => (counters === null ? sum : addCounters(sum, counters)),
      ZERO,
    );
  }

  /** Drains and closes all connections, then ends the threads. */
  async close(): Promise<void> {
    await this.askEach(() => ({ request: { type: "close" } }));
    for (const { link } of this.#workers) {
      link.expectEnd();
      await link.worker.terminate();
    }
  }

  #ask(
    worker: PoolWorker,
    request: IoRequest,
    transfer: readonly MessagePort[] = [],
  ): Promise<number | null> {
    return worker.link.ask((id) => worker.link.worker.postMessage({ id, request }, [...transfer]));
  }
}

/**
 * Room for a worker's new objects, MiB; V8 keeps what it once took. Requests that are answered at
 * once leave little behind (no difference from 24, measured), those that go to the drive more.
 */
const YOUNG_GENERATION_MB = 3;
const DIRECT_YOUNG_GENERATION_MB = 24;

const startWorker = (data: IoThreadData, listener: PoolListener): PoolWorker => {
  const thread = new Worker(workerUrl("io", import.meta.url), {
    name: "io",
    workerData: data,
    resourceLimits: {
      maxYoungGenerationSizeMb: data.isDirect ? DIRECT_YOUNG_GENERATION_MB : YOUNG_GENERATION_MB,
    },
  });
  const link = new ThreadLink<number | null>(thread, `I/O worker ${data.worker}`);
  const worker: PoolWorker = { link, clients: [], counters: null };
  thread.on("message", (message: IoToMain) => {
    if (message.type === "clients") worker.clients = message.clients;
    else if (message.type === "counters") worker.counters = message.counters;
    else if (message.type === "not-direct") listener.notDirect(message.uuid, message.error);
    else if (message.type === "peer-links") listener.links(`io ${data.worker}`, message.links);
    else link.settle(message.id, message.error, message.port);
  });
  return worker;
};

/** Workers bind with SO_REUSEPORT, which another daemon of this user could share: look first. */
const assertFree = async (host: string, port: number): Promise<void> => {
  const probe = createServer();
  await bindServer(probe, { host, port });
  await new Promise<void>((resolve) => {
    probe.close(() => resolve());
  });
};

const noLatency = { bounds: LATENCY_BOUNDS, counts: LATENCY_BOUNDS.map(() => 0).concat(0), sum: 0 };

const ZERO: IoCounters = {
  nbdRequests: {},
  readBytes: 0,
  writtenBytes: 0,
  readOps: 0,
  writeOps: 0,
  flushOps: 0,
  latency: { read: noLatency, write: noLatency, flush: noLatency },
};

type Latency = IoCounters["latency"]["read"];

const addLatency = (a: Latency, b: Latency): Latency => ({
  bounds: a.bounds,
  counts: a.counts.map((count, index) => count + (b.counts[index] ?? 0)),
  sum: a.sum + b.sum,
});

const addCounters = (a: IoCounters, b: IoCounters): IoCounters => {
  const nbdRequests: Record<string, number> = { ...a.nbdRequests };
  for (const [key, count] of Object.entries(b.nbdRequests)) {
    nbdRequests[key] = (nbdRequests[key] ?? 0) + count;
  }
  return {
    nbdRequests,
    readBytes: a.readBytes + b.readBytes,
    writtenBytes: a.writtenBytes + b.writtenBytes,
    readOps: a.readOps + b.readOps,
    writeOps: a.writeOps + b.writeOps,
    flushOps: a.flushOps + b.flushOps,
    latency: {
      read: addLatency(a.latency.read, b.latency.read),
      write: addLatency(a.latency.write, b.latency.write),
      flush: addLatency(a.latency.flush, b.latency.flush),
    },
  };
};
