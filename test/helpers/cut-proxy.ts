/** A TCP proxy on loopback whose connections can be cut or held up, as a network does. */
import { connect, createServer, type Server, type Socket } from "node:net";

/** The sockets of one connection: of the client, and to the server. */
type Pair = readonly [client: Socket, server: Socket];

export class CutProxy {
  readonly #server: Server;
  readonly #pairs = new Set<Pair>();
  #isCut = false;
  #isFrozen = false;
  #url = "";

  private constructor(target: URL) {
    this.#server = createServer((client) => {
      if (this.#isCut) {
        client.destroy();
        return;
      }
      this.#join([client, connect(Number(target.port), target.hostname)]);
    });
  }

  /** Forwards to `target`, a URL with a port. */
  static async start(target: string): Promise<CutProxy> {
    const proxy = new CutProxy(new URL(target));
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    proxy.#server.once("error", reject);
    proxy.#server.listen(0, "127.0.0.1", resolve);
    await promise;
    const address = proxy.#server.address();
    if (address === null || typeof address === "string") throw new Error("no port");
    proxy.#url = `http://127.0.0.1:${address.port}`;
    return proxy;
  }

  get url(): string {
    return this.#url;
  }

  get port(): number {
    return Number(new URL(this.#url).port);
  }

  /** Connections there are now. */
  get connections(): number {
    return this.#pairs.size;
  }

  /** Cuts every connection and refuses new ones. */
  cut(): void {
    this.#isCut = true;
    this.drop();
  }

  /** Cuts every connection and takes new ones. */
  drop(): void {
    for (const [client, server] of this.#pairs) {
      client.destroy();
      server.destroy();
    }
  }

  /** Takes new connections again. */
  mend(): void {
    this.#isCut = false;
  }

  /** Forwards nothing any more, and tells nobody: new connections are taken and stay silent. */
  freeze(): void {
    this.#isFrozen = true;
    for (const [client, server] of this.#pairs) {
      client.unpipe(server).pause();
      server.unpipe(client).pause();
    }
  }

  /** Forwards again, also what came meanwhile. */
  thaw(): void {
    this.#isFrozen = false;
    for (const pair of this.#pairs) this.#forward(pair);
  }

  /** Ends the server's half of every connection in order; clients may go on sending. */
  halfClose(): void {
    for (const [client, server] of this.#pairs) {
      server.unpipe(client).resume();
      client.end();
    }
  }

  async close(): Promise<void> {
    this.cut();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #join(pair: Pair): void {
    const [client, server] = pair;
    this.#pairs.add(pair);
    for (const [from, to] of [
      [client, server],
      [server, client],
    ] as const) {
      from.on("error", () => to.destroy());
      from.on("close", () => {
        this.#pairs.delete(pair);
        to.destroy();
      });
    }
    if (!this.#isFrozen) this.#forward(pair);
  }

  #forward([client, server]: Pair): void {
    client.pipe(server);
    server.pipe(client);
  }
}
