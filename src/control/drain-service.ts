/**
 * Takes this board out of service and back. Its clients are told where else, its arrays leave their
 * clusters, which hands over what their bitmaps mark (BITMAP_NEEDS_SYNC); for maintenance its disks
 * are failed first, with the bits kept. What was taken out is remembered over restarts.
 */

import { isDeepStrictEqual } from "node:util";
import { countText } from "../common/count-text.ts";
import { CodedError, fromPlainError } from "../common/errors.ts";
import type { Logger } from "../common/log.ts";
import type { Settings } from "../store/settings.ts";
import type { ArrayCommands } from "./array-commands.ts";
import type { ArrayService } from "./array-service.ts";
import type { DeviceService } from "./device-service.ts";
import { type DrainMode, drainRefusals, type OwnMember, ownMembers } from "./drain-decision.ts";
import type { EventService } from "./event-service.ts";
import type { ExportService } from "./export-service.ts";
import type { Job } from "./job.ts";
import type { JobOutcome, JobService } from "./job-service.ts";
import type { MemberCommands } from "./member-commands.ts";
import type { Elsewhere, NodeService } from "./node-service.ts";
import { subjectOf } from "./subject.ts";

/** What the service needs. */
export interface DrainServiceOptions {
  readonly settings: Settings;
  readonly nodes: NodeService;
  readonly arrays: ArrayService;
  readonly devices: DeviceService;
  readonly exports: ExportService;
  readonly commands: ArrayCommands;
  readonly members: MemberCommands;
  readonly jobs: JobService;
  readonly events: EventService;
  readonly now: () => number;
  readonly logger: Logger;
}

/** An array that ran here; `elsewhere`: where else its exports are reached. */
interface LeftArray {
  readonly uuid: string;
  readonly elsewhere: readonly Elsewhere[];
}

/** What was taken out of service. */
export interface DrainRecord {
  readonly mode: DrainMode;
  readonly since: number;
  /** False while it is under way, or was cut short. */
  readonly isDone: boolean;
  /** Arrays that ran here. */
  readonly arrays: readonly LeftArray[];
  /** Members that were failed on this board's disks. */
  readonly members: readonly OwnMember[];
}

const SETTING = "node.drain";

/** A clustered array leaves within seconds; what hangs is told. */
const STOP_WAIT_MS = 120_000;

const textOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

const modeWords: Readonly<Record<DrainMode, string>> = {
  drain: "drained",
  maintenance: "in maintenance",
};

/** Drain, maintenance, and back. */
export class DrainService {
  readonly #options: DrainServiceOptions;
  #record: DrainRecord | null = null;
  #isBusy = false;
  /** What ended here because the board is to leave its cluster. */
  #departed: DrainRecord | null = null;

  constructor(options: DrainServiceOptions) {
    this.#options = options;
  }

  /** What is out of service; null: the board is in service. */
  get record(): DrainRecord | null {
    return this.#record;
  }

  /** Takes over what the last run left, BEFORE arrays start: one cut short is gone through with. */
  load(): void {
    const text = this.#options.settings.get(SETTING);
    this.#record = text === null ? null : (JSON.parse(text) as DrainRecord | null);
    if (this.#record === null || this.#record.isDone) return;
    for (const { uuid } of this.#record.arrays) this.#options.arrays.stopped(uuid);
    this.#keep({ ...this.#record, isDone: true });
  }

  /** Clients who ask for what was drained are told where else, after a restart too. */
  async explain(): Promise<void> {
    for (const { uuid, elsewhere } of this.#record?.arrays ?? [])
      await this.#options.exports.explain(uuid, outOfService(elsewhere));
  }

  /**
   * Boards that run what was left come and go, and one that is out of service itself is no place to
   * go on at: who asks is told those of now.
   */
  async tick(): Promise<void> {
    const record = this.#record;
    if (record === null || !record.isDone || this.#isBusy) return;
    const arrays = await Promise.all(record.arrays.map((array) => this.#lookElsewhere(array)));
    if (this.#record !== record || this.#isBusy) return;
    const changed = arrays.filter((array, at) => array !== record.arrays[at]);
    if (changed.length === 0) return;
    this.#keep({ ...record, arrays });
    for (const { uuid, elsewhere } of changed)
      await this.#options.exports.explain(uuid, outOfService(elsewhere));
  }

  async #lookElsewhere(array: LeftArray): Promise<LeftArray> {
    const { arrays, nodes } = this.#options;
    if (arrays.get(array.uuid)?.isRunning === true) return array;
    const elsewhere = await nodes.runners(array.uuid);
    const isSame = elsewhere === null || isDeepStrictEqual(elsewhere, array.elsewhere);
    return isSame ? array : { ...array, elsewhere };
  }

  /**
   * Takes the board out of service, as a job. Errors: CONTROL_NODE_ELSEWHERE, CONTROL_NODE_BUSY,
   * CONTROL_NODE_DRAINED, CONTROL_DRAIN_REFUSED.
   */
  async drain(name: string, mode: DrainMode, force: boolean, actor: string): Promise<Job> {
    this.refuseOther(name);
    this.#refuseBusy();
    const before = this.#record;
    if (before !== null) {
      throw new CodedError("CONTROL_NODE_DRAINED", `${name} is ${modeWords[before.mode]} already`, {
        // Its arrays run on other boards: this one could not fail its disks there.
        remedy: before.mode === mode ? "nothing to do" : "undrain it first",
      });
    }
    this.#isBusy = true;
    try {
      const facts = await this.#options.nodes.facts();
      const refusals = drainRefusals(mode, facts).filter(({ mayForce }) => !(force && mayForce));
      if (refusals.length > 0) throw refused(name, mode, refusals);
      const members = mode === "maintenance" ? ownMembers(facts) : [];
      const uuids = facts.arrays.map(({ uuid }) => uuid);
      const work = (): Promise<JobOutcome> => this.#drain(mode, uuids, members, actor);
      return this.#run("node.drain", actor, work);
    } catch (error) {
      this.#isBusy = false;
      throw error;
    }
  }

  /** Takes it into service again, as a job. Errors: CONTROL_NODE_ELSEWHERE, CONTROL_NODE_BUSY. */
  undrain(name: string, actor: string): Job {
    this.refuseOther(name);
    this.#refuseBusy();
    const record = this.#record;
    if (record === null) {
      throw new CodedError("CONTROL_NODE_IN_SERVICE", `${name} is in service`, {
        remedy: "nothing to do",
      });
    }
    this.#isBusy = true;
    try {
      return this.#run("node.undrain", actor, () => this.#undrain(record));
    } catch (error) {
      this.#isBusy = false;
      throw error;
    }
  }

  /**
   * The board is to leave its cluster: its disks are failed where others have copies, then its
   * arrays leave theirs. A node that lost its ways to the others' disks first, because they refuse
   * its certificate, would record those as faulty. Errors: CONTROL_NODE_BUSY, those of its arrays.
   */
  async depart(): Promise<void> {
    this.#refuseBusy();
    this.#isBusy = true;
    try {
      const { nodes, now } = this.#options;
      const facts = await nodes.facts();
      const clustered = facts.arrays.filter(({ status }) => status.bitmap.type === "clustered");
      const members = ownMembers({ ...facts, arrays: clustered });
      const arrays = await this.#withElsewhere(clustered.map(({ uuid }) => uuid));
      const record = { mode: "maintenance", since: now(), isDone: true, arrays, members } as const;
      // What is out of service already comes back by what is remembered of that.
      this.#departed = this.#record === null ? record : null;
      if (arrays.length > 0) this.#tell("node.leaving", `${nodes.here} is to leave its cluster`);
      await this.#takeOut(members, arrays, "cluster");
    } finally {
      this.#isBusy = false;
    }
  }

  /** It stays in its cluster after all. Errors: CONTROL_NODE_BUSY, CONTROL_UNDRAIN_INCOMPLETE. */
  async stay(): Promise<void> {
    const departed = this.#departed;
    if (departed === null) return;
    this.#refuseBusy();
    this.#isBusy = true;
    try {
      this.#departed = null;
      await this.#undrain(departed);
    } finally {
      this.#isBusy = false;
    }
  }

  /** Each board is drained, and restarted, by itself. Errors: CONTROL_NODE_ELSEWHERE. */
  refuseOther(name: string): void {
    const { here } = this.#options.nodes;
    if (name === here) return;
    throw new CodedError("CONTROL_NODE_ELSEWHERE", `this board is ${here}, not ${name}`, {
      remedy: `ask ${name} itself: --api URL and --token TOKEN, or --data DIR, of that board`,
    });
  }

  #refuseBusy(): void {
    if (!this.#isBusy) return;
    throw new CodedError("CONTROL_NODE_BUSY", "the board is being drained or taken into service", {
      remedy: "ask again when that has ended",
    });
  }

  #run(kind: "node.drain" | "node.undrain", actor: string, work: () => Promise<JobOutcome>): Job {
    const subject = subjectOf("node", this.#options.nodes.here);
    return this.#options.jobs.run({ kind, subject, createdBy: actor }, async () => {
      try {
        return await work();
      } finally {
        this.#isBusy = false;
        this.#options.events.changed("system", "system");
      }
    });
  }

  async #drain(
    mode: DrainMode,
    uuids: readonly string[],
    members: readonly OwnMember[],
    actor: string,
  ): Promise<JobOutcome> {
    const { nodes, now } = this.#options;
    const arrays = await this.#withElsewhere(uuids);
    this.#keep({ mode, since: now(), isDone: false, arrays, members });
    this.#tell("node.draining", `${nodes.here} is being taken out of service (${mode})`);
    try {
      await this.#takeOut(members, arrays, actor);
    } catch (error) {
      await this.#giveBack(textOf(error));
      throw error;
    }
    this.#keep({ mode, since: now(), isDone: true, arrays, members });
    const left = `${countText(arrays.length, "array")} left to other boards`;
    const text = `${nodes.here} is ${modeWords[mode]}: ${left}`;
    const where = arrays.map(({ uuid, elsewhere }) => ({
      array: uuid,
      addresses: elsewhere.map(({ address }) => address),
    }));
    this.#tell("node.drained", text, { mode, arrays: where });
    return { result: { mode, arrays: uuids.length, members: members.length } };
  }

  async #withElsewhere(uuids: readonly string[]): Promise<LeftArray[]> {
    const arrays: LeftArray[] = [];
    for (const uuid of uuids)
      arrays.push({ uuid, elsewhere: await this.#options.nodes.elsewhere(uuid) });
    return arrays;
  }

  async #takeOut(
    members: readonly OwnMember[],
    arrays: readonly LeftArray[],
    actor: string,
  ): Promise<void> {
    for (const member of members) await this.#setAside(member);
    for (const { uuid, elsewhere } of arrays) await this.#leave(uuid, elsewhere, actor);
  }

  /** Every node knows of it before it is answered; the bits of what is written then are kept. */
  async #setAside({ uuid, path }: OwnMember): Promise<void> {
    const { arrays, devices, members } = this.#options;
    const { status } = arrays.find(uuid);
    const states = status?.members.find((member) => member.path === path)?.states ?? [];
    if (states.includes("spare") && !states.includes("rebuilding")) return;
    if (states.length > 0) await members.fail(uuid, devices.find(path).record.id);
  }

  /** Its exports close, with where else in the reason; then the node hands over and leaves. */
  async #leave(uuid: string, elsewhere: readonly Elsewhere[], actor: string): Promise<void> {
    const { arrays, commands, jobs } = this.#options;
    const { record } = arrays.find(uuid);
    const reason = outOfService(elsewhere);
    const order = { confirm: record.name, force: true, forget: false, reason };
    const job = commands.stop(uuid, order, actor);
    await ended(jobs, job, STOP_WAIT_MS);
  }

  /** What was refused on the way, such as the last in-sync copy: back into service. */
  async #giveBack(why: string): Promise<void> {
    const { nodes } = this.#options;
    const record = this.#record;
    this.#tell("node.drain-failed", `${nodes.here} stays in service: ${why}`, {}, "warning");
    if (record !== null) await this.#undrain(record).catch(() => undefined);
  }

  async #undrain(record: DrainRecord): Promise<JobOutcome> {
    const { nodes } = this.#options;
    const failed: string[] = [];
    const arrays = [];
    for (const array of record.arrays) {
      const isBack = await this.#start(array.uuid, failed);
      if (!isBack) arrays.push(array);
    }
    const members = [];
    for (const member of record.members) {
      const isBack = await this.#takeBack(member, failed);
      if (!isBack) members.push(member);
    }
    if (failed.length > 0) {
      this.#keep({ ...record, isDone: true, arrays, members });
      const message = `${nodes.here} is not wholly in service: ${failed.join("; ")}`;
      this.#tell("node.undrain-failed", message, {}, "warning");
      throw new CodedError("CONTROL_UNDRAIN_INCOMPLETE", message, {
        remedy: "see to what is named, then undrain again",
      });
    }
    this.#keep(null);
    this.#tell("node.undrained", `${nodes.here} is in service again`);
    return { result: { arrays: record.arrays.length, members: record.members.length } };
  }

  /** True: it runs here, or is known here no more. */
  async #start(uuid: string, failed: string[]): Promise<boolean> {
    const { arrays, commands } = this.#options;
    const view = arrays.get(uuid);
    if (view === null) return true;
    try {
      await commands.startUnlessRunning(uuid, view.record.readOnly);
      return true;
    } catch (error) {
      failed.push(textOf(error));
      return false;
    }
  }

  /** By bitmap; what its array cannot take back so is added, to be rebuilt whole. */
  async #takeBack({ uuid, path }: OwnMember, failed: string[]): Promise<boolean> {
    const { arrays, devices, members } = this.#options;
    const view = arrays.get(uuid);
    if (view === null || devices.idOf(path) === null) return true;
    if (!view.isRunning) return false;
    try {
      const { id } = devices.find(path).record;
      const states = view.status?.members.find((member) => member.path === path)?.states ?? null;
      if (states !== null && !states.includes("faulty")) return true;
      if (states !== null) await members.remove(uuid, id);
      await members.takeBack(uuid, path);
      return true;
    } catch (error) {
      failed.push(`${path}: ${textOf(error)}`);
      return false;
    }
  }

  #keep(record: DrainRecord | null): void {
    this.#options.settings.set(SETTING, JSON.stringify(record));
    this.#record = record;
  }

  #tell(
    type: string,
    message: string,
    details: Readonly<Record<string, unknown>> = {},
    severity: "info" | "warning" = "info",
  ): void {
    const subject = subjectOf("node", this.#options.nodes.here);
    this.#options.events.record({ type, severity, subject, message, details });
    this.#options.events.changed("system", "system");
  }
}

const outOfService = (elsewhere: readonly Elsewhere[]): string => {
  const addresses = elsewhere.map(({ address }) => address).join(", ");
  const where = addresses === "" ? "" : `: attach it at ${addresses}`;
  return `its board is out of service${where}`;
};

const refused = (
  name: string,
  mode: DrainMode,
  refusals: readonly { readonly mayForce: boolean; readonly reason: string }[],
): CodedError => {
  const reasons = refusals.map(({ reason }) => reason);
  const what = mode === "drain" ? "drained" : "taken into maintenance";
  const mayForce = refusals.every((refusal) => refusal.mayForce);
  return new CodedError(
    "CONTROL_DRAIN_REFUSED",
    `${name} cannot be ${what}: ${reasons.join("; ")}`,
    {
      remedy: mayForce
        ? "see to that first, or ask with force (--force)"
        : "see to that first: a copy elsewhere has to be in sync, etcd has to keep its quorum",
      details: { reasons, may_force: mayForce },
    },
  );
};

/** Resolves when the job has succeeded. Errors: the job's, CONTROL_JOB_INTERRUPTED. */
const ended = async (jobs: JobService, job: Job, waitMs: number): Promise<void> => {
  const latest = await jobs.waitFor(job.id, AbortSignal.timeout(waitMs));
  if (latest.problem !== null) throw fromPlainError(latest.problem);
  if (latest.state === "succeeded") return;
  throw new CodedError("CONTROL_JOB_INTERRUPTED", `${job.kind} is ${latest.state}`, {
    remedy: "look at the array and its devices, then ask again",
  });
};
