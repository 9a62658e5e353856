/** Real etcd members on loopback, with what a test does to them. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { toolPath } from "../../scripts/test-tools.ts";
import { eventually } from "./timeout.ts";

const START_MS = 30_000;

interface EtcdMember {
  readonly name: string;
  readonly client: string;
  peer: string;
  child: ChildProcess | null;
}

/** A port that nobody had a moment ago. */
const freePort = async (): Promise<number> => {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  return typeof address === "object" && address !== null ? address.port : 0;
};

const base64 = (text: string): string => Buffer.from(text).toString("base64");

type CertificateFiles = readonly [ca: string, cert: string, key: string];

export class EtcdCluster {
  readonly #folder: string;
  /** Every write reaches the disk before it is answered. */
  readonly #isSafe: boolean;
  readonly #members: EtcdMember[] = [];
  /** Files: CA, certificate, key. */
  readonly #tls: CertificateFiles | null;

  private constructor(tls: CertificateFiles | null, disk: string | null) {
    this.#tls = tls;
    this.#folder = mkdtempSync(join(disk ?? tmpdir(), "etcd-"));
    this.#isSafe = disk !== null;
  }

  get endpoints(): readonly string[] {
    return this.#members.map(({ client }) => client);
  }

  /**
   * Starts so many members and waits until they serve; with certificates clients need one too.
   * `disk`: the folder whose disk is to be waited for, as the product does; else the page cache is.
   */
  static async start(
    count: number,
    tls: CertificateFiles | null = null,
    disk: string | null = null,
  ): Promise<EtcdCluster> {
    const cluster = new EtcdCluster(tls, disk);
    for (let at = 0; at < count; at += 1) {
      const [client, peer] = [await freePort(), await freePort()];
      cluster.#members.push({
        name: `e${at}`,
        client: `${tls === null ? "http" : "https"}://127.0.0.1:${client}`,
        peer: `http://127.0.0.1:${peer}`,
        child: null,
      });
    }
    for (const at of cluster.#members.keys()) cluster.run(at);
    await cluster.ready();
    return cluster;
  }

  /** Starts a member that does not run. */
  run(at: number): void {
    const member = this.#member(at);
    const all = this.#members.map(({ name, peer }) => `${name}=${peer}`).join(",");
    const args = ["--name", member.name, "--data-dir", join(this.#folder, member.name)];
    args.push("--listen-client-urls", member.client, "--advertise-client-urls", member.client);
    args.push("--listen-peer-urls", member.peer, "--initial-advertise-peer-urls", member.peer);
    args.push("--initial-cluster", all, "--logger", "zap", "--log-level", "error");
    // Quick elections; leases of 1 s are then possible.
    args.push("--heartbeat-interval", "50", "--election-timeout", "500");
    if (!this.#isSafe) args.push("--unsafe-no-fsync");
    if (this.#tls !== null) {
      const [ca, cert, key] = this.#tls;
      args.push("--client-cert-auth", "--trusted-ca-file", ca);
      args.push("--cert-file", cert, "--key-file", key);
    }
    const env = { ...process.env, PATH: toolPath(), GOMAXPROCS: "1" };
    member.child = spawn("etcd", args, { stdio: "ignore", env });
  }

  /** Waits until every member that runs serves writes. */
  async ready(): Promise<void> {
    for (const { client, child } of this.#members) {
      // `fetch` has no client certificates; who has them asks until it is answered.
      if (child === null || this.#tls !== null) continue;
      await eventually(`etcd ${client} serves`, START_MS, async () => {
        const reply = await this.#post(client, "/v3/kv/put", { key: "cmVhZHk=", value: "eQ==" });
        return "header" in reply;
      });
    }
  }

  /** Which member leads. */
  async leader(): Promise<number> {
    return eventually("etcd has a leader", START_MS, async () => {
      for (const [at, { client, child }] of this.#members.entries()) {
        if (child === null) continue;
        const status = await this.#post(client, "/v3/maintenance/status", {});
        const header = status["header"] as { readonly member_id: string };
        if (status["leader"] === header.member_id) return String(at);
      }
      return undefined;
    }).then(Number);
  }

  async kill(at: number): Promise<void> {
    const member = this.#member(at);
    const { child } = member;
    member.child = null;
    if (child === null || child.exitCode !== null) return;
    child.kill("SIGKILL");
    await once(child, "exit");
  }

  /** Keeps what a member holds now; it starts again. */
  async backUp(at: number): Promise<void> {
    await this.kill(at);
    const folder = join(this.#folder, this.#member(at).name);
    cpSync(folder, `${folder}-backup`, { recursive: true });
    this.run(at);
    await this.ready();
  }

  /** The only member is what it was at the backup: the same cluster, as it was before. */
  async restore(at: number): Promise<void> {
    await this.kill(at);
    const folder = join(this.#folder, this.#member(at).name);
    rmSync(folder, { recursive: true, maxRetries: 5 });
    cpSync(`${folder}-backup`, folder, { recursive: true });
    this.run(at);
    await this.ready();
  }

  /** The only member is wiped, and becomes another cluster with the same client URL. */
  async replace(at: number): Promise<void> {
    await this.kill(at);
    const member = this.#member(at);
    rmSync(join(this.#folder, member.name), { recursive: true, maxRetries: 5 });
    member.peer = `http://127.0.0.1:${await freePort()}`;
    this.run(at);
    await this.ready();
  }

  signal(at: number, signal: "SIGSTOP" | "SIGCONT"): void {
    this.#member(at).child?.kill(signal);
  }

  /** Bytes of the database that are in use, of the first member. */
  async usedBytes(): Promise<number> {
    const [first] = this.endpoints;
    const status = await this.#post(first ?? "", "/v3/maintenance/status", {});
    return Number(status["dbSizeInUse"] ?? status["dbSize"]);
  }

  /** Forgets the changes up to this revision. */
  async compact(revision: number): Promise<void> {
    const [first] = this.endpoints;
    await this.#post(first ?? "", "/v3/kv/compaction", { revision: String(revision) });
  }

  /** The value of a key. */
  async get(key: string): Promise<string> {
    return (await this.find(key)).value;
  }

  /** The value of a key and its mod revision; of one that is not there "" and "0". */
  async find(key: string): Promise<{ readonly value: string; readonly revision: string }> {
    const [first] = this.endpoints;
    const reply = await this.#post(first ?? "", "/v3/kv/range", { key: base64(key) });
    const [found] = (reply["kvs"] ?? []) as readonly Record<"value" | "mod_revision", string>[];
    const value = Buffer.from(found?.value ?? "", "base64").toString();
    return { value, revision: found?.mod_revision ?? "0" };
  }

  /** Writes a key if nobody has since this mod revision; whether it was written. */
  async swap(key: string, revision: string, value: string): Promise<boolean> {
    const [first] = this.endpoints;
    const name = base64(key);
    const reply = await this.#post(first ?? "", "/v3/kv/txn", {
      compare: [{ key: name, target: "MOD", result: "EQUAL", mod_revision: revision }],
      success: [{ request_put: { key: name, value: base64(value) } }],
    });
    return reply["succeeded"] === true;
  }

  /** Writes a key, whoever it belongs to. */
  async put(key: string, value: string): Promise<void> {
    const [first] = this.endpoints;
    const body = { key: base64(key), value: base64(value) };
    await this.#post(first ?? "", "/v3/kv/put", body);
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#members.keys()].map((at) => this.kill(at)));
    rmSync(this.#folder, { recursive: true, force: true, maxRetries: 5 });
  }

  #member(at: number): EtcdMember {
    const member = this.#members[at];
    if (member === undefined) throw new Error(`there is no member ${at}`);
    return member;
  }

  async #post(endpoint: string, path: string, body: unknown): Promise<Record<string, unknown>> {
    const signal = AbortSignal.timeout(2000);
    const response = await fetch(`${endpoint}${path}`, {
      method: "POST",
      body: JSON.stringify(body),
      signal,
    });
    return (await response.json()) as Record<string, unknown>;
  }
}
