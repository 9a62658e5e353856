/**
 * Whether the cluster refuses this machine: a member of etcd that refuses a certificate ends the
 * connection after the handshake, without a word. One that is off, or hangs, makes no handshake.
 */
import tls from "node:tls";
import type { Identity } from "./identity-driver.ts";

/** What a member of etcd does with a connection. */
export type Welcome = "answers" | "refuses" | "silent";

const ASK_MS = 3000;
const LOOK_MS = 10_000;
/** Looks in a row that must agree: one that is ending closes connections as well. */
const REFUSALS_MIN = 3;

/** Never rejects. */
export const welcomeAt = (
  endpoint: string,
  { ca, own }: Pick<Identity, "ca" | "own">,
): Promise<Welcome> => {
  const url = URL.parse(endpoint);
  if (url === null) return Promise.resolve("silent");
  const { promise, resolve } = Promise.withResolvers<Welcome>();
  const host = url.hostname.replaceAll(/[[\]]/g, "");
  const options = { host, port: Number(url.port), ca, ...own };
  const socket = tls.connect({ ...options, checkServerIdentity: () => undefined });
  let isShaken = false;
  const end = (welcome: Welcome): void => {
    clearTimeout(timer);
    resolve(welcome);
    socket.destroy();
  };
  const timer = setTimeout(() => end("silent"), ASK_MS);
  socket.on("secureConnect", () => {
    isShaken = true;
    socket.write(`GET /version HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
  });
  socket.on("data", () => end("answers"));
  socket.on("error", ({ code }: NodeJS.ErrnoException) =>
    end(isShaken || /^ERR_SSL_.*ALERT/.test(code ?? "") ? "refuses" : "silent"),
  );
  socket.on("close", () => end(isShaken ? "refuses" : "silent"));
  return promise;
};

export interface ShutOutOptions {
  readonly welcome: (endpoint: string) => Promise<Welcome>;
  /** Monotonic, milliseconds. */
  readonly now: () => number;
}

/** Looks while no member of etcd tells anything. */
export class ShutOutWatch {
  readonly #options: ShutOutOptions;
  #nextAt = 0;
  #refusals = 0;

  constructor(options: ShutOutOptions) {
    this.#options = options;
  }

  /** Every member that makes a connection at all has refused it, several times. */
  get isShutOut(): boolean {
    return this.#refusals >= REFUSALS_MIN;
  }

  /** A member has answered. */
  welcomed(): void {
    this.#refusals = 0;
  }

  /** At most every few seconds once it is known. Never rejects. */
  async look(endpoints: readonly string[]): Promise<void> {
    const { welcome, now } = this.#options;
    if (now() < this.#nextAt) return;
    const found = await Promise.all(endpoints.map(welcome));
    const isRefused = found.includes("refuses") && !found.includes("answers");
    // Of silence nothing follows: those that had refused may be off now.
    if (isRefused) this.#refusals += 1;
    else if (found.includes("answers")) this.#refusals = 0;
    if (this.isShutOut) this.#nextAt = now() + LOOK_MS;
  }
}
