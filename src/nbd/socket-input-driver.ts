/**
 * What a socket receives, delivered to one sink at a time. Sockets accepted by our listeners read
 * into our own blocks (no allocation per read); others, TLS ones among them, deliver the chunks
 * that Node allocates.
 */
import { Socket } from "node:net";
import { type InputBlock, type InputBlockPool, InputBuffer } from "./input-block.ts";

/** Gets each chunk with the block it lies in, null when its memory is its own. */
export type ChunkSink = (chunk: Uint8Array, block: InputBlock | null) => void;

/** The libuv handle under a socket; its `fd` is -1 once it is closed. */
interface StreamHandle {
  readonly fd?: number;
  /** Bytes handed over that the kernel has not taken yet. */
  readonly writeQueueSize?: number;
}

/** The part of a net.Socket that Node keeps to itself. */
interface HandleHolder {
  _handle: StreamHandle | null;
}

export class SocketInput {
  readonly socket: Socket;
  /** Accepted on a unix socket. */
  readonly isLocal: boolean;
  readonly #handle: StreamHandle | null;
  #sink: ChunkSink | null = null;

  /** Bytes that wait for the peer to take earlier ones; null where the socket does not tell. */
  get queuedBytes(): number | null {
    return this.#handle?.writeQueueSize ?? null;
  }

  private constructor(
    makeSocket: (input: SocketInput) => Socket,
    handle: StreamHandle | null,
    isLocal: boolean,
  ) {
    this.socket = makeSocket(this);
    this.#handle = handle;
    this.isLocal = isLocal;
  }

  /**
   * The descriptor to write to without the stream's help, or -1: the socket is closed, or what goes
   * out must pass through it (TLS). Ask again before each use: the number is somebody else's after.
   */
  get fd(): number {
    if (this.#handle === null || this.socket.destroyed) return -1;
    return this.#handle.fd ?? -1;
  }

  /** Any socket, by its `data` events. It is read from `deliverTo` on. */
  static ofEvents(socket: Socket): SocketInput {
    return new SocketInput(
      (input) => {
        socket.on("data", (chunk: Uint8Array) => input.#sink?.(chunk, null));
        socket.pause();
        return socket;
      },
      null,
      false,
    );
  }

  /**
   * A socket just accepted with `pauseOnConnect`. It is wrapped anew, because only the constructor
   * takes a buffer to read into; `accepted` must not be used any more.
   * Source: measured: with the `data` events of accepted sockets, 64 KiB writes reach 2/3 of the
   * rate.
   */
  static ofAccepted(accepted: Socket, pool: InputBlockPool): SocketInput {
    const holder = accepted as unknown as HandleHolder;
    const handle = holder._handle;
    if (handle === null || handle === undefined) return SocketInput.ofEvents(accepted);
    const isLocal = accepted.remoteAddress === undefined;
    holder._handle = null;
    accepted.destroy();
    return new SocketInput(
      (input) => {
        const buffer = new InputBuffer(pool);
        const onread = {
          buffer: () => buffer.nextRegion(),
          callback: (length: number) => {
            const { block } = buffer;
            input.#sink?.(buffer.take(length), block);
            return true;
          },
        };
        const options = { handle, allowHalfOpen: true, onread };
        const socket = new Socket(options as unknown as ConstructorParameters<typeof Socket>[0]);
        socket.on("close", () => buffer.close());
        socket.pause();
        return socket;
      },
      handle,
      isLocal,
    );
  }

  /** Delivers to `sink` from now on and reads; null: reads nothing. */
  deliverTo(sink: ChunkSink | null): void {
    // Pausing twice would stop the reads of a TLS socket that has taken the handle over.
    if (sink === null && this.#sink === null) return;
    this.#sink = sink;
    if (sink === null) this.socket.pause();
    else this.socket.resume();
  }
}
