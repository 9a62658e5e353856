/** The etcd of this machine: whether it can vote, how it began, and the runner that keeps it. */
import path from "node:path";
import { judgeVersion } from "../cluster/store/etcd-version.ts";
import { CodedError } from "../common/errors.ts";
import type { Logger } from "../common/log.ts";
import {
  type EtcdBeginning,
  type EtcdPlace,
  etcdArguments,
  etcdNameOf,
  urlOf,
} from "./etcd-arguments.ts";
import { EtcdRunner } from "./etcd-runner-driver.ts";
import { type EtcdTiming, measureFsync, timingFor } from "./fsync-test-driver.ts";
import type { IdentityFacts } from "./identity-driver.ts";
import { readWhole, writeWhole } from "./own-files-driver.ts";

/** Settings of the etcd that a board runs. */
export interface EtcdSettings {
  readonly quotaBytes: number;
  /** A disk with slower durable writes (99 of 100) gets no vote, milliseconds. */
  readonly fsyncLimitMs: number;
}

/** Whether this machine can vote, and what is to be said about it. */
export interface Fitness {
  readonly canVote: boolean;
  readonly remark: string;
  readonly etcdVersion: string;
}

/** `memberId`: as which it began; null: as the first one. */
type Kept = EtcdBeginning & EtcdTiming & { readonly memberId: string | null };

const KEPT_FILE = "etcd.json";

export class EtcdHere {
  readonly #folder: string;
  readonly #settings: EtcdSettings;
  readonly #runner: EtcdRunner;
  #timing: EtcdTiming | null = null;
  #fitness: Fitness | null = null;

  constructor(folder: string, settings: EtcdSettings, logger: Logger) {
    this.#folder = folder;
    this.#settings = settings;
    this.#runner = new EtcdRunner(folder, logger);
  }

  get isWanted(): boolean {
    return this.#runner.isWanted;
  }

  get endings(): number {
    return this.#runner.endings;
  }

  /** It began once, and what it had is still there. */
  get canResume(): boolean {
    return this.#runner.hasData && this.#kept() !== null;
  }

  /** It runs, or has run, as this member; what it has is of no use to any other. */
  hasBegunAs(memberId: string): boolean {
    return this.canResume && this.#kept()?.memberId === memberId;
  }

  /** Asked once: the version that is installed, and the disk. */
  async fitness(): Promise<Fitness> {
    this.#fitness ??= await this.#judge();
    return this.#fitness;
  }

  /** Begins as a member, with no data. Errors: LIFE_NO_ETCD, LIFE_DISK_TOO_SLOW, LIFE_FILES_*. */
  async begin(
    identity: IdentityFacts,
    beginning: EtcdBeginning,
    memberId: string | null,
  ): Promise<void> {
    const { canVote } = await this.fitness();
    if (!canVote) await this.#demand();
    await this.#runner.stop();
    this.#runner.forget();
    const { heartbeatMs, electionMs } = this.#timing ?? (await this.#demand());
    const kept: Kept = { ...beginning, heartbeatMs, electionMs, memberId };
    writeWhole(path.join(this.#folder, KEPT_FILE), `${JSON.stringify(kept)}\n`);
    await this.resume(identity);
  }

  /** Goes on with its data. */
  async resume(identity: IdentityFacts): Promise<void> {
    const kept = this.#kept();
    if (kept !== null) await this.#runner.start(etcdArguments(this.#place(identity), kept, kept));
  }

  /** It is no member any more. */
  async end(): Promise<void> {
    await this.#runner.stop();
    this.#runner.forget();
  }

  async stop(): Promise<void> {
    await this.#runner.stop();
  }

  /** It runs on without anybody who looks after it. */
  leave(): void {
    this.#runner.leave();
  }

  async #judge(): Promise<Fitness> {
    let etcdVersion = "";
    try {
      etcdVersion = await this.#runner.version();
      const remarks = [judgeVersion(etcdVersion)];
      const timing = timingFor(await measureFsync(this.#folder), this.#settings.fsyncLimitMs);
      this.#timing = timing;
      remarks.push(timing.warning);
      const remark = remarks.filter((one) => one !== null).join("; ");
      return { canVote: true, remark, etcdVersion };
    } catch (error) {
      const remark = error instanceof CodedError ? error.advice : String(error);
      return { canVote: false, remark, etcdVersion };
    }
  }

  /** As fitness, but tells why not. */
  async #demand(): Promise<EtcdTiming> {
    judgeVersion(await this.#runner.version());
    this.#timing = timingFor(await measureFsync(this.#folder), this.#settings.fsyncLimitMs);
    return this.#timing;
  }

  #place({ id, cluster, host, ports }: IdentityFacts): EtcdPlace {
    const { etcdClient: clientPort, etcdPeer: peerPort } = ports;
    const { quotaBytes } = this.#settings;
    const name = etcdNameOf(id);
    return { folder: this.#folder, name, cluster, host, clientPort, peerPort, quotaBytes };
  }

  #kept(): Kept | null {
    const text = readWhole(path.join(this.#folder, KEPT_FILE));
    try {
      return text === null ? null : (JSON.parse(text) as Kept);
    } catch {
      return null;
    }
  }
}

/** URL at which etcd's other members find this one. */
export const peerUrlOf = ({ host, ports }: IdentityFacts): string => urlOf(host, ports.etcdPeer);

/** URL at which etcd's clients find this one. */
export const clientUrlOf = ({ host, ports }: IdentityFacts): string =>
  urlOf(host, ports.etcdClient);
