/**
 * A TCP proxy in front of one place (a board's member exports, a member of etcd) that does to each
 * connection what the table says of the link between who connected and that place. Who connected is
 * found by the process that has the other end of the socket: what goes through may be TLS.
 */
import { once } from "node:events";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { connect, createServer, type Server, type Socket } from "node:net";
import type { Prng } from "../../../src/common/prng.ts";
import type { LinkTable } from "./link-table.ts";

/** As much as a link keeps of one direction of a connection. */
const KEPT_BYTES_MAX = 1024 * 1024;
/** Source: TCP sends again after 200 ms at the earliest (RFC 6298, Linux's TCP_RTO_MIN). */
const SENT_AGAIN_MS = 200;
/** The pause of who connects to a place where nobody listens. */
const REFUSED_MS = 150;

/** Names of places by process. */
export type PlacesByPid = () => ReadonlyMap<number, string>;

interface Address {
  readonly host: string;
  readonly port: number;
}

export interface LinkProxyOptions {
  /** Name of the place behind it. */
  readonly place: string;
  /** Who alone connects; null: whoever does is found by its process, which takes its time. */
  readonly from: string | null;
  readonly listen: Address;
  readonly target: Address;
  readonly links: LinkTable;
  readonly places: PlacesByPid;
  readonly prng: Prng;
}

export class LinkProxy {
  readonly #options: LinkProxyOptions;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(options: LinkProxyOptions) {
    this.#options = options;
    this.#server = createServer((socket) => this.#join(socket));
  }

  static async start(options: LinkProxyOptions): Promise<LinkProxy> {
    const proxy = new LinkProxy(options);
    proxy.#server.listen(options.listen);
    await once(proxy.#server, "listening");
    return proxy;
  }

  get port(): number {
    const address = this.#server.address();
    return typeof address === "object" && address !== null ? address.port : 0;
  }

  async close(): Promise<void> {
    const closed = once(this.#server, "close");
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  #join(client: Socket): void {
    const { target } = this.#options;
    const server = connect(target);
    for (const socket of [client, server]) {
      socket.setNoDelay(true);
      this.#sockets.add(socket);
      socket.on("error", () => undefined);
      socket.on("close", () => this.#sockets.delete(socket));
    }
    let isThere = false;
    server.once("connect", () => {
      isThere = true;
      this.#link(client, server);
    });
    // Whoever is refused pauses; whoever got through and lost it again comes back at once.
    server.once("close", () => {
      if (!isThere) setTimeout(() => client.resetAndDestroy(), REFUSED_MS);
    });
    client.once("close", () => {
      if (!isThere) server.destroy();
    });
  }

  #link(client: Socket, server: Socket): void {
    const { place, places, from: only } = this.#options;
    const from = only ?? placeOf(client.remotePort ?? 0, places()) ?? "";
    void this.#carry(client, server, from, place);
    void this.#carry(server, client, place, from);
  }

  /** One direction of a connection, until one of its ends is gone. */
  async #carry(source: Socket, sink: Socket, from: string, to: string): Promise<void> {
    const { links } = this.#options;
    const kept: Buffer[] = [];
    let bytes = 0;
    let wake: () => void = () => undefined;
    let isOver = false;
    const told = () => wake();
    source.on("data", (chunk: Buffer) => {
      kept.push(chunk);
      bytes += chunk.length;
      if (bytes >= KEPT_BYTES_MAX) source.pause();
      told();
    });
    for (const socket of [source, sink])
      socket.on("close", () => {
        isOver = true;
        told();
      });
    const leave = links.onChange(told);
    const change = () =>
      new Promise<void>((resolve) => {
        wake = resolve;
      });
    // What a side that is gone has sent before still arrives, as far as the link lets it.
    while (!(isOver && (kept.length === 0 || sink.destroyed))) {
      const [chunk] = kept;
      if (chunk === undefined || links.rule(from, to).isCut) {
        await change();
        continue;
      }
      if (!(await this.#pass(sink, from, to, chunk))) break;
      kept.shift();
      bytes -= chunk.length;
      if (bytes < KEPT_BYTES_MAX && source.isPaused()) source.resume();
    }
    leave();
    // The end of a connection does not go through a link that is cut either.
    while (links.rule(from, to).isCut && !sink.destroyed) await this.#linkChange();
    source.destroy();
    sink.end();
    sink.destroySoon();
  }

  /** False: the connection is to end. */
  async #pass(sink: Socket, from: string, to: string, chunk: Buffer): Promise<boolean> {
    const { links, prng } = this.#options;
    const rule = links.rule(from, to);
    if (prng.chance(rule.resetPerMille, 1000)) {
      sink.resetAndDestroy();
      return false;
    }
    const again = prng.chance(rule.lostPerMille, 1000) ? SENT_AGAIN_MS * prng.between(1, 5) : 0;
    const ms = rule.delayMs + again;
    if (ms > 0) await new Promise((resolve) => setTimeout(resolve, ms));
    if (!sink.writable) return false;
    if (!sink.write(chunk)) await written(sink);
    return sink.writable;
  }

  #linkChange(): Promise<void> {
    return new Promise((resolve) => {
      const leave = this.#options.links.onChange(() => {
        leave();
        resolve();
      });
    });
  }
}

/** Until it takes more, or nothing any more. */
const written = (sink: Socket): Promise<void> =>
  new Promise((resolve) => {
    sink.once("drain", resolve);
    sink.once("close", resolve);
  });

/** The place whose process has the socket with this local port on loopback, or null. */
const placeOf = (port: number, places: ReadonlyMap<number, string>): string | null => {
  const wanted = port.toString(16).toUpperCase().padStart(4, "0");
  const line = readFileSync("/proc/net/tcp", "latin1")
    .split("\n")
    .map((text) => text.trim().split(/\s+/))
    .find(([, local = ""]) => local.endsWith(`:${wanted}`) && local.slice(6, 8) === "7F");
  const inode = line?.[9];
  if (inode === undefined || inode === "0") return null;
  for (const [pid, place] of places) if (hasSocket(pid, `socket:[${inode}]`)) return place;
  return null;
};

const hasSocket = (pid: number, name: string): boolean => {
  try {
    const folder = `/proc/${pid}/fd`;
    return readdirSync(folder).some((fd) => {
      try {
        return readlinkSync(`${folder}/${fd}`) === name;
      } catch {
        return false;
      }
    });
  } catch {
    return false;
  }
};
