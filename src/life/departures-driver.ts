/** How a board or a witness goes: by itself, sent by another one, or because it is dead. */
import { setTimeout as pause } from "node:timers/promises";
import { CodedError } from "../common/errors.ts";
import { refuseLiving } from "./board-traces.ts";
import type { CertifiedKey } from "./certificates.ts";
import { ownerIn } from "./etcd-watch-driver.ts";
import type { Keeper } from "./keeper-driver.ts";
import type { LifeRecord } from "./life-records.ts";

/** A vote is handed over by steps of some seconds each; arrays leave in as much. */
const HANDOVER_MS = 60_000;
/** A board hears within a look or two that it is to leave; one that died is silent by then. */
const AGREE_MS = 20_000;
const LOOK_MS = 500;

/** Asked when all else is done, some time later: rejects when the board is needed after all. */
export type Judge = () => Promise<void>;

export class Departures {
  readonly #keeper: Keeper;
  readonly #ca: CertifiedKey;
  readonly #agreeMs: number;
  readonly #handoverMs: number;

  constructor(
    keeper: Keeper,
    ca: CertifiedKey,
    { agreeMs = AGREE_MS, handoverMs = HANDOVER_MS } = {},
  ) {
    this.#keeper = keeper;
    this.#ca = ca;
    this.#agreeMs = agreeMs;
    this.#handoverMs = handoverMs;
  }

  /** Of this machine. Errors, none with `force`: LIFE_STILL_*, CLUSTER_STORE_*. */
  async leave(id: string, force: boolean): Promise<void> {
    try {
      const { records } = await this.#keeper.registry.view();
      const record = records.find((one) => one.id === id);
      if (record !== undefined && records.length > 1) await this.#takeOut(record, null);
    } catch (error) {
      if (!force) throw error;
    }
  }

  /**
   * Of another one: with its agreement while it runs. By force of one that is gone for everybody,
   * which silence alone does not tell. Errors: as ClusterLife.evict.
   */
  async evict(name: string, force: boolean, judge: Judge = async () => undefined): Promise<void> {
    const { records, pulses } = await this.#keeper.registry.view();
    const record = records.find((one) => one.name === name);
    if (record === undefined) {
      throw new CodedError(
        "LIFE_NO_SUCH_BOARD",
        `the cluster has no board and no witness ${name}`,
        {
          remedy: "see satsuma cluster status",
        },
      );
    }
    if (pulses.has(record.id) && (await this.#takeOut(record, judge))) return;
    if (!force) throw silent(name);
    const after = await this.#keeper.registry.view();
    const traces = await this.#keeper.registry.traces();
    refuseLiving(traces, name, after.pulses.has(record.id));
    const voters = this.#members().filter(({ isLearner }) => !isLearner);
    const isOnly = voters.every((member) => this.#isOf(record, member));
    if (voters.length > 0 && isOnly) {
      throw new CodedError("LIFE_ONLY_VOTER", `${name} has the only vote of the cluster`, {
        remedy: "take it out without --force while it runs: it hands its vote over first",
      });
    }
    await judge();
    await this.#keeper.registry.remove(record, this.#ca);
  }

  /**
   * Its vote goes first, and what it runs ends; then its record goes, and its certificate is
   * refused from then on: one that ran on without its ways to the others' disks would record those
   * as faulty. False: it has not agreed, so it stays. `judge` null: of this machine, which need not
   * be asked.
   */
  async #takeOut(record: LifeRecord, judge: Judge | null): Promise<boolean> {
    const { registry } = this.#keeper;
    await registry.markLeaving(record, true);
    const deadline = performance.now() + this.#handoverMs;
    const agreeBy = performance.now() + this.#agreeMs;
    let agrees = judge === null;
    let runs = true;
    for (;;) {
      await this.#keeper.look();
      agrees ||= this.#keeper.sight?.view.pulses.get(record.id)?.isLeaving ?? false;
      const votes = this.#members().some((member) => this.#isOf(record, member));
      runs &&= await this.#mayRun(record);
      if (agrees && !votes && !runs) break;
      if (!agrees && performance.now() > agreeBy) {
        await registry.markLeaving(record, false);
        return false;
      }
      if (performance.now() > deadline) {
        await registry.markLeaving(record, false);
        throw votes ? stillVotes(record.name) : stillRuns(record.name);
      }
      await pause(LOOK_MS);
    }
    try {
      await judge?.();
    } catch (error) {
      await registry.markLeaving(record, false);
      throw error;
    }
    await registry.remove(record, this.#ca);
    return true;
  }

  /** What cannot be learnt may be. */
  async #mayRun({ name }: LifeRecord): Promise<boolean> {
    try {
      const { arrays } = await this.#keeper.registry.traces();
      return arrays.some(({ nodes }) => nodes.includes(name));
    } catch (error) {
      if (error instanceof CodedError) return true;
      throw error;
    }
  }

  #members() {
    return this.#keeper.sight?.etcd.members ?? [];
  }

  #isOf({ id }: LifeRecord, member: Parameters<typeof ownerIn>[1]): boolean {
    const view = this.#keeper.sight?.view;
    return view !== undefined && ownerIn(view, member) === id;
  }
}

const silent = (name: string): CodedError =>
  new CodedError("LIFE_BOARD_SILENT", `${name} does not answer that it leaves`, {
    remedy: "wait for it; or make sure that it is off for good and take it out with --force",
  });

const stillRuns = (name: string): CodedError =>
  new CodedError("LIFE_STILL_RUNS", `${name} still runs arrays of the cluster`, {
    remedy: "see its events for why they do not stop, stop them there, then try again",
  });

const stillVotes = (name: string): CodedError =>
  new CodedError("LIFE_STILL_VOTES", `${name} still has a vote that no other board could take`, {
    remedy: "see satsuma cluster status for what it waits for, then try again",
  });
