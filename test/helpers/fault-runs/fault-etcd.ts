/**
 * The etcd of fault runs: members as processes of their own, TLS for clients, and proxies in front
 * of each, for clients and for the other members, so that any link of it can be cut.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, mkdirSync, openSync, readFileSync } from "node:fs";
import { request } from "node:https";
import { join } from "node:path";
import { toolPath } from "../../../scripts/test-tools.ts";
import type { Prng } from "../../../src/common/prng.ts";
import { eventually } from "../timeout.ts";
import type { CertificateFiles } from "./certificates.ts";
import { endWithUs } from "./end-with-us.ts";
import { freePort } from "./free-port.ts";
import { LinkProxy, type PlacesByPid } from "./link-proxy.ts";
import type { LinkTable } from "./link-table.ts";

const START_MS = 60_000;
const ANSWER_MS = 2000;
const LOCAL = "127.0.0.1";

export interface FaultEtcdOptions {
  readonly members: number;
  readonly folder: string;
  readonly tls: CertificateFiles;
  readonly links: LinkTable;
  readonly places: PlacesByPid;
  readonly prng: Prng;
}

interface Member {
  readonly name: string;
  readonly folder: string;
  readonly clientPort: number;
  readonly peerPort: number;
  clients: LinkProxy;
  peers: LinkProxy;
  child: ChildProcess | null;
}

/** A key as etcd lists it. */
export interface EtcdKey {
  readonly key: string;
  readonly value: string;
  readonly createRevision: number;
  readonly modRevision: number;
  readonly version: number;
}

export class FaultEtcd {
  readonly #options: FaultEtcdOptions;
  readonly #members: Member[] = [];

  private constructor(options: FaultEtcdOptions) {
    this.#options = options;
  }

  static async start(options: FaultEtcdOptions): Promise<FaultEtcd> {
    const etcd = new FaultEtcd(options);
    for (let at = 0; at < options.members; at++) await etcd.#add(at);
    for (const at of etcd.numbers) etcd.run(at);
    await etcd.ready();
    return etcd;
  }

  get numbers(): readonly number[] {
    return [...this.#members.keys()];
  }

  /** Through the proxies. */
  get endpoints(): readonly string[] {
    return this.#members.map(({ clients }) => `https://${LOCAL}:${clients.port}`);
  }

  /** Places by process. */
  get pids(): readonly (readonly [number, string])[] {
    return this.#members.flatMap(({ child, name }) =>
      child?.pid === undefined ? [] : [[child.pid, name] as const],
    );
  }

  isRunning(at: number): boolean {
    return this.#member(at).child !== null;
  }

  folder(at: number): string {
    return this.#member(at).folder;
  }

  /** Starts a member that does not run. */
  run(at: number): void {
    const member = this.#member(at);
    if (member.child !== null) return;
    const { tls, folder } = this.#options;
    const at4 = (port: number, scheme = "https") => `${scheme}://${LOCAL}:${port}`;
    const all = this.#members.map(({ name, peers }) => `${name}=${at4(peers.port, "http")}`);
    const log = openSync(join(folder, `${member.name}.log`), "a", 0o600);
    const args = [
      ...["--name", member.name, "--data-dir", join(member.folder, "data")],
      ...["--listen-client-urls", at4(member.clientPort)],
      ...["--advertise-client-urls", at4(member.clients.port)],
      ...["--listen-peer-urls", at4(member.peerPort, "http")],
      ...["--initial-advertise-peer-urls", at4(member.peers.port, "http")],
      ...["--initial-cluster", all.join(","), "--logger", "zap", "--log-level", "warn"],
      ...["--client-cert-auth", "--trusted-ca-file", tls.ca],
      ...["--cert-file", tls.certificate, "--key-file", tls.key],
    ];
    const child = spawn("etcd", args, {
      stdio: ["ignore", log, log],
      env: { ...process.env, PATH: toolPath(), GOMAXPROCS: "1" },
    });
    closeSync(log);
    endWithUs(child);
    member.child = child;
    child.once("exit", () => {
      if (member.child === child) member.child = null;
    });
  }

  async kill(at: number): Promise<void> {
    const member = this.#member(at);
    const { child } = member;
    member.child = null;
    if (child === null || child.exitCode !== null || child.signalCode !== null) return;
    const exit = once(child, "exit");
    child.kill("SIGKILL");
    await exit;
  }

  signal(at: number, signal: "SIGSTOP" | "SIGCONT"): void {
    this.#member(at).child?.kill(signal);
  }

  /** Waits until one that runs serves writes. */
  async ready(): Promise<void> {
    await eventually("etcd serves", START_MS, async () => {
      await this.ask("/v3/kv/put", { key: base64("ready"), value: base64("yes") });
      return true;
    });
  }

  /** The member that leads; null: none is known just now. */
  async leader(): Promise<number | null> {
    for (const at of this.numbers) {
      if (!this.isRunning(at)) continue;
      try {
        const status = await this.#post(at, "/v3/maintenance/status", {});
        const header = status["header"] as { readonly member_id: string };
        if (status["leader"] === header.member_id) return at;
      } catch {
        // It does not answer: it does not lead.
      }
    }
    return null;
  }

  /** Lifts an alarm for a full disk; etcd keeps it until it is told. */
  async liftAlarms(): Promise<void> {
    await this.ask("/v3/maintenance/alarm", { action: 2, alarm: 1, memberID: 0 });
  }

  /** All keys with a prefix, as of one revision. */
  async list(prefix: string): Promise<readonly EtcdKey[]> {
    const end = Buffer.from(prefix);
    end.writeUInt8((end.at(-1) ?? 0) + 1, end.length - 1);
    const reply = await this.ask("/v3/kv/range", {
      key: base64(prefix),
      range_end: end.toString("base64"),
    });
    return ((reply["kvs"] ?? []) as Readonly<Record<string, string>>[]).map((kv) => ({
      key: Buffer.from(kv["key"] ?? "", "base64").toString(),
      value: Buffer.from(kv["value"] ?? "", "base64").toString(),
      createRevision: Number(kv["create_revision"]),
      modRevision: Number(kv["mod_revision"]),
      version: Number(kv["version"]),
    }));
  }

  /** Asks one member after the other, past the proxies. Errors: the last one's. */
  async ask(path: string, body: unknown): Promise<Readonly<Record<string, unknown>>> {
    let last: unknown = new Error("no member of etcd runs");
    for (const at of this.numbers) {
      if (!this.isRunning(at)) continue;
      try {
        return await this.#post(at, path, body);
      } catch (error) {
        last = error;
      }
    }
    throw last;
  }

  async stop(): Promise<void> {
    await Promise.all(this.numbers.map((at) => this.kill(at)));
    for (const { clients, peers } of this.#members) {
      await clients.close();
      await peers.close();
    }
  }

  async #add(at: number): Promise<void> {
    const { folder, links, places, prng } = this.#options;
    const name = `etcd${at + 1}`;
    const [clientPort, peerPort] = [await freePort(), await freePort()];
    const proxy = (port: number): Promise<LinkProxy> =>
      LinkProxy.start({
        ...{ place: name, links, places, prng: prng.fork() },
        listen: { host: LOCAL, port: 0 },
        target: { host: LOCAL, port },
      });
    const own = join(folder, name);
    mkdirSync(own, { recursive: true, mode: 0o700 });
    const [clients, peers] = [await proxy(clientPort), await proxy(peerPort)];
    this.#members.push({ name, folder: own, clientPort, peerPort, clients, peers, child: null });
  }

  #member(at: number): Member {
    const member = this.#members[at];
    if (member === undefined) throw new Error(`there is no member ${at} of etcd`);
    return member;
  }

  async #post(at: number, path: string, body: unknown): Promise<Readonly<Record<string, unknown>>> {
    const { tls } = this.#options;
    const sent = request({
      ...{ host: LOCAL, port: this.#member(at).clientPort, path, method: "POST", agent: false },
      ca: readFileSync(tls.ca),
      cert: readFileSync(tls.certificate),
      key: readFileSync(tls.key),
      signal: AbortSignal.timeout(ANSWER_MS),
    });
    const answered = once(sent, "response");
    sent.end(JSON.stringify(body));
    const [response] = await answered;
    const chunks: Buffer[] = [];
    for await (const chunk of response) chunks.push(chunk as Buffer);
    const reply = JSON.parse(Buffer.concat(chunks).toString()) as Readonly<Record<string, unknown>>;
    if (response.statusCode !== 200) throw new Error(`etcd: ${JSON.stringify(reply)}`);
    return reply;
  }
}

const base64 = (text: string): string => Buffer.from(text).toString("base64");
