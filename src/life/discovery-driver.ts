/**
 * Boards of the network, by multicast DNS (RFC 6762, 6763): each answers who asks for the service
 * `_satsuma._tcp.local`. What is heard is from strangers: it is shown, and nothing follows from it.
 */
import type { Logger } from "../common/log.ts";

/** What a board tells of itself. */
export interface DiscoveredBoard {
  readonly name: string;
  /** Null: it is in none. */
  readonly cluster: string | null;
  /** URL of its API; empty when only itself can reach it. */
  readonly api: string;
  readonly version: string;
  readonly addresses: readonly string[];
}

export interface DiscoveryOptions {
  /** This board, as it is when somebody asks. */
  readonly self: () => Omit<DiscoveredBoard, "addresses">;
  readonly port: number;
  readonly logger: Logger;
}

const SERVICE = "_satsuma._tcp.local";
/** How long answers are waited for. */
const LISTEN_MS = 1000;
/** An answer counts for so long. */
const FRESH_MS = 120_000;
const BOARDS_MAX = 64;
const TEXT_MAX = 255;
const TTL_SECONDS = 120;

type Heard = DiscoveredBoard & { readonly heardAt: number };

/** The part of multicast-dns that is used. */
interface Dns {
  on(event: "query", listener: (packet: Packet) => void): void;
  on(
    event: "response",
    listener: (packet: Packet, from: { readonly address: string }) => void,
  ): void;
  on(event: "error" | "warning", listener: (error: Error) => void): void;
  query(packet: object): void;
  respond(packet: object): void;
  destroy(done?: () => void): void;
}

interface Packet {
  readonly questions?: readonly { readonly name: string; readonly type: string }[];
  readonly answers?: readonly DnsRecord[];
  readonly additionals?: readonly DnsRecord[];
}

interface DnsRecord {
  readonly name: string;
  readonly type: string;
  readonly data?: unknown;
}

export class Discovery {
  readonly #dns: Dns;
  readonly #options: DiscoveryOptions;
  readonly #heard = new Map<string, Heard>();
  #looking: Promise<void> | null = null;

  private constructor(dns: Dns, options: DiscoveryOptions) {
    this.#dns = dns;
    this.#options = options;
    const note = (error: Error): void => options.logger.debug({ error }, "discovery-failed");
    dns.on("error", note);
    dns.on("warning", note);
    dns.on("query", (packet) => this.#answer(packet));
    dns.on("response", (packet, { address }) => this.#hear(packet, address));
  }

  /** Null where there is no network to ask: a board works without it. */
  static async open(options: DiscoveryOptions): Promise<Discovery | null> {
    try {
      const { default: multicastDns } = await import("multicast-dns");
      return new Discovery(multicastDns() as unknown as Dns, options);
    } catch (error) {
      options.logger.warn({ error }, "discovery-off");
      return null;
    }
  }

  /** Asks, and tells who answered now or lately; this board is not among them. */
  async look(): Promise<readonly DiscoveredBoard[]> {
    this.#looking ??= this.#ask().finally(() => {
      this.#looking = null;
    });
    await this.#looking;
    const oldest = performance.now() - FRESH_MS;
    const fresh = [...this.#heard.values()].filter(({ heardAt }) => heardAt > oldest);
    return fresh
      .map(({ heardAt: _, ...board }) => board)
      .sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  async close(): Promise<void> {
    await new Promise<void>((resolve) => this.#dns.destroy(resolve));
  }

  async #ask(): Promise<void> {
    this.#dns.query({ questions: [{ name: SERVICE, type: "PTR" }] });
    await new Promise((resolve) => setTimeout(resolve, LISTEN_MS));
  }

  #answer({ questions = [] }: Packet): void {
    if (!questions.some(({ name, type }) => name === SERVICE && type === "PTR")) return;
    const { name, cluster, api, version } = this.#options.self();
    const instance = `${name}.${SERVICE}`;
    const text = [`name=${name}`, `cluster=${cluster ?? ""}`, `api=${api}`, `version=${version}`];
    const target = `${name}.local`;
    const { port } = this.#options;
    this.#dns.respond({
      answers: [{ name: SERVICE, type: "PTR", ttl: TTL_SECONDS, data: instance }],
      additionals: [
        { name: instance, type: "SRV", ttl: TTL_SECONDS, data: { port, target } },
        { name: instance, type: "TXT", ttl: TTL_SECONDS, data: text },
      ],
    });
  }

  #hear({ answers = [], additionals = [] }: Packet, address: string): void {
    for (const record of [...answers, ...additionals]) {
      if (record.type !== "TXT" || !record.name.endsWith(`.${SERVICE}`)) continue;
      const board = decodeText(record.data, address);
      const self = this.#options.self();
      if (board === null || (board.name === self.name && board.api === self.api)) continue;
      const key = `${board.name} ${board.api}`;
      const before = this.#heard.get(key)?.addresses ?? [];
      const addresses = [...new Set([...before, address])].slice(-4);
      this.#heard.delete(key);
      this.#heard.set(key, { ...board, addresses, heardAt: performance.now() });
      const [oldest] = this.#heard.keys();
      if (this.#heard.size > BOARDS_MAX && oldest !== undefined) this.#heard.delete(oldest);
    }
  }
}

/** Null for what is no board's text. */
export const decodeText = (data: unknown, address: string): DiscoveredBoard | null => {
  const parts = (Array.isArray(data) ? data : [data]).map((part) => String(part));
  if (parts.some((part) => part.length > TEXT_MAX)) return null;
  const fields = new Map(
    parts.map((part): [string, string] => {
      const at = part.indexOf("=");
      return [part.slice(0, at), part.slice(at + 1)];
    }),
  );
  const name = fields.get("name") ?? "";
  if (!/^[A-Za-z0-9][A-Za-z0-9.-]{0,62}$/.test(name)) return null;
  const cluster = fields.get("cluster") || null;
  if (cluster !== null && !/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/.test(cluster)) return null;
  const url = fields.get("api") ?? "";
  const api = /^https?:$/.test(URL.parse(url)?.protocol ?? "") ? url : "";
  const version = fields.get("version") ?? "";
  return { name, cluster, api, version, addresses: [address] };
};
