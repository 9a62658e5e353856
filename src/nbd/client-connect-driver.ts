/**
 * Connects to an NBD server and runs the client's handshake: TCP, TLS where it is wanted, then the
 * export. It has no clock: whoever waits for it takes it back by `cancel`.
 */
import { connect, type Socket } from "node:net";
import { connect as connectTls, type SecureContext, type TLSSocket } from "node:tls";
import type { CodedError } from "../common/errors.ts";
import { misbehaved, unreachable, untrusted } from "./client-errors.ts";
import {
  type Agreed,
  CLIENT_HANDSHAKE_START,
  type ClientHandshakeEffect,
  type ClientHandshakeEvent,
  type ClientHandshakeState,
  stepClientHandshake,
  wantedFromServer,
} from "./client-handshake.ts";
import { ReceiveQueue } from "./receive-queue.ts";

/** Mutual TLS: own certificate and authorities in `context`. */
export interface ClientTls {
  readonly context: SecureContext;
  /** The server's certificate must be for this DNS name. */
  readonly servername: string;
}

/** One export of one server. */
export interface ClientTarget {
  /** For messages. */
  readonly server: string;
  readonly address: { readonly host: string; readonly port: number } | { readonly path: string };
  readonly exportName: string;
  /** Null: in the clear. */
  readonly tls: ClientTls | null;
}

/** A connection whose handshake led to the export. */
export interface Attached {
  readonly target: ClientTarget;
  /** Nobody listens to its `data` events, and it is paused. */
  readonly socket: Socket;
  /** The TCP socket; `socket` itself without TLS. */
  readonly wire: Socket;
  readonly agreed: Agreed;
  readonly received: ReceiveQueue;
}

const KEEP_ALIVE_MS = 30_000;

/**
 * Ends a connection at once, and what the kernel has not sent of it yet: a write that nobody waits
 * for any more must not reach the server when the network comes back.
 */
export function resetSocket(socket: Socket, wire: Socket): void {
  socket.on("error", ignore);
  wire.on("error", ignore);
  // What `resetAndDestroy` sets; that one first waits for what was written to be sent.
  (wire as unknown as { resetAndClosing: boolean }).resetAndClosing = true;
  wire.destroy();
  socket.destroy();
}

const ignore = (): void => undefined;

export class ClientConnect {
  /** Errors: NBD_SERVER_UNREACHABLE, _UNTRUSTED, _REFUSED, _MISBEHAVED, and that of `cancel`. */
  readonly attached: Promise<Attached>;
  readonly #target: ClientTarget;
  readonly #wire: Socket;
  readonly #received = new ReceiveQueue();
  readonly #resolve: (attached: Attached) => void;
  readonly #reject: (error: CodedError) => void;
  readonly #take = (chunk: Uint8Array): void => this.#onData(chunk);
  readonly #ended = (): void => this.#fail(this.#endedEarly("ended the connection"));
  readonly #failed = (error: Error): void => this.#fail(this.#onSocketError(error));
  #socket: Socket;
  #state: ClientHandshakeState = CLIENT_HANDSHAKE_START;
  #isSecured = false;
  #isDone = false;
  /** As they were when it was looked at last. */
  #seenBytes = 0;

  constructor(target: ClientTarget) {
    const { promise, resolve, reject } = Promise.withResolvers<Attached>();
    this.attached = promise;
    this.#resolve = resolve;
    this.#reject = reject;
    this.#target = target;
    const options = { noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_MS };
    this.#wire = connect({ ...target.address, ...options });
    this.#socket = this.#wire;
    this.#listen(this.#wire);
  }

  /** Ends it, unless it has ended. */
  cancel(error: CodedError): void {
    this.#fail(error);
  }

  /** Whether anything has come of the server since the last call. */
  look(): boolean {
    const { bytesRead } = this.#wire;
    const hasCome = bytesRead > this.#seenBytes;
    this.#seenBytes = bytesRead;
    return hasCome;
  }

  #listen(socket: Socket): void {
    socket.on("data", this.#take);
    socket.on("end", this.#ended);
    socket.on("close", this.#ended);
    socket.on("error", this.#failed);
  }

  #leave(socket: Socket): void {
    socket.off("data", this.#take);
    socket.off("end", this.#ended);
    socket.off("close", this.#ended);
    socket.off("error", this.#failed);
  }

  #onData(chunk: Uint8Array): void {
    this.#received.push(chunk, null);
    for (;;) {
      const wanted = this.#isDone ? null : wantedFromServer(this.#state);
      if (wanted === null) break;
      if (this.#received.available < wanted) return;
      this.#step({ type: "bytes", bytes: this.#received.take(wanted) });
    }
    if (this.#state.type === "tls-start" && this.#received.available > 0)
      this.#fail(misbehaved(this.#target.server, "data behind STARTTLS"));
  }

  #step(event: ClientHandshakeEvent): void {
    const { server, exportName, tls } = this.#target;
    const wishes = { server, exportName, tls: tls !== null };
    const { state, effects } = stepClientHandshake(this.#state, event, wishes);
    this.#state = state;
    this.#socket.cork();
    for (const effect of effects) this.#apply(effect);
    this.#socket.uncork();
  }

  #apply(effect: ClientHandshakeEffect): void {
    switch (effect.type) {
      case "send":
        this.#socket.write(effect.bytes);
        return;
      case "start-tls":
        this.#startTls();
        return;
      case "attach":
        this.#attach(effect.agreed);
        return;
      case "fail":
        this.#fail(effect.error);
    }
  }

  #attach(agreed: Agreed): void {
    this.#isDone = true;
    this.#socket.pause();
    this.#leave(this.#socket);
    // Until the next owner listens: an error of the socket ends it, and that is what it looks at.
    this.#socket.on("error", ignore);
    this.#resolve({
      target: this.#target,
      socket: this.#socket,
      wire: this.#wire,
      agreed,
      received: this.#received,
    });
  }

  #startTls(): void {
    const { tls } = this.#target;
    if (tls === null) return;
    this.#wire.pause();
    this.#leave(this.#wire);
    // The encrypted socket tells errors and the end from here on.
    this.#wire.on("error", ignore);
    const secured: TLSSocket = connectTls({
      socket: this.#wire,
      secureContext: tls.context,
      servername: tls.servername,
      minVersion: "TLSv1.2",
    });
    this.#socket = secured;
    this.#listen(secured);
    secured.once("secureConnect", () => {
      if (this.#isDone) return;
      this.#isSecured = true;
      this.#step({ type: "tls-established" });
    });
  }

  #onSocketError(error: Error): CodedError {
    const { server } = this.#target;
    const code = "code" in error ? String(error.code) : "";
    const isWire = /^E[A-Z]+$/.test(code);
    const isSecuring = this.#socket !== this.#wire;
    if (isSecuring && !isWire) return untrusted(server, `TLS: ${error.message}`, error);
    return isSecuring ? this.#endedEarly(error.message, error) : this.#noWay(error);
  }

  #noWay(error: Error): CodedError {
    return unreachable(this.#target.server, error.message, error);
  }

  /** Servers that do not like a certificate often just hang up. */
  #endedEarly(why: string, cause?: unknown): CodedError {
    const { server, tls } = this.#target;
    if (tls === null || this.#socket === this.#wire) return unreachable(server, why, cause);
    const when = this.#isSecured ? "after TLS" : "while TLS began";
    return unreachable(server, `${why} ${when}; does it accept this certificate?`, cause);
  }

  #fail(error: CodedError): void {
    if (this.#isDone) return;
    this.#isDone = true;
    this.#received.clear();
    this.#leave(this.#socket);
    resetSocket(this.#socket, this.#wire);
    this.#reject(error);
  }
}
