/**
 * A small NBD client for tests that must know exactly which requests were answered: fixed
 * newstyle, simple replies, many requests under way. Written from the protocol document.
 */
import { once } from "node:events";
import { connect, type Socket } from "node:net";

const COMMAND = { read: 0, write: 1, disconnect: 2, flush: 3, trim: 4 } as const;
const FLAG_FUA = 1;

/** The path of a unix socket, or a TCP address. */
export type NbdPeer = string | { readonly host: string; readonly port: number };

interface Waiting {
  readonly resolve: (data: Uint8Array) => void;
  readonly reject: (error: Error) => void;
  readonly readLength: number;
}

export class NbdClient {
  readonly #socket: Socket;
  readonly #waiting = new Map<bigint, Waiting>();
  #received: Buffer = Buffer.alloc(0);
  #wanted: { length: number; resolve: (bytes: Buffer) => void } | null = null;
  #nextCookie = 1n;
  #ended = false;
  sizeBytes = 0;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("data", (chunk: Buffer) => this.#onData(chunk));
    socket.on("error", () => this.#end());
    socket.on("close", () => this.#end());
  }

  /** Attaches to an export. Rejects when the server goes away, or has not answered in time. */
  static async attach(peer: NbdPeer, exportName: string, limitMs?: number): Promise<NbdClient> {
    const socket = connect(typeof peer === "string" ? { path: peer } : peer);
    const late = () => void socket.destroy(new Error(`no answer within ${limitMs} ms`));
    const timer = limitMs === undefined ? undefined : setTimeout(late, limitMs);
    const gone = new Promise<never>((_, reject) => {
      socket.once("error", reject);
      socket.once("close", () => reject(new Error("the server closed the connection")));
    });
    // Once attached, whoever waits for an answer is told.
    gone.catch(() => {});
    try {
      await Promise.race([once(socket, "connect"), gone]);
      const client = new NbdClient(socket);
      await Promise.race([client.#handshake(exportName), gone]);
      return client;
    } finally {
      clearTimeout(timer);
    }
  }

  get hasEnded(): boolean {
    return this.#ended;
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    return await this.#request(COMMAND.read, offset, length, 0, null);
  }

  async write(offset: number, data: Uint8Array, fua = false): Promise<void> {
    await this.#request(COMMAND.write, offset, data.length, fua ? FLAG_FUA : 0, data);
  }

  async flush(): Promise<void> {
    await this.#request(COMMAND.flush, 0, 0, 0, null);
  }

  async trim(offset: number, length: number): Promise<void> {
    await this.#request(COMMAND.trim, offset, length, 0, null);
  }

  /** Cuts the connection. */
  close(): void {
    this.#socket.destroy();
  }

  async #handshake(exportName: string): Promise<void> {
    await this.#take(18);
    const name = Buffer.from(exportName);
    const hello = Buffer.alloc(4 + 16 + name.length);
    hello.writeUInt32BE(3, 0); // fixed newstyle, no zeroes
    hello.write("IHAVEOPT", 4);
    hello.writeUInt32BE(1, 12); // NBD_OPT_EXPORT_NAME
    hello.writeUInt32BE(name.length, 16);
    name.copy(hello, 20);
    this.#socket.write(hello);
    const reply = await this.#take(10);
    this.sizeBytes = Number(reply.readBigUInt64BE(0));
    void this.#transmission();
  }

  #request(
    command: number,
    offset: number,
    length: number,
    flags: number,
    data: Uint8Array | null,
  ): Promise<Uint8Array> {
    const cookie = this.#nextCookie++;
    const header = Buffer.alloc(28);
    header.writeUInt32BE(0x25609513, 0);
    header.writeUInt16BE(flags, 4);
    header.writeUInt16BE(command, 6);
    header.writeBigUInt64BE(cookie, 8);
    header.writeBigUInt64BE(BigInt(offset), 16);
    header.writeUInt32BE(length, 24);
    return new Promise((resolve, reject) => {
      if (this.#ended) return reject(new Error("the connection has ended"));
      const readLength = command === COMMAND.read ? length : 0;
      this.#waiting.set(cookie, { resolve, reject, readLength });
      this.#socket.write(data === null ? header : Buffer.concat([header, data]));
    });
  }

  async #transmission(): Promise<void> {
    while (!this.#ended) {
      const header = await this.#take(16);
      const cookie = header.readBigUInt64BE(8);
      const error = header.readUInt32BE(4);
      const waiting = this.#waiting.get(cookie);
      if (waiting === undefined) return void this.#socket.destroy();
      const data =
        error === 0 && waiting.readLength > 0 ? await this.#take(waiting.readLength) : header;
      this.#waiting.delete(cookie);
      if (error === 0) waiting.resolve(data);
      else waiting.reject(new Error(`NBD error ${error}`));
    }
  }

  #take(length: number): Promise<Buffer> {
    return new Promise((resolve) => {
      this.#wanted = { length, resolve };
      this.#serve();
    });
  }

  #onData(chunk: Buffer): void {
    this.#received = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk]);
    this.#serve();
  }

  #serve(): void {
    const wanted = this.#wanted;
    if (wanted === null || this.#received.length < wanted.length) return;
    const bytes = this.#received.subarray(0, wanted.length);
    this.#received = this.#received.subarray(wanted.length);
    this.#wanted = null;
    wanted.resolve(bytes);
  }

  #end(): void {
    this.#ended = true;
    for (const { reject } of this.#waiting.values()) reject(new Error("the connection has ended"));
    this.#waiting.clear();
  }
}
