/**
 * Everything that clients and administrators do to a board, over and over, until it is told to end:
 * reads, writes, flushes and trims on connections that come and go, members that fail and return,
 * checks, API calls, metrics, event streams.
 */
import { setTimeout as pause } from "node:timers/promises";
import { Prng } from "../../src/common/prng.ts";
import { NbdClient } from "./nbd-client.ts";
import { patientFetch } from "./patient-fetch.ts";
import type { ServeProcess } from "./serve-process.ts";
import { eventually } from "./timeout.ts";

const MIB = 1024 * 1024;
const WAIT_MS = 120_000;
/** Requests under way on each connection. */
const DEPTH = 16;
/**
 * Connections at a time, and requests of each before it goes. One worker serves all that come over
 * the unix socket; the kernel deals out those over TCP among all workers, anew each time.
 */
const CONNECTIONS = [
  { transport: "unix", count: 1, requests: 5000 },
  { transport: "tcp", count: 3, requests: 200 },
] as const;

type Connections = (typeof CONNECTIONS)[number];
/** Reads of one event stream before its client leaves. */
const STREAM_CHUNKS = 3;
const API_PAUSE_MS = 100;

export interface SoakTarget {
  readonly serve: ServeProcess;
  readonly array: string;
  /** Device that fails and returns. */
  readonly device: string;
}

/** What was done. */
export interface SoakCounts {
  requests: number;
  connections: number;
  failures: number;
  apiCalls: number;
  streams: number;
}

export class SoakLoad {
  readonly counts: SoakCounts = {
    requests: 0,
    connections: 0,
    failures: 0,
    apiCalls: 0,
    streams: 0,
  };
  readonly #target: SoakTarget;
  readonly #seed: number;
  #isEnding = false;

  constructor(target: SoakTarget, seed: number) {
    this.#target = target;
    this.#seed = seed;
  }

  /** Runs until `end`. Errors: rejects when anything is refused that must not be. */
  async run(): Promise<void> {
    const connections = CONNECTIONS.flatMap((kind) =>
      Array.from({ length: kind.count }, (_, index) => this.#clients(kind, index)),
    );
    const others = [this.#members(), this.#api(), this.#streams()];
    try {
      await Promise.all([...connections, ...others]);
    } finally {
      this.#isEnding = true;
      await Promise.allSettled([...connections, ...others]);
    }
  }

  /** Lets everything under way finish; `run` resolves then. */
  end(): void {
    this.#isEnding = true;
  }

  async #clients({ transport, requests }: Connections, index: number): Promise<void> {
    const prng = new Prng(this.#seed + index + (transport === "tcp" ? TCP_SEED : 0));
    const { serve, array } = this.#target;
    const peer = transport === "unix" ? serve.socket : addressOf(serve);
    while (!this.#isEnding) {
      const client = await NbdClient.attach(peer, array);
      this.counts.connections += 1;
      let left: number = requests;
      const lane = async (): Promise<void> => {
        while (left-- > 0 && !this.#isEnding) await this.#request(client, prng);
      };
      await Promise.all(Array.from({ length: DEPTH }, lane));
      client.close();
    }
  }

  async #request(client: NbdClient, prng: Prng): Promise<void> {
    this.counts.requests += 1;
    const length = 4096 * (1 + prng.below(16));
    const at = 4096 * prng.below((client.sizeBytes - length) / 4096);
    const kind = prng.below(1000);
    if (kind < 500) await client.read(at, length);
    else if (kind < 985) await client.write(at, new Uint8Array(length).fill(kind), kind === 984);
    else if (kind < 995) await client.trim(at, length);
    else await client.flush();
  }

  async #members(): Promise<void> {
    const { serve, array, device } = this.#target;
    const member = `/arrays/${array}/members/${device}`;
    while (!this.#isEnding) {
      await serve.request("POST", `${member}/actions/fail`);
      await serve.request("DELETE", member);
      await serve.request("POST", `${member}/actions/re-add`);
      await this.untilWhole();
      this.counts.failures += 1;
    }
  }

  /** Waits until the array is whole and nothing runs. */
  async untilWhole(): Promise<void> {
    const { serve, array } = this.#target;
    await eventually(`${array} is whole`, WAIT_MS, async () => {
      const { status } = (await serve.request("GET", `/arrays/${array}`)) as {
        readonly status: { readonly health: string; readonly sync: unknown };
      };
      return status.health === "optimal" && status.sync === null;
    });
  }

  async #api(): Promise<void> {
    const { serve } = this.#target;
    const paths = ["/arrays", "/devices", "/exports", "/events?limit=50", "/system", "/jobs"];
    for (let turn = 0; !this.#isEnding; turn++) {
      await serve.request("GET", paths[turn % paths.length] ?? "");
      if (turn % paths.length === 0) await metricsOf(serve);
      this.counts.apiCalls += 1;
      // The board answers 100 requests a second from one address, and others ask too.
      await pause(API_PAUSE_MS);
    }
  }

  async #streams(): Promise<void> {
    const { url, token } = this.#target.serve;
    const headers = { authorization: `Bearer ${token}`, accept: "text/event-stream" };
    while (!this.#isEnding) {
      const abort = new AbortController();
      const reply = await patientFetch(`${url}/api/v1/events`, { headers, signal: abort.signal });
      if (!reply.ok) throw new Error(`the event stream: ${reply.status}`);
      const reader = reply.body?.getReader();
      for (let chunk = 0; chunk < STREAM_CHUNKS && !this.#isEnding; chunk++) await reader?.read();
      abort.abort();
      this.counts.streams += 1;
    }
  }
}

/** Clients over TCP do other things than those over the unix socket. */
const TCP_SEED = 50;

const addressOf = ({
  nbdAddress,
}: ServeProcess): { readonly host: string; readonly port: number } => {
  const at = nbdAddress.lastIndexOf(":");
  return { host: nbdAddress.slice(0, at), port: Number(nbdAddress.slice(at + 1)) };
};

/** The metrics page as numbers, by name with labels. */
export async function metricsOf(serve: ServeProcess): Promise<ReadonlyMap<string, number>> {
  const headers = { authorization: `Bearer ${serve.token}` };
  const text = await (await patientFetch(`${serve.url}/metrics`, { headers })).text();
  const lines = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return new Map(
    lines.map((line) => {
      const at = line.lastIndexOf(" ");
      return [line.slice(0, at), Number(line.slice(at + 1))];
    }),
  );
}

/** Size of the devices of a soak. */
export const SOAK_DEVICE_BYTES = 128 * MIB;
