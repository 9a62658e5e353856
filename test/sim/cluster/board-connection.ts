/**
 * A connection from a node to a member export of another board, and what is said on it. Its ends
 * belong to the node's life and to the board's process: what arrives there waits while that is
 * frozen, and is never heard once it is dead.
 */

import type { MemberName } from "../../../src/peers/member-name.ts";
import { type BoardLinks, Pipe } from "./board-links.ts";
import type { Caller } from "./shared-medium.ts";
import type { Life } from "./timeline.ts";

export type PeerOp =
  | { readonly type: "read"; readonly offset: number; readonly length: number }
  | {
      readonly type: "write";
      readonly offset: number;
      readonly data: Uint8Array;
      readonly isDurable: boolean;
    }
  | { readonly type: "flush" };

export interface PeerRequest {
  readonly id: number;
  readonly op: PeerOp;
}

/** `error`: a code and a text; null: done. */
export interface PeerReply {
  readonly id: number;
  readonly data: Uint8Array | null;
  readonly error: readonly [string, string] | null;
}

export interface ClientEnd {
  readonly life: Life;
  admitted(): void;
  refused(code: string): void;
  replied(reply: PeerReply): void;
  closed(): void;
}

export interface ServerEnd {
  readonly life: Life;
  hello(connection: SimConnection, name: MemberName, caller: Caller): void;
  asked(connection: SimConnection, request: PeerRequest): void;
  /** The client has closed it, or its process has ended. */
  left(connection: SimConnection): void;
}

export class SimConnection {
  /** Boards at its ends. */
  readonly from: number;
  readonly to: number;
  readonly #links: BoardLinks;
  readonly #client: ClientEnd;
  readonly #findServer: () => ServerEnd | null;
  readonly #up: Pipe;
  readonly #down: Pipe;
  #server: ServerEnd | null = null;

  /** `server`: who listens there when the first message arrives; null: nobody, which is told. */
  constructor(
    links: BoardLinks,
    ends: { readonly from: number; readonly to: number },
    client: ClientEnd,
    server: () => ServerEnd | null,
  ) {
    this.#links = links;
    this.from = ends.from;
    this.to = ends.to;
    this.#client = client;
    this.#findServer = server;
    this.#up = new Pipe(links, ends.from, ends.to);
    this.#down = new Pipe(links, ends.to, ends.from);
  }

  // --- said by the client -----------------------------------------------------------------------

  hello(name: MemberName, caller: Caller): void {
    this.#up.post(() => {
      this.#server = this.#findServer();
      if (this.#server === null) this.close();
      else this.#atServer((server) => server.hello(this, name, caller));
    });
  }

  ask(request: PeerRequest): void {
    this.#up.post(() => this.#atServer((server) => server.asked(this, request)));
  }

  /** AFTER what was sent; `isAtOnce`: what was sent and has not arrived is lost. */
  leave(isAtOnce: boolean): void {
    if (isAtOnce) this.#up.close();
    const way = isAtOnce ? new Pipe(this.#links, this.from, this.to) : this.#up;
    way.post(() => this.#atServer((server) => server.left(this)));
    this.#down.close();
  }

  // --- said by the server -----------------------------------------------------------------------

  admit(): void {
    this.#toClient((client) => client.admitted());
  }

  refuse(code: string): void {
    this.#toClient((client) => client.refused(code));
  }

  reply(reply: PeerReply): void {
    this.#toClient((client) => client.replied(reply));
  }

  /** Nothing that the client has sent is heard any more. */
  close(): void {
    this.#up.close();
    this.#toClient((client) => client.closed());
  }

  // --- said by nobody ---------------------------------------------------------------------------

  /** One of the machines has lost its power. */
  lose(): void {
    this.#up.close();
    this.#down.close();
  }

  #toClient(say: (client: ClientEnd) => void): void {
    const client = this.#client;
    this.#down.post(() => this.#links.timeline.after(0, client.life, () => say(client)));
  }

  #atServer(say: (server: ServerEnd) => void): void {
    const server = this.#server;
    if (server !== null) this.#links.timeline.after(0, server.life, () => say(server));
  }
}
