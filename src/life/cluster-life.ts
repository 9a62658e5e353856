/**
 * The cluster life of one machine: makes a cluster, joins one, lets others join, leaves, and keeps
 * etcd. A board whose arrays are to use another cluster than before starts anew (`onRestart`); its
 * etcd runs on meanwhile.
 */
import { randomBytes } from "node:crypto";
import { rmSync } from "node:fs";
import path from "node:path";
import { CodedError } from "../common/errors.ts";
import type { Logger } from "../common/log.ts";
import { type Admission, Admissions } from "./admissions-driver.ts";
import type { BoardTraces } from "./board-traces.ts";
import {
  type CertifiedKey,
  createBoardCertificate,
  createClusterCa,
  createKeyPair,
  createRefusedList,
  createRequest,
  fingerprintOf,
  issueCertificate,
  publicKeyOf,
} from "./certificates.ts";
import { ClusterPort } from "./cluster-port-driver.ts";
import { Departures, type Judge } from "./departures-driver.ts";
import { etcdNameOf } from "./etcd-arguments.ts";
import { EtcdHere, type EtcdSettings } from "./etcd-here-driver.ts";
import {
  type Identity,
  lifeFolder,
  readIdentity,
  wipeIdentity,
  writeIdentity,
  writeRefused,
} from "./identity-driver.ts";
import { askToJoin } from "./join-client.ts";
import {
  createToken,
  type Role,
  readToken,
  type TokenPurpose,
  type TokenRecord,
} from "./join-token.ts";
import { type ClusterSight, Keeper, type LifeEvent } from "./keeper-driver.ts";
import { checkBoardName, checkClusterName } from "./life-names.ts";
import { choosePorts } from "./ports-driver.ts";
import { TokenBook } from "./token-book-driver.ts";

export interface ClusterLifeOptions extends EtcdSettings {
  readonly dataDirectory: string;
  readonly role: Role;
  /** Name of the machine, unless it is told another one when it joins. */
  readonly name: string;
  /** Host that others are told. */
  readonly host: string;
  readonly version: string;
  /** The configuration file names a cluster: nothing is changed here then. */
  readonly isConfigured: boolean;
  readonly graceMs: number;
  readonly now: () => number;
  readonly logger: Logger;
  readonly onEvent: (event: LifeEvent) => void;
  /** The board's arrays are to be started anew, in another cluster or in none. */
  readonly onRestart: (why: string) => void;
}

/** What a cluster looks like from here. */
export interface LifeStatus {
  readonly identity: Identity | null;
  /** Null: the cluster has no etcd yet, or nothing is known of it so far. */
  readonly sight: ClusterSight | null;
  readonly tokens: readonly TokenRecord[];
}

/** A token as it is shown once. */
export interface NewToken {
  readonly text: string;
  readonly record: TokenRecord;
}

/** Voters silent for longer are replaced. Choice: a reboot takes less. */
export const GRACE_MS = 120_000;

/** What a board does that is to leave its cluster. */
export interface Departing {
  /** Ends what it runs in the cluster, BEFORE its certificate is refused. */
  depart(): Promise<void>;
  /** It stays after all. */
  stay(): Promise<void>;
}

export class ClusterLife {
  readonly #options: ClusterLifeOptions;
  readonly #folder: string;
  readonly #tokens: TokenBook;
  readonly #etcd: EtcdHere;
  #identity: Identity | null;
  #keeper: Keeper | null = null;
  #port: ClusterPort | null = null;
  #isBusy = false;
  #judge: (name: string) => Promise<void> = async () => undefined;
  #departing: Departing = { depart: async () => undefined, stay: async () => undefined };
  #lastTurn: Promise<void> = Promise.resolve();

  private constructor(options: ClusterLifeOptions, identity: Identity | null) {
    this.#options = options;
    this.#identity = identity;
    this.#folder = lifeFolder(options.dataDirectory);
    this.#tokens = new TokenBook(this.#folder, options.now);
    this.#etcd = new EtcdHere(this.#folder, options, options.logger);
  }

  /** Takes up what the data directory tells. Errors: LIFE_FILES_UNUSABLE. */
  static async open(options: ClusterLifeOptions): Promise<ClusterLife> {
    const life = new ClusterLife(options, readIdentity(lifeFolder(options.dataDirectory)));
    if (!options.isConfigured) await life.#run();
    else if (life.#identity !== null) options.logger.warn({}, "own-cluster-not-run");
    return life;
  }

  /** Null: this machine is in no cluster, or in one that the configuration file names. */
  get identity(): Identity | null {
    return this.#options.isConfigured ? null : this.#identity;
  }

  /** SHA-256 of the CA's certificate, or null. */
  get fingerprint(): string | null {
    return this.identity === null ? null : fingerprintOf(this.identity.ca);
  }

  /** Asked before new hardware takes a board's place: rejects when that cannot be done without. */
  onReplace(judge: (name: string) => Promise<void>): void {
    this.#judge = judge;
  }

  /** Told when this board is to leave, whoever wants it, and when it stays after all. */
  onDeparting(departing: Departing): void {
    this.#departing = departing;
  }

  /** Which boards live and what they run; null: there is no etcd. Errors: CLUSTER_STORE_*. */
  async traces(): Promise<BoardTraces | null> {
    return (await this.#keeper?.registry.traces()) ?? null;
  }

  /** The board or witness that runs etcd's member of this name, or null. */
  boardOf(member: string): string | null {
    const records = this.#keeper?.sight?.view.records ?? [];
    return records.find(({ id }) => etcdNameOf(id) === member)?.name ?? null;
  }

  /** The configuration file names the board's cluster. */
  get isConfigured(): boolean {
    return this.#options.isConfigured;
  }

  get status(): LifeStatus {
    const sight = this.#keeper?.sight ?? null;
    return { identity: this.identity, sight, tokens: this.#tokens.list() };
  }

  /** Makes a cluster of this board alone. Errors: LIFE_IN_CLUSTER, LIFE_BAD_NAME, LIFE_*. */
  async create(cluster: string): Promise<void> {
    await this.#alone(async () => {
      this.#refuseInCluster();
      checkClusterName(cluster);
      const { name, host } = this.#options;
      const ca = await createClusterCa(cluster);
      const addresses = addressesOf(host);
      const own = await createBoardCertificate(ca, { name: checkBoardName(name), addresses });
      await this.#become({
        cluster,
        id: newId(),
        board: name,
        role: "board",
        host,
        ports: await choosePorts(host),
        endpoints: [],
        ca: ca.cert,
        caKey: ca.key,
        own,
      });
      writeRefused(this.#folder, await createRefusedList(ca, []));
      await this.#run();
      this.#tell("cluster.created", `the cluster ${cluster} was made`);
    });
  }

  /** Joins by a token, under this name or the machine's. Errors: LIFE_*. */
  async join(text: string, wanted: string | null): Promise<void> {
    await this.#alone(async () => {
      this.#refuseInCluster();
      const token = readToken(text);
      const { role, host, version } = this.#options;
      const name = checkBoardName(wanted ?? this.#options.name);
      const pair = createKeyPair();
      const id = newId();
      const ports = await choosePorts(host);
      const granted = await askToJoin(token, {
        tokenId: token.id,
        secret: token.secret,
        role,
        name,
        id,
        host,
        ports,
        version,
        request: await createRequest(pair, name),
      });
      const { cluster, ca, caKey, cert, refusedList, endpoints } = granted;
      const own = { cert, key: pair.key };
      await this.#become({
        cluster,
        id,
        board: name,
        role,
        host,
        ports,
        endpoints,
        ca,
        caKey,
        own,
      });
      writeRefused(this.#folder, Buffer.from(refusedList, "base64"));
      this.#tell("cluster.joined", `${name} has joined the cluster ${cluster}`);
      if (role === "witness") await this.#run();
      else this.#options.onRestart(`joined the cluster ${cluster}`);
    });
  }

  /** Makes a token that works once. Errors: LIFE_NO_CLUSTER, LIFE_BAD_NAME, LIFE_NO_SUCH_BOARD. */
  createToken(purpose: TokenPurpose): NewToken {
    const { cluster, host, ports, ca } = this.#demand();
    if (purpose.replaces !== null) this.#checkReplaced(checkBoardName(purpose.replaces));
    const address = `${host.includes(":") ? `[${host}]` : host}:${ports.cluster}`;
    const place = { cluster, address, fingerprint: fingerprintOf(ca) };
    const made = createToken(place, purpose, this.#options.now());
    this.#tokens.add(made.record);
    return made;
  }

  /** False: there was none. */
  removeToken(id: string): boolean {
    return this.#tokens.remove(id);
  }

  /**
   * Leaves: hands its vote over, then forgets the cluster. `force`: does not wait for the others.
   * Errors: LIFE_NO_CLUSTER, LIFE_STILL_VOTES, CLUSTER_STORE_*.
   */
  async leave(force: boolean): Promise<void> {
    await this.#alone(async () => {
      const { id, cluster, board } = this.#demand();
      const departures = this.#departures();
      if (departures !== null) await departures.leave(id, force);
      await this.#forget(`${board} has left the cluster ${cluster}`);
    });
  }

  /**
   * Takes another board or a witness out. `force`: also one that is off and will not come back as
   * it was. Errors: LIFE_NO_CLUSTER, LIFE_NO_SUCH_BOARD, LIFE_BOARD_SILENT, LIFE_BOARD_NOT_GONE,
   * LIFE_ONLY_VOTER, LIFE_EVICT_SELF, LIFE_STILL_VOTES, CLUSTER_STORE_*.
   */
  async evict(name: string, force: boolean, judge?: Judge): Promise<void> {
    const { board } = this.#demand();
    const departures = this.#departures();
    if (departures === null || name === board) {
      const code = name === board ? "LIFE_EVICT_SELF" : "LIFE_NO_SUCH_BOARD";
      throw code === "LIFE_EVICT_SELF" ? evictSelf(name) : noSuchBoard(name);
    }
    await departures.evict(name, force, judge);
    await this.#keeper?.lookAgain();
    this.#tell("node.evicted", `${name} was taken out of the cluster, its certificate is refused`);
  }

  /** Gives a board another name; it starts anew with it. Errors: as evict, LIFE_NAME_TAKEN. */
  async rename(name: string, wanted: string): Promise<void> {
    const identity = this.#demand();
    checkBoardName(wanted);
    if (this.#keeper === null) {
      if (name !== identity.board) throw noSuchBoard(name);
      await this.#takeName(wanted);
      return;
    }
    const { registry } = this.#keeper;
    const record = (await registry.view()).records.find((one) => one.name === name);
    if (record === undefined) throw noSuchBoard(name);
    if (record.role === "witness") throw keepsName(name);
    await registry.rename(record, wanted);
    await this.#keeper?.lookAgain();
    this.#tell("node.renamed", `${name} is called ${wanted} from now on`);
  }

  /** `keepsEtcd`: it votes on while the board starts anew. */
  async close(keepsEtcd: boolean): Promise<void> {
    await this.#rest();
    if (keepsEtcd) this.#etcd.leave();
    else await this.#etcd.stop();
  }

  /** Looks after the cluster, if there is one. */
  async #run(): Promise<void> {
    const identity = this.#identity;
    if (identity === null) return;
    if (this.#etcd.canResume) await this.#etcd.resume(identity);
    this.#startKeeper();
    if (identity.role === "witness" || this.#port !== null) return;
    const admissions = new Admissions(this.#tokens, this.#options.now);
    const grant = (ask: Parameters<Admissions["admit"]>[0]) =>
      admissions.admit(ask, this.#admission());
    try {
      this.#port = await ClusterPort.open(identity, grant, this.#options.logger);
    } catch (error) {
      // Nobody can join here, and nothing else is missing.
      this.#options.logger.error({ error }, "cluster-port-not-open");
    }
  }

  #admission(): Admission {
    return {
      identity: this.#demand(),
      etcd: this.#etcd,
      folder: this.#folder,
      /** The first one starts etcd. */
      began: (identity) => {
        this.#identity = identity;
        this.#startKeeper();
      },
      registry: () => this.#keeper?.registry ?? null,
      judge: (name) => this.#judge(name),
      admitted: (name, role, isFirst) => {
        this.#tell("node.joined", `the ${role} ${name} has joined`);
        if (isFirst) this.#options.onRestart("the cluster has a second board or a witness");
      },
    };
  }

  #startKeeper(): void {
    const identity = this.#identity;
    if (identity === null || identity.endpoints.length === 0 || this.#keeper !== null) return;
    this.#keeper = new Keeper({
      ...this.#options,
      folder: this.#folder,
      identity,
      etcd: this.#etcd,
      onGone: () => {
        const { cluster, board } = identity;
        // One that leaves by itself ends it by itself.
        if (!this.#isBusy) void this.#forget(`${board} was taken out of the cluster ${cluster}`);
      },
      onRenamed: (name) => void this.#takeName(name),
      onLeaving: (isLeaving) => this.#turn(isLeaving),
    });
    this.#keeper.start();
  }

  /** One after the other, and never rejects: whoever waits sees what this board still runs. */
  #turn(isLeaving: boolean): void {
    const departing = this.#departing;
    const turn = () => (isLeaving ? departing.depart() : departing.stay());
    this.#lastTurn = this.#lastTurn.then(turn).catch((error: unknown) => {
      const why = error instanceof Error ? error.message : String(error);
      const message = isLeaving ? `this board cannot leave yet: ${why}` : why;
      this.#options.onEvent({ type: "cluster.not-left", severity: "warning", message });
    });
  }

  #departures(): Departures | null {
    return this.#keeper === null ? null : new Departures(this.#keeper, caOf(this.#demand()));
  }

  async #become(identity: Identity): Promise<void> {
    if (this.#identity === null) this.#forgetStore();
    writeIdentity(this.#folder, identity);
    this.#identity = identity;
  }

  /** The same key under another name. */
  async #takeName(board: string): Promise<void> {
    const identity = this.#demand();
    const { host, own } = identity;
    const subject = { name: board, addresses: addressesOf(host) };
    const cert = await issueCertificate(caOf(identity), subject, publicKeyOf(own.cert));
    await this.#become({ ...identity, board, own: { cert, key: own.key } });
    this.#options.onRestart(`is called ${board} from now on`);
  }

  /** In no cluster any more. */
  async #forget(why: string): Promise<void> {
    this.#tell("cluster.left", why);
    await this.#rest();
    await this.#etcd.end();
    wipeIdentity(this.#folder);
    this.#forgetStore();
    this.#identity = null;
    this.#options.onRestart(why);
  }

  /** What the daemon remembers of the etcd of a cluster that it is not in any more. */
  #forgetStore(): void {
    rmSync(path.join(this.#options.dataDirectory, "cluster-store.json"), { force: true });
  }

  async #rest(): Promise<void> {
    const keeper = this.#keeper;
    const port = this.#port;
    this.#keeper = null;
    this.#port = null;
    await keeper?.close();
    await port?.close();
  }

  /** One change of the machine's cluster at a time. Errors: LIFE_BUSY. */
  async #alone(change: () => Promise<void>): Promise<void> {
    if (this.#isBusy) {
      throw new CodedError("LIFE_BUSY", "this board is just joining or leaving a cluster", {
        remedy: "look at satsuma cluster status and try again",
      });
    }
    this.#isBusy = true;
    try {
      await change();
    } finally {
      this.#isBusy = false;
    }
  }

  /** Who is to be replaced is known, as far as this machine has looked. */
  #checkReplaced(name: string): void {
    const sight = this.#keeper?.sight ?? null;
    const known = this.#keeper === null ? [] : (sight?.view.records ?? null);
    if (known?.some((one) => one.name === name) === false) throw noSuchBoard(name);
  }

  #demand(): Identity {
    if (this.#options.isConfigured) throw configured();
    if (this.#identity !== null) return this.#identity;
    throw new CodedError("LIFE_NO_CLUSTER", "this board is in no cluster", {
      remedy: "make one with satsuma cluster create, or join one with satsuma cluster join",
    });
  }

  #refuseInCluster(): void {
    if (this.#options.isConfigured) throw configured();
    if (this.#identity === null) return;
    const { cluster } = this.#identity;
    throw new CodedError("LIFE_IN_CLUSTER", `this board is in the cluster ${cluster} already`, {
      remedy: "leave it first: satsuma cluster leave",
    });
  }

  #tell(type: string, message: string): void {
    this.#options.onEvent({ type, severity: "info", message });
  }
}

const newId = (): string => randomBytes(4).toString("hex");

/** Under what a board is reached; on one machine by loopback too. */
export const addressesOf = (host: string): readonly string[] => [host, "127.0.0.1", "localhost"];

const caOf = ({ ca, caKey }: Identity): CertifiedKey => {
  if (caKey !== null) return { cert: ca, key: caKey };
  throw new CodedError("LIFE_WITNESS_ONLY_VOTES", "a witness changes nothing in its cluster", {
    remedy: "ask a board",
  });
};

const configured = (): CodedError =>
  new CodedError("LIFE_CONFIGURED", "the configuration file or a flag names this board's cluster", {
    remedy: "take name and etcd out of [cluster] to have the board look after its cluster itself",
  });

const noSuchBoard = (name: string): CodedError =>
  new CodedError("LIFE_NO_SUCH_BOARD", `the cluster has no board and no witness ${name}`, {
    remedy: "see satsuma cluster status",
  });

const evictSelf = (name: string): CodedError =>
  new CodedError("LIFE_EVICT_SELF", `${name} is this board`, {
    remedy: "use satsuma cluster leave, or ask another board",
  });

const keepsName = (name: string): CodedError =>
  new CodedError("LIFE_WITNESS_ONLY_VOTES", `the witness ${name} keeps its name`, {
    remedy: "take it out and let it join under the other one",
  });
