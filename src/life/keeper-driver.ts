/**
 * What a board or a witness does for its cluster again and again: it says that it runs, runs the
 * member of etcd that it is to run, learns what became of itself and of the others, and, on the one
 * board that coordinates, takes the next step for etcd.
 */
import type { Logger } from "../common/log.ts";
import { serialOf } from "./certificates.ts";
import { EtcdAdmin } from "./etcd-admin-client.ts";
import { etcdNameOf } from "./etcd-arguments.ts";
import { EtcdCare } from "./etcd-care-driver.ts";
import { clientUrlOf, type EtcdHere, type EtcdSettings, peerUrlOf } from "./etcd-here-driver.ts";
import { nextStep, type PlanStep } from "./etcd-plan.ts";
import { type EtcdSight, EtcdWatch, planInputOf, type SeenMember } from "./etcd-watch-driver.ts";
import { type Identity, writeFacts, writeRefused } from "./identity-driver.ts";
import type { LifePulse, LifeView } from "./life-records.ts";
import { PulseWatch } from "./pulse-watch.ts";
import { describeQuorum, type Quorum, shutOutQuorum } from "./quorum-words.ts";
import { Registry } from "./registry-client.ts";
import { ShutOutWatch, welcomeAt } from "./shut-out-client.ts";

/** What happens, for the log of events. */
export interface LifeEvent {
  readonly type: string;
  readonly severity: "info" | "warning" | "critical";
  readonly message: string;
}

export interface KeeperOptions extends EtcdSettings {
  /** The cluster's folder. */
  readonly folder: string;
  readonly identity: Identity;
  readonly etcd: EtcdHere;
  readonly version: string;
  /** A voter that is silent for so long is replaced, milliseconds. */
  readonly graceMs: number;
  readonly now: () => number;
  readonly logger: Logger;
  readonly onEvent: (event: LifeEvent) => void;
  /** This machine is to leave, or to stay after all: with each change. */
  readonly onLeaving: (isLeaving: boolean) => void;
  /** The cluster does not have this machine any more. Once. */
  readonly onGone: () => void;
  /** This machine has another name from now on. Once. */
  readonly onRenamed: (name: string) => void;
}

/** What is known of the cluster. */
export interface ClusterSight {
  readonly view: LifeView;
  readonly etcd: EtcdSight;
  readonly quorum: Quorum;
  readonly step: PlanStep;
  /** Of etcd and its disks; for people. */
  readonly warnings: readonly string[];
  readonly pulses: PulseWatch;
  /** The cluster refuses this machine, as far as that can be known from here. */
  readonly isShutOut: boolean;
}

const TICK_MS = 2000;
/** After a step the next one is looked for at once: the time with two voters is to be short. */
const AGAIN_MS = 300;
/** Looks in a row that must agree before a member's data is given up. */
const MISSED_LOOKS = 3;

export class Keeper {
  readonly registry: Registry;
  readonly #options: KeeperOptions;
  readonly #admin: EtcdAdmin;
  readonly #watch: EtcdWatch;
  readonly #care: EtcdCare;
  readonly #pulses = new PulseWatch();
  readonly #door: ShutOutWatch;
  #identity: Identity;
  #timer: NodeJS.Timeout | null = null;
  #looking: Promise<void> | null = null;
  #sight: ClusterSight | null = null;
  #missed = 0;
  #hasLostData = false;
  #isFull = false;
  #refusedList: string | null = null;
  #isClosed = false;
  #isTold = false;
  #isLeaving = false;

  constructor(options: KeeperOptions) {
    this.#options = options;
    const { identity, folder, logger, now } = options;
    this.#identity = identity;
    this.registry = new Registry(identity);
    this.#admin = new EtcdAdmin({ ca: identity.ca, ...identity.own });
    this.#watch = new EtcdWatch(this.#admin);
    this.#care = new EtcdCare(this.#admin, folder, logger, now);
    this.#door = new ShutOutWatch({
      welcome: (endpoint) => welcomeAt(endpoint, this.#identity),
      now: () => performance.now(),
    });
  }

  /** Null before the first look that came to an end. */
  get sight(): ClusterSight | null {
    return this.#sight;
  }

  /** Begins to look; the first look begins now. */
  start(): void {
    this.#timer = setInterval(() => void this.look(), TICK_MS);
    void this.look();
  }

  /** One look at everything. Never rejects; one at a time. */
  async look(): Promise<void> {
    this.#looking ??= this.#lookOnce()
      .catch((error: unknown) => this.#options.logger.debug({ error }, "cluster-look-failed"))
      .finally(() => {
        this.#looking = null;
      });
    await this.#looking;
  }

  /** A look that begins now, after one under way. Never rejects. */
  async lookAgain(): Promise<void> {
    await this.#looking;
    await this.look();
  }

  /** etcd runs on. */
  async close(): Promise<void> {
    this.#isClosed = true;
    if (this.#timer !== null) clearInterval(this.#timer);
    await this.#looking;
    await this.registry.close();
    this.#admin.close();
  }

  async #lookOnce(): Promise<void> {
    const { registry } = this;
    await registry.learn();
    const endpoints = [...new Set([...registry.endpoints, clientUrlOf(this.#identity)])];
    const etcd = await this.#watch.look(endpoints);
    await this.#runHere(etcd.members);
    let view = this.#sight?.view ?? EMPTY;
    let isFresh = false;
    // Told at once: without a majority the records are waited for.
    if (this.#sight !== null) this.#see(view, etcd);
    try {
      view = await registry.view(1);
      isFresh = true;
      this.#pulses.see(view.beats, performance.now());
      this.#door.welcomed();
    } catch (error) {
      this.#options.logger.debug({ error }, "cluster-records-unread");
      if (etcd.members.every(({ status }) => status === null)) await this.#door.look(endpoints);
    }
    if (this.#isClosed) return;
    this.#see(view, etcd);
    if (await this.#makeRoom(view, etcd)) return;
    if (!isFresh) return;
    await this.#learnSelf(view);
    this.#keepFacts(view);
    if (await this.#pulse(view)) await this.#takeStep(view, etcd);
    const name = etcdNameOf(this.#identity.id);
    const mine = etcd.members.find((one) => one.name === name);
    if (this.#identity.role === "board" && mine?.silentMs === 0 && !mine.isLearner)
      await this.#care.keepCopy(clientUrlOf(this.#identity));
  }

  #see(view: LifeView, etcd: EtcdSight): void {
    const input = planInputOf(view, etcd, this.#options.graceMs);
    const { isShutOut } = this.#door;
    const { board } = this.#identity;
    const quorum = isShutOut ? shutOutQuorum(board) : describeQuorum(input);
    const before = this.#sight?.quorum.state;
    const pulses = this.#pulses;
    const all = isShutOut ? [] : warningsOf(view, etcd, this.#options.quotaBytes);
    // What keeps a board from its vote is told there.
    const { voteless } = quorum;
    const warnings = all.filter(
      (text) => !voteless.some((one) => one.endsWith(text.slice(text.indexOf(": ") + 2))),
    );
    this.#sight = { view, etcd, quorum, step: nextStep(input), warnings, pulses, isShutOut };
    if (before === undefined || before === quorum.state || etcd.members.length === 0) return;
    const severity =
      quorum.state === "lost" ? "critical" : quorum.state === "at-risk" ? "warning" : "info";
    const why = quorum.sentences.length === 0 ? "" : `: ${quorum.sentences.join("; ")}`;
    const message = `the cluster's quorum is ${quorum.state}${why}`;
    this.#options.onEvent({ type: "quorum.changed", severity, message });
  }

  /** What became of this machine. */
  async #learnSelf(view: LifeView): Promise<void> {
    if (this.#isTold) return;
    const { id, board, own, ca, caKey } = this.#identity;
    const record = view.records.find((one) => one.id === id);
    const serial = serialOf(own.cert);
    if (record === undefined) {
      // Only a refused certificate proves it: a record is not there either before it is written.
      if (!view.refused.some((one) => one.serial === serial)) return;
      this.#isTold = true;
      this.#options.onGone();
    } else if (record.name !== board) {
      this.#isTold = true;
      this.#options.onRenamed(record.name);
    } else if (record.serial !== serial && caKey !== null) {
      // It has had another name until now; nobody is to come with the certificate of that one.
      await this.registry.certify(record, serial, { cert: ca, key: caKey });
    }
  }

  #keepFacts({ refusedList }: LifeView): void {
    const { folder } = this.#options;
    if (refusedList !== null && refusedList !== this.#refusedList) {
      writeRefused(folder, Buffer.from(refusedList, "base64"));
      this.#refusedList = refusedList;
    }
    const endpoints = this.registry.members;
    const isSame = endpoints.join() === this.#identity.endpoints.join();
    if (endpoints.length === 0 || isSame) return;
    this.#identity = { ...this.#identity, endpoints };
    writeFacts(folder, this.#identity);
  }

  /** Runs the member of etcd that this machine is to run, if any. */
  async #runHere(members: readonly SeenMember[]): Promise<void> {
    const { etcd, logger } = this.#options;
    const name = etcdNameOf(this.#identity.id);
    const peerUrl = peerUrlOf(this.#identity);
    const mine = members.find((one) => one.name === name || one.peerUrls.includes(peerUrl));
    this.#hasLostData = mine !== undefined && mine.name !== "" && !etcd.canResume;
    if (mine !== undefined) {
      this.#missed = 0;
      if (this.#hasLostData) return;
      const isBegun = mine.name !== "" || etcd.hasBegunAs(mine.id);
      // One that runs may still be the member of before, which was taken out.
      if (isBegun) return etcd.isWanted ? undefined : await etcd.resume(this.#identity);
      const others = members.filter((one) => one !== mine && one.name !== "");
      const all = others.flatMap((one) => one.peerUrls.map((url) => `${one.name}=${url}`));
      const initialCluster = [...all, `${name}=${peerUrl}`].join(",");
      return await etcd.begin(this.#identity, { initialCluster, state: "existing" }, mine.id);
    }
    if (!etcd.isWanted || members.length === 0) return;
    const isWell = members.some(({ status }) => status !== null);
    this.#missed = isWell ? this.#missed + 1 : 0;
    if (this.#missed < MISSED_LOOKS) return;
    logger.info({}, "etcd-not-a-member");
    await etcd.end();
  }

  /** True: this machine coordinates. Errors: CLUSTER_STORE_*. */
  async #pulse({ records }: LifeView): Promise<boolean> {
    const { etcd, version } = this.#options;
    const { canVote, remark, etcdVersion } = await etcd.fitness();
    const hasLostData = this.#hasLostData;
    const isLeaving = records.some((one) => one.id === this.#identity.id && one.isLeaving);
    if (isLeaving !== this.#isLeaving) {
      this.#isLeaving = isLeaving;
      this.#options.onLeaving(isLeaving);
    }
    const pulse: LifePulse = { canVote, remark, hasLostData, isLeaving, version, etcdVersion };
    return await this.registry.pulse(this.#identity.id, pulse, this.#identity.role === "board");
  }

  async #takeStep(view: LifeView, sight: EtcdSight): Promise<void> {
    const step = nextStep(planInputOf(view, sight, this.#options.graceMs));
    if (step.type === "none") return await this.#care.defragmentOne(sight);
    if (step.type === "wait") return;
    const { logger, onEvent } = this.#options;
    const { endpoints } = this.registry;
    try {
      if (step.type === "add") {
        const record = view.records.find(({ id }) => id === step.board);
        if (record !== undefined) await this.#admin.addLearner(endpoints, record.peerUrl);
      } else if (step.type === "promote") await this.#admin.promote(endpoints, step.member);
      else await this.#admin.remove(endpoints, step.member);
    } catch (error) {
      logger.info({ step: step.type, why: step.why, error }, "etcd-step-later");
      return;
    }
    logger.info({ step: step.type, why: step.why }, "etcd-step");
    setTimeout(() => void (this.#isClosed || this.look()), AGAIN_MS).unref();
    const type = `cluster.vote-${STEP_WORDS[step.type]}`;
    onEvent({ type, severity: "info", message: `etcd: ${step.why}` });
  }

  /**
   * True while etcd refuses writes for want of space. Nobody can be chosen by writing then: the
   * board with the lowest id looks after it, and two that do so do no harm.
   */
  async #makeRoom(view: LifeView, etcd: EtcdSight): Promise<boolean> {
    if (!etcd.alarms.some(({ alarm }) => alarm === "NOSPACE")) return false;
    const boards = view.records.filter(({ role }) => role === "board").map(({ id }) => id);
    const first = boards.sort()[0] ?? this.#identity.id;
    if (first !== this.#identity.id) return true;
    const { quotaBytes, onEvent } = this.#options;
    const full = "etcd is full and refuses writes: reads and writes of all boards wait";
    if (!this.#isFull) onEvent({ type: "cluster.store-full", severity: "critical", message: full });
    this.#isFull = true;
    await this.#care.makeRoom(etcd, quotaBytes);
    const { alarms } = await this.#watch.look(this.registry.endpoints);
    if (alarms.some(({ alarm }) => alarm === "NOSPACE")) return true;
    this.#isFull = false;
    const message = "etcd has room again: its history was forgotten and its files made smaller";
    onEvent({ type: "cluster.store-freed", severity: "info", message });
    return true;
  }
}

const EMPTY: LifeView = {
  records: [],
  pulses: new Map(),
  beats: new Map(),
  refused: [],
  refusedList: null,
};

const STEP_WORDS = { add: "added", promote: "given", remove: "taken" } as const;

/** What is not as good as it should be, in sentences. */
const warningsOf = (
  { records, pulses }: LifeView,
  { members, alarms }: EtcdSight,
  quotaBytes: number,
): readonly string[] => {
  const remarks = records.flatMap(({ id, name }) => {
    const pulse = pulses.get(id);
    if (pulse === undefined) return [`${name} has not been heard of lately`];
    return pulse.remark === "" ? [] : [`${name}: ${pulse.remark}`];
  });
  const bytes = Math.max(0, ...members.map(({ status }) => status?.databaseBytes ?? 0));
  const share = Math.round((100 * bytes) / quotaBytes);
  return [
    ...alarms.map(({ alarm }) => ALARM_WORDS[alarm] ?? `etcd has raised the alarm ${alarm}`),
    ...(share > FULL_PERCENT ? [`etcd's file has ${share} % of what it may have`] : []),
    ...remarks,
  ];
};

const FULL_PERCENT = 50;
const ALARM_WORDS: Readonly<Record<string, string>> = {
  NOSPACE: "etcd is full and refuses writes",
  CORRUPT: "the members of etcd do not hold the same: take the one that differs out of the cluster",
};
