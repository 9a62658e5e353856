/** The etcd of this machine: whether it can vote, how it began, and the runner that keeps it. */
import path from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { judgeVersion } from "../cluster/store/etcd-version.ts";
import { CodedError } from "../common/errors.ts";
import type { Logger } from "../common/log.ts";
import { DiskTrial } from "./disk-trial-driver.ts";
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
/** Measurements before a newcomer is told that this disk is too slow for the first member. */
const TRIES = 3;
const TRY_PAUSE_MS = 2000;

export class EtcdHere {
  readonly #folder: string;
  readonly #settings: EtcdSettings;
  readonly #runner: EtcdRunner;
  readonly #disk: DiskTrial;
  #version: string | null = null;

  constructor(folder: string, settings: EtcdSettings, logger: Logger) {
    this.#folder = folder;
    this.#settings = settings;
    this.#runner = new EtcdRunner(folder, logger);
    this.#disk = new DiskTrial({
      limitMs: settings.fsyncLimitMs,
      measure: () => measureFsync(folder),
      now: () => performance.now(),
    });
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

  /** The version that is installed, and the disk, which is measured until it is quick enough. */
  async fitness(): Promise<Fitness> {
    try {
      this.#version ??= await this.#runner.version();
      const note = judgeVersion(this.#version);
      const { timing, remark } = await this.#disk.verdict();
      const canVote = timing !== null;
      // What keeps it from a vote, or else what is not as good as it should be.
      const remarks = (canVote ? [note, remark] : [remark]).filter((one) => one !== null);
      return { canVote, remark: remarks.join("; "), etcdVersion: this.#version };
    } catch (error) {
      const remark = error instanceof CodedError ? error.advice : String(error);
      return { canVote: false, remark, etcdVersion: this.#version ?? "" };
    }
  }

  /** Begins as a member, with no data. Errors: LIFE_NO_ETCD, LIFE_DISK_TOO_SLOW, LIFE_FILES_*. */
  async begin(
    identity: IdentityFacts,
    beginning: EtcdBeginning,
    memberId: string | null,
  ): Promise<void> {
    const { heartbeatMs, electionMs } = await this.#demand();
    await this.#runner.stop();
    this.#runner.forget();
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

  /** As fitness, but tells why not, after some more measurements. */
  async #demand(): Promise<EtcdTiming> {
    judgeVersion(await this.#runner.version());
    const { timing } = await this.#disk.verdict();
    if (timing !== null) return timing;
    let bestMs = Number.POSITIVE_INFINITY;
    for (let count = 0; count < TRIES && bestMs > this.#settings.fsyncLimitMs; count += 1) {
      if (count > 0) await pause(TRY_PAUSE_MS);
      bestMs = Math.min(bestMs, await measureFsync(this.#folder));
    }
    return timingFor(bestMs, this.#settings.fsyncLimitMs);
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
