/**
 * Worker thread with NBD connections that write the same places at once: pipelined requests of
 * mixed lengths around the borders of regions and bitmap chunks, each with other bytes.
 */
import { randomBytes } from "node:crypto";
import type { Socket } from "node:net";
import { type MessagePort, parentPort } from "node:worker_threads";
import { assert } from "../../src/common/assert.ts";
import { Prng } from "../../src/common/prng.ts";
import { RawNbdClient } from "./raw-nbd-client.ts";

const MIB = 1024 * 1024;
const SECTOR = 512;
const REQUEST_BYTES = 28;
const REPLY_BYTES = 16;
const REQUEST_MAGIC = 0x25609513;
const REPLY_MAGIC = 0x67446698;
const CMD_WRITE = 1;
const CMD_WRITE_ZEROES = 6;
const FLAG_FUA = 1;
/** Requests under way on one connection. */
const DEPTH = 32;
/** Most places lie this close to a border. */
const NEAR_BYTES = 32 * 1024;
/** Borders that are fought over: few, so that most requests overlap another one. */
const BORDERS = 6;

export type OverlapOrder =
  | { readonly type: "attach"; readonly port: number; readonly exportName: string }
  /** Ends the connection from this local port and makes another one. */
  | { readonly type: "swap"; readonly localPort: number }
  | { readonly type: "go"; readonly requests: number; readonly seed: number };

export type OverlapTold =
  | { readonly type: "attached"; readonly localPorts: readonly number[] }
  | { readonly type: "done"; readonly failed: number };

/** Random bytes; a slice at a random place is a payload unlike all others. */
const POOL = randomBytes(4 * MIB);

/** Length of a request: mostly small, some that cross regions. */
const lengthOf = (prng: Prng): number => {
  const kind = prng.below(5000);
  if (kind < 1) return SECTOR * (1 + prng.below((5 * MIB) / 4 / SECTOR));
  if (kind < 90) return 64 * 1024;
  if (kind < 900) return SECTOR * (8 + prng.below(9));
  return SECTOR * (1 + prng.below(4));
};

class Writer {
  readonly #socket: Socket;
  readonly #prng: Prng;
  #left: number;
  #underWay = 0;
  #carry: Buffer = Buffer.alloc(0);
  #failed = 0;
  readonly #done = Promise.withResolvers<number>();

  constructor(socket: Socket, requests: number, prng: Prng) {
    this.#socket = socket;
    this.#prng = prng;
    this.#left = requests;
    socket.removeAllListeners("data");
    socket.on("data", (chunk: Buffer) => this.#onData(chunk));
    socket.on("close", () => this.#done.reject(new Error("the daemon closed a connection")));
  }

  /** Resolves with how many requests failed, once all are answered. */
  run(): Promise<number> {
    this.#send();
    return this.#done.promise;
  }

  #send(): void {
    const pieces: Uint8Array[] = [];
    while (this.#underWay < DEPTH && this.#left > 0) {
      this.#left -= 1;
      this.#underWay += 1;
      this.#pushRequest(pieces);
    }
    if (pieces.length > 0) this.#socket.write(Buffer.concat(pieces));
    if (this.#underWay === 0) this.#done.resolve(this.#failed);
  }

  #pushRequest(pieces: Uint8Array[]): void {
    const prng = this.#prng;
    const length = lengthOf(prng);
    const border = (1 + prng.below(BORDERS)) * MIB;
    const before = Math.min(border, NEAR_BYTES + length);
    const at = border - before + SECTOR * prng.below((before + NEAR_BYTES) / SECTOR);
    const isZero = prng.below(500) === 0;
    const header = Buffer.alloc(REQUEST_BYTES);
    header.writeUInt32BE(REQUEST_MAGIC, 0);
    header.writeUInt16BE(prng.below(5000) === 0 ? FLAG_FUA : 0, 4);
    header.writeUInt16BE(isZero ? CMD_WRITE_ZEROES : CMD_WRITE, 6);
    header.writeUInt32BE(at, 20);
    header.writeUInt32BE(length, 24);
    pieces.push(header);
    if (isZero) return;
    const from = prng.below(POOL.length - length);
    pieces.push(POOL.subarray(from, from + length));
  }

  #onData(chunk: Buffer): void {
    const bytes = this.#carry.length === 0 ? chunk : Buffer.concat([this.#carry, chunk]);
    let at = 0;
    for (; at + REPLY_BYTES <= bytes.length; at += REPLY_BYTES) {
      assert(bytes.readUInt32BE(at) === REPLY_MAGIC, "a simple reply");
      if (bytes.readUInt32BE(at + 4) !== 0) this.#failed += 1;
      this.#underWay -= 1;
    }
    this.#carry = bytes.subarray(at);
    this.#send();
  }
}

/** Connections of one thread. */
const CONNECTIONS = 4;

class Thread {
  readonly #port: MessagePort;
  #clients: RawNbdClient[] = [];
  #attach: () => Promise<RawNbdClient> = () => Promise.reject(new Error("not attached"));

  constructor(port: MessagePort) {
    this.#port = port;
    port.on("message", (order: OverlapOrder) => void this.#on(order));
  }

  async #on(order: OverlapOrder): Promise<void> {
    if (order.type === "attach") {
      const { port, exportName } = order;
      this.#attach = () => RawNbdClient.attach({ port }, exportName);
      while (this.#clients.length < CONNECTIONS) this.#clients.push(await this.#attach());
      this.#tellPorts();
    } else if (order.type === "swap") {
      const old = this.#clients.find(({ socket }) => socket.localPort === order.localPort);
      old?.close();
      this.#clients = this.#clients.filter((client) => client !== old);
      this.#clients.push(await this.#attach());
      this.#tellPorts();
    } else {
      await this.#go(order.requests, order.seed);
    }
  }

  #tellPorts(): void {
    this.#tell({ type: "attached", localPorts: this.#clients.map((c) => c.socket.localPort ?? 0) });
  }

  async #go(requests: number, seed: number): Promise<void> {
    const share = Math.ceil(requests / this.#clients.length);
    const writers = this.#clients.map(
      ({ socket }, index) => new Writer(socket, share, new Prng(seed + index)),
    );
    const failed = await Promise.all(writers.map((writer) => writer.run()));
    this.#tell({ type: "done", failed: failed.reduce((sum, count) => sum + count, 0) });
  }

  #tell(message: OverlapTold): void {
    this.#port.postMessage(message);
  }
}

assert(parentPort !== null, "a worker thread");
new Thread(parentPort);
