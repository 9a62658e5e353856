/**
 * The NBD server of one thread: accepts on its addresses, runs handshakes, owns the connections,
 * ends peers that stall, and closes exports. It knows exports only through the directory.
 */
import { createServer, type Server, type Socket } from "node:net";
// Imported: Node looks the global up anew, through a getter, at every use.
import { performance } from "node:perf_hooks";
import type { Logger } from "../common/log.ts";
import { silentLogger } from "../common/log.ts";
import { addressText, bindServer, type NbdAddress } from "./address-driver.ts";
import { BusyPoll } from "./busy-poll-driver.ts";
import { type ConnectionSurroundings, NbdConnection } from "./connection-driver.ts";
import type { ClientCertificate, ConnectionDirectory, ExportDirectory } from "./export-backend.ts";
import { HandshakeDriver, type HandshakeResult } from "./handshake-driver.ts";
import { InputBlockPool } from "./input-block.ts";
import { IoStatistics, type NbdCounters } from "./io-statistics.ts";
import { PayloadBudget } from "./payload-budget.ts";
import { SlabPool } from "./reply-slab.ts";
import { type ServerLimits, serverLimits } from "./server-limits.ts";
import { SocketInput } from "./socket-input-driver.ts";
import { StallWatch } from "./stall-watch.ts";
import type { NbdTls } from "./tls-upgrade-driver.ts";

export interface NbdServerOptions {
  /** Offers STARTTLS when present. */
  readonly tls?: NbdTls | null;
  readonly limits?: Partial<ServerLimits>;
  /** Goes before the number in client ids, so that they differ between threads. */
  readonly idPrefix?: string;
  readonly logger?: Logger;
  /** Where exports depend on who asks: the directory of the next connection. */
  readonly directoryFor?: () => ConnectionDirectory;
  /** As `ConnectionSurroundings` has it. */
  readonly makeRoom?: (fd: number, bytes: number) => void;
}

/** A connection past its handshake. */
export interface NbdClient {
  readonly id: string;
  readonly exportName: string;
  /** `host:port`, or `unix`. */
  readonly peer: string;
  readonly tls: boolean;
  /** Milliseconds since the epoch. */
  readonly connectedAt: number;
  readonly readBytes: number;
  readonly writtenBytes: number;
}

/** A TCP or unix address that the server listens on, with the port that it got. */
export interface NbdListening {
  readonly host: string | null;
  readonly port: number | null;
  readonly path: string | null;
}

interface Attached {
  readonly connection: NbdConnection;
  readonly id: string;
  readonly peer: string;
  readonly isTls: boolean;
  readonly connectedAt: number;
  readonly watch: StallWatch;
  readonly budget: PayloadBudget;
}

interface Greeted {
  readonly handshake: HandshakeDriver;
  readonly startedAt: number;
}

const SWEEP_MS = 1_000;
const KEEP_ALIVE_MS = 60_000;

/** Memory outside Node's shared pool, not cleared. */
const allocate = (size: number): Uint8Array => Buffer.allocUnsafeSlow(size);

export class NbdServer {
  readonly #directory: ExportDirectory;
  readonly #limits: ServerLimits;
  readonly #tls: NbdTls | null;
  readonly #idPrefix: string;
  readonly #directoryFor: (() => ConnectionDirectory) | null;
  readonly #logger: Logger;
  readonly #surroundings: Omit<ConnectionSurroundings, "budget">;
  /** By the word of the exports that share one. */
  readonly #budgets = new Map<string, PayloadBudget>();
  readonly #blocks = new InputBlockPool(allocate);
  readonly #listeners: Server[] = [];
  /** Oldest first. */
  readonly #handshakes = new Set<Greeted>();
  readonly #attached = new Map<string, Attached>();
  readonly #waiting = new Set<() => void>();
  #sweeper: NodeJS.Timeout | null = null;
  #nextId = 1;
  #closing = false;

  constructor(directory: ExportDirectory, options: NbdServerOptions = {}) {
    this.#directory = directory;
    this.#limits = serverLimits(options.limits);
    this.#tls = options.tls ?? null;
    this.#idPrefix = options.idPrefix ?? "";
    this.#directoryFor = options.directoryFor ?? null;
    this.#logger = options.logger ?? silentLogger;
    const now = (): number => performance.now();
    this.#surroundings = {
      limits: this.#limits,
      slabs: new SlabPool(allocate),
      statistics: new IoStatistics(),
      now,
      poll: new BusyPoll(now),
      makeRoom: options.makeRoom ?? null,
    };
  }

  /** Where it listens, in the order of `listen` calls. */
  get addresses(): readonly NbdListening[] {
    return this.#listeners.map((listener) => {
      const bound = listener.address();
      if (bound === null || typeof bound === "string") {
        return { host: null, port: null, path: bound };
      }
      return { host: bound.address, port: bound.port, path: null };
    });
  }

  /** Errors: NBD_ADDRESS_IN_USE, NBD_ADDRESS_DENIED, NBD_ADDRESS_INVALID. */
  async listen(address: NbdAddress): Promise<void> {
    const options = { allowHalfOpen: true, noDelay: true, pauseOnConnect: true };
    const listener = createServer(options, (socket) => this.serve(socket));
    await bindServer(listener, address);
    // Accepting fails for want of descriptors at most; the next connection is tried again.
    listener.on("error", (error) => {
      this.#logger.warn({ address: addressText(address), error }, "nbd.accept-failed");
    });
    this.#listeners.push(listener);
  }

  /** Serves a socket accepted elsewhere, with `allowHalfOpen` and `pauseOnConnect`. */
  serve(socket: Socket): void {
    if (this.#closing || this.#attached.size >= this.#limits.connectionsMax) {
      this.#logger.debug({ connections: this.#attached.size }, "nbd.client-refused");
      socket.destroy();
      return;
    }
    const peer = peerName(socket);
    const input = SocketInput.ofAccepted(socket, this.#blocks);
    input.socket.setKeepAlive(true, KEEP_ALIVE_MS);
    const own = this.#directoryFor?.() ?? null;
    const environment = {
      directory: own ?? this.#directory,
      tls: this.#tls,
      handshakeMs: this.#limits.handshakeMs,
      closingMs: this.#limits.closingMs,
      isShuttingDown: () => this.#closing,
      onSecured: (client: ClientCertificate | null) => own?.secured(client),
    };
    const handshake = new HandshakeDriver(
      input,
      environment,
      (result) => {
        this.#handshakes.delete(greeted);
        this.#attach(result, peer, own);
      },
      (reason) => {
        this.#handshakes.delete(greeted);
        this.#logger.debug({ peer, reason }, "nbd.handshake-ended");
        own?.ended();
        this.#wake();
      },
    );
    const greeted: Greeted = { handshake, startedAt: performance.now() };
    this.#handshakes.add(greeted);
    this.#startSweeping();
    handshake.start();
    if (this.#handshakes.size > this.#limits.handshakesMax) {
      const oldest = this.#handshakes.values().next().value;
      oldest?.handshake.close("too many handshakes");
    }
  }

  clients(): readonly NbdClient[] {
    return [...this.#attached.values()].map(({ connection, id, peer, isTls, connectedAt }) => ({
      id,
      exportName: connection.session.entry.name,
      peer,
      tls: isTls,
      connectedAt,
      readBytes: connection.readBytes,
      writtenBytes: connection.writtenBytes,
    }));
  }

  counters(): NbdCounters {
    return this.#surroundings.statistics.snapshot();
  }

  /** Cuts a client off at once; false when there is none of that id. */
  kick(id: string): boolean {
    const attached = this.#attached.get(id);
    attached?.connection.abort("cut off by the administrator");
    return attached !== undefined;
  }

  /** The directory opened an export that was to come, or gave it up: who waits is answered. */
  exportsChanged(): void {
    for (const { handshake } of [...this.#handshakes]) handshake.exportsChanged();
  }

  /**
   * Answers the requests under way on an export, closes its connections, and resolves when no
   * request of theirs is with the back end any more. BEFORE it, the directory must stop listing the
   * export.
   */
  async closeExport(name: string): Promise<void> {
    const isOfExport = ({ connection }: Attached): boolean =>
      connection.session.entry.name === name;
    await this.#drainAll(isOfExport, "the export was closed");
  }

  /** Stops listening, drains and closes every connection. */
  async close(): Promise<void> {
    this.#closing = true;
    const listeners = this.#listeners.splice(0);
    const closed = listeners.map(
      (listener) => new Promise<void>((resolve) => listener.close(() => resolve())),
    );
    for (const { handshake } of [...this.#handshakes]) handshake.close("the server is closing");
    await this.#drainAll(() => true, "the server is closing");
    await Promise.all(closed);
    this.#stopSweeping();
  }

  #attach(result: HandshakeResult, peer: string, own: ConnectionDirectory | null): void {
    const { input, session, received, isTls } = result;
    const { socket } = input;
    if (this.#attached.size >= this.#limits.connectionsMax) {
      this.#logger.debug({ peer }, "nbd.client-refused");
      socket.on("error", () => undefined);
      socket.destroy();
      own?.ended();
      return;
    }
    const id = `${this.#idPrefix}${this.#nextId}`;
    this.#nextId += 1;
    const exportName = session.entry.name;
    const budget = this.#budgetOf(session.entry.memory ?? "");
    const onClosed = (reason: string): void => {
      this.#attached.delete(id);
      this.#logger.info({ client: id, export: exportName, peer, reason }, "nbd.client-detached");
      own?.ended();
      this.#wake();
    };
    const connection = new NbdConnection(
      input,
      session,
      received,
      { ...this.#surroundings, budget },
      onClosed,
      () => own?.gone(),
    );
    const watch = new StallWatch(this.#limits);
    const connectedAt = Date.now();
    this.#attached.set(id, { connection, id, peer, isTls, connectedAt, watch, budget });
    this.#logger.info({ client: id, export: exportName, peer, tls: isTls }, "nbd.client-attached");
    own?.attached((reason) => connection.abort(reason));
    connection.start();
  }

  #budgetOf(word: string): PayloadBudget {
    const budget = this.#budgets.get(word) ?? new PayloadBudget(this.#limits.budgetBytes);
    this.#budgets.set(word, budget);
    return budget;
  }

  async #drainAll(isMeant: (attached: Attached) => boolean, reason: string): Promise<void> {
    for (const attached of [...this.#attached.values()]) {
      if (isMeant(attached)) attached.connection.drain(reason);
    }
    while ([...this.#attached.values()].some(isMeant)) {
      await new Promise<void>((resolve) => this.#waiting.add(resolve));
    }
  }

  /** A connection or handshake ended. */
  #wake(): void {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const resolve of waiting) resolve();
    if (this.#attached.size === 0 && this.#handshakes.size === 0) this.#stopSweeping();
  }

  #startSweeping(): void {
    this.#sweeper ??= setInterval(() => this.#sweep(performance.now()), SWEEP_MS).unref();
  }

  #stopSweeping(): void {
    if (this.#sweeper !== null) clearInterval(this.#sweeper);
    this.#sweeper = null;
  }

  /** Ends handshakes that take too long and peers that stall. */
  #sweep(now: number): void {
    for (const { handshake, startedAt } of [...this.#handshakes]) {
      const { handshakeMs, comingMs } = this.#limits;
      const limitMs = handshake.isHeld ? comingMs : handshakeMs;
      if (now - startedAt > limitMs) handshake.close("handshake took too long");
    }
    for (const { connection, watch, budget } of [...this.#attached.values()]) {
      const verdict = watch.look(connection.debt, now, budget.isContended);
      if (verdict !== null) connection.abort(verdict);
    }
  }
}

/**
 * A server that listens on all `addresses`.
 * Errors: NBD_ADDRESS_IN_USE, NBD_ADDRESS_DENIED, NBD_ADDRESS_INVALID; it then listens nowhere.
 */
export async function listenNbd(
  addresses: NbdAddress | readonly NbdAddress[],
  directory: ExportDirectory,
  options: NbdServerOptions = {},
): Promise<NbdServer> {
  const server = new NbdServer(directory, options);
  try {
    for (const address of [addresses].flat()) await server.listen(address);
  } catch (error) {
    await server.close();
    throw error;
  }
  return server;
}

function peerName(socket: Socket): string {
  const { remoteAddress, remotePort } = socket;
  if (remoteAddress === undefined || remotePort === undefined) return "unix";
  const host = remoteAddress.includes(":") ? `[${remoteAddress}]` : remoteAddress;
  return `${host}:${remotePort}`;
}
