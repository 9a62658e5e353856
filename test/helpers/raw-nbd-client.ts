/**
 * A hand-written NBD client over a plain socket, for what real clients do not do: odd options,
 * wrong magic, half messages, silence.
 */
import { once } from "node:events";
import { createConnection, type Socket } from "node:net";
import {
  type ChunkMessage,
  exportRequestBytes,
  integers,
  type OptionReplyMessage,
  optionBytes,
  type RequestParts,
  requestBytes,
  type SimpleReplyMessage,
  u,
} from "./nbd-messages.ts";

const STRUCTURED_MAGIC = 0x668e33ef;
const SIMPLE_MAGIC = 0x67446698;
const OPTION_REPLY_MAGIC = 0x3e889045565a9;
const NBD_OPT_GO = 7;
const NBD_OPT_STRUCTURED_REPLY = 8;

export type ServerAddress = { readonly path: string } | { readonly port: number };

export class RawNbdClient {
  readonly socket: Socket;
  #chunks: Buffer[] = [];
  #available = 0;
  #isClosed = false;
  #wake: () => void = () => undefined;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on("data", (chunk: Buffer) => {
      this.#chunks.push(chunk);
      this.#available += chunk.length;
      this.#wake();
    });
    const end = (): void => {
      this.#isClosed = true;
      this.#wake();
    };
    socket.on("error", end);
    socket.on("end", end);
    socket.on("close", end);
  }

  static async connect(address: ServerAddress): Promise<RawNbdClient> {
    const socket = createConnection({ host: "127.0.0.1", ...address, allowHalfOpen: true });
    await once(socket, "connect");
    return new RawNbdClient(socket);
  }

  /** Connects and goes to `name`, with structured replies if asked for. */
  static async attach(
    address: ServerAddress,
    name = "",
    options: { readonly structured?: boolean } = {},
  ): Promise<RawNbdClient> {
    const client = await RawNbdClient.connect(address);
    await client.greet();
    if (options.structured === true) await client.option(NBD_OPT_STRUCTURED_REPLY);
    const replies = await client.option(NBD_OPT_GO, exportRequestBytes(name));
    if (replies.at(-1)?.type !== 1) throw new Error(`GO ${name} was refused`);
    return client;
  }

  /** Bytes received and not yet read. */
  get available(): number {
    return this.#available;
  }

  send(bytes: Uint8Array): void {
    this.socket.write(bytes);
  }

  /** The next `length` bytes. Errors: rejects when the server closes before. */
  async read(length: number): Promise<Uint8Array> {
    while (this.#available < length) {
      if (this.#isClosed) throw new Error(`closed with ${this.#available} of ${length} bytes`);
      await this.#change();
    }
    const received = Buffer.concat(this.#chunks);
    this.#chunks = [received.subarray(length)];
    this.#available -= length;
    return new Uint8Array(received.subarray(0, length));
  }

  /** Resolves, with what was still received, when the server has closed the connection. */
  async untilClosed(): Promise<Uint8Array> {
    while (!this.#isClosed) await this.#change();
    return new Uint8Array(Buffer.concat(this.#chunks));
  }

  /** Reads the greeting and answers it. */
  async greet(clientFlags = 3): Promise<Uint8Array> {
    const greeting = await this.read(18);
    this.send(u(4, clientFlags));
    return greeting;
  }

  /** Sends an option and reads its replies to the final one. */
  async option(option: number, payload?: Uint8Array): Promise<OptionReplyMessage[]> {
    this.send(optionBytes(option, payload));
    return await this.optionReplies();
  }

  /** Reads replies to an option to the final one: ACK or an error. */
  async optionReplies(): Promise<OptionReplyMessage[]> {
    const replies: OptionReplyMessage[] = [];
    for (;;) {
      const [magic, option = 0, type = 0, length = 0] = integers(await this.read(20), 8, 4, 4, 4);
      if (magic !== OPTION_REPLY_MAGIC) throw new Error(`option reply with magic ${magic}`);
      replies.push({ option, type, payload: await this.read(length) });
      if (type === 1 || type >= 0x8000_0000) return replies;
    }
  }

  request(parts: RequestParts): void {
    this.send(requestBytes(parts));
  }

  async simpleReply(): Promise<SimpleReplyMessage> {
    const [magic, errno = 0, cookie = 0] = integers(await this.read(16), 4, 4, 8);
    if (magic !== SIMPLE_MAGIC) throw new Error(`simple reply with magic ${magic}`);
    return { errno, cookie };
  }

  async chunk(): Promise<ChunkMessage> {
    const head = integers(await this.read(20), 4, 2, 2, 8, 4);
    const [magic, flags = 0, type = 0, cookie = 0, length = 0] = head;
    if (magic !== STRUCTURED_MAGIC) throw new Error(`chunk with magic ${magic}`);
    return { isLast: (flags & 1) === 1, type, cookie, payload: await this.read(length) };
  }

  /** Sends a request and reads its simple reply. */
  async ask(parts: RequestParts): Promise<SimpleReplyMessage> {
    this.request(parts);
    return await this.simpleReply();
  }

  /** Closes at once, without a word. */
  close(): void {
    this.socket.destroy();
  }

  #change(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }
}
