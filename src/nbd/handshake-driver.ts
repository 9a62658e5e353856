/**
 * Runs the handshake of one accepted socket: feeds the state machine with exactly the bytes it
 * wants and carries out its effects. Afterwards the socket, and what was received beyond the
 * handshake, go to the transmission phase.
 */
import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import type { ClientCertificate, ExportDirectory } from "./export-backend.ts";
import {
  HANDSHAKE_START,
  type HandshakeEffect,
  type HandshakeEvent,
  type HandshakeState,
  stepHandshake,
  wantedBytes,
} from "./handshake.ts";
import type { InputBlock } from "./input-block.ts";
import type { Session } from "./negotiation.ts";
import { encodeGreeting } from "./option-codec.ts";
import { ReceiveQueue } from "./receive-queue.ts";
import { SocketInput } from "./socket-input-driver.ts";
import { clientCertificate, type NbdTls, upgradeToTls } from "./tls-upgrade-driver.ts";

/** What the handshakes of a server share. */
export interface HandshakeEnvironment {
  readonly directory: ExportDirectory;
  readonly tls: NbdTls | null;
  /** Milliseconds for the TLS handshake. */
  readonly handshakeMs: number;
  /** Milliseconds that a client may take to read the last answer. */
  readonly closingMs: number;
  /** True once the server closes: options are answered with ERR_SHUTDOWN. */
  readonly isShuttingDown: () => boolean;
  /** As ConnectionDirectory has it. */
  readonly onSecured: (client: ClientCertificate | null) => void;
}

/** A handshake that led to an export. */
export interface HandshakeResult {
  readonly input: SocketInput;
  readonly session: Session;
  readonly received: ReceiveQueue;
  readonly isTls: boolean;
}

const NO_BYTES = new Uint8Array(0);

export class HandshakeDriver {
  #input: SocketInput;
  readonly #environment: HandshakeEnvironment;
  readonly #onDone: (result: HandshakeResult) => void;
  readonly #onClosed: (reason: string) => void;
  readonly #received = new ReceiveQueue();
  readonly #take = (chunk: Uint8Array, block: InputBlock | null): void => {
    this.#received.push(chunk, block);
    this.#advance();
  };
  readonly #end = (): void => this.close("closed by the client");
  readonly #error = (error: Error): void => this.close(error.message);
  readonly #gone = (): void => this.close("closed by the client");
  readonly #drained = (): void => this.#resume();
  #state: HandshakeState = HANDSHAKE_START;
  /** What waits for an export to come; nothing is read from the client meanwhile. */
  #held: HandshakeEvent | null = null;
  #isTls = false;
  #ended = false;

  /** Exactly one of `onDone` and `onClosed` is called, once, never before `start` is. */
  constructor(
    input: SocketInput,
    environment: HandshakeEnvironment,
    onDone: (result: HandshakeResult) => void,
    onClosed: (reason: string) => void,
  ) {
    this.#input = input;
    this.#environment = environment;
    this.#onDone = onDone;
    this.#onClosed = onClosed;
  }

  get #socket(): Socket {
    return this.#input.socket;
  }

  /** Greets the client and listens to it. */
  start(): void {
    this.#attach();
    this.#socket.write(encodeGreeting());
  }

  /** It waits for an export that is to come. */
  get isHeld(): boolean {
    return this.#held !== null;
  }

  /** The directory has changed: takes up the option that waits for an export, if there is one. */
  exportsChanged(): void {
    const event = this.#held;
    if (this.#ended || event === null) return;
    this.#held = null;
    this.#socket.resume();
    this.#step(event);
    this.#advance();
  }

  /** Ends the handshake; what was written before still goes out. */
  close(reason: string): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#detach();
    this.#received.clear();
    const socket = this.#socket;
    // Nobody listens any more: an error of a socket that is being closed concerns no one.
    socket.on("error", () => undefined);
    // A client that does not read must not keep the socket.
    socket.setTimeout(this.#environment.closingMs, () => socket.destroy());
    socket.destroySoon();
    this.#onClosed(reason);
  }

  #attach(): void {
    this.#socket.on("end", this.#end);
    this.#socket.on("error", this.#error);
    this.#socket.on("close", this.#gone);
    this.#input.deliverTo(this.#take);
  }

  #detach(): void {
    this.#input.deliverTo(null);
    this.#socket.off("end", this.#end);
    this.#socket.off("error", this.#error);
    this.#socket.off("close", this.#gone);
    this.#socket.off("drain", this.#drained);
  }

  /** Options are handled while there are whole ones and the client takes the answers. */
  #advance(): void {
    while (!this.#ended && this.#held === null && !this.#mustWait()) {
      const event = this.#nextEvent();
      if (event === null) return;
      this.#step(event);
    }
  }

  /** A client that sends options and reads no answers is made to wait. */
  #mustWait(): boolean {
    if (!this.#socket.writableNeedDrain) return false;
    this.#socket.pause();
    this.#socket.once("drain", this.#drained);
    return true;
  }

  #resume(): void {
    if (this.#held === null) this.#socket.resume();
    this.#advance();
  }

  #nextEvent(): HandshakeEvent | null {
    const wanted = wantedBytes(this.#state);
    if (wanted === null) return null;
    if (this.#state.type === "option-skip") {
      const left = wanted - this.#received.drop(wanted);
      this.#state = { ...this.#state, lengthBytes: left };
      return left > 0 ? null : { type: "bytes", bytes: NO_BYTES };
    }
    if (this.#received.available < wanted) return null;
    return { type: "bytes", bytes: this.#received.take(wanted) };
  }

  #step(event: HandshakeEvent): void {
    const { directory, tls, isShuttingDown } = this.#environment;
    const tlsState = tls === null ? "off" : "available";
    const step = stepHandshake(this.#state, event, {
      tls: this.#isTls ? "active" : tlsState,
      directory,
      shuttingDown: isShuttingDown(),
    });
    this.#state = step.state;
    if (step.effects.some(({ type }) => type === "wait")) {
      this.#held = event;
      this.#socket.pause();
      return;
    }
    this.#socket.cork();
    for (const effect of step.effects) {
      if (effect.type === "send") this.#socket.write(effect.bytes);
    }
    this.#socket.uncork();
    for (const effect of step.effects) this.#apply(effect);
  }

  #apply(effect: HandshakeEffect): void {
    switch (effect.type) {
      case "send":
      case "wait":
        return;
      case "start-tls":
        this.#startTls();
        return;
      case "enter-transmission":
        this.#ended = true;
        this.#detach();
        this.#onDone({
          input: this.#input,
          session: effect.session,
          received: this.#received,
          isTls: this.#isTls,
        });
        return;
      case "close":
        this.close(effect.reason);
    }
  }

  #startTls(): void {
    const { tls, handshakeMs } = this.#environment;
    // Bytes in the clear behind STARTTLS would be taken for encrypted ones.
    if (tls === null || this.#received.available > 0) {
      this.close("data behind STARTTLS");
      return;
    }
    this.#input.deliverTo(null);
    this.#socket.off("end", this.#end);
    const established = (secured: TLSSocket): void => {
      if (this.#ended) {
        secured.destroy();
        return;
      }
      this.#detach();
      // The encrypted socket tells errors and the end from here on.
      this.#socket.on("error", () => undefined);
      this.#input = SocketInput.ofEvents(secured);
      this.#isTls = true;
      this.#environment.onSecured(clientCertificate(secured));
      this.#attach();
      this.#step({ type: "tls-established" });
    };
    upgradeToTls(this.#socket, tls, handshakeMs, established, (reason) => this.close(reason));
  }
}
