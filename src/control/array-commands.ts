/**
 * The verbs that make, start and stop arrays. Each checks what it can before it answers, then runs
 * as a job; the engine checks again and has the last word.
 */

import { randomBytes } from "node:crypto";
import { CodedError, fromPlainError, type PlainError } from "../common/errors.ts";
import type { Logger } from "../common/log.ts";
import { uuidToKernelText } from "../raid/uuid.ts";
import {
  type ArrayPlan,
  type CreateOrder,
  MISSING,
  type OrderedDevice,
  planCreate,
} from "./array-plan.ts";
import type { ArrayService } from "./array-service.ts";
import type { StartProblem } from "./array-view.ts";
import { refusePeersDisks, refuseWithoutCluster } from "./cluster-check.ts";
import type { DeviceService } from "./device-service.ts";
import type { CreateArrayRequest, RunningArray, StorageEngine } from "./engine.ts";
import type { EventService } from "./event-service.ts";
import type { ExportService } from "./export-service.ts";
import type { Job } from "./job.ts";
import type { JobOutcome, JobService } from "./job-service.ts";
import { withLackingCopies } from "./lacking-copies.ts";
import { newestCopyProblem } from "./newest-copy.ts";
import { subjectOf } from "./subject.ts";

/** What the commands need. */
export interface ArrayCommandsOptions {
  readonly engine: StorageEngine;
  readonly arrays: ArrayService;
  readonly devices: DeviceService;
  readonly exports: ExportService;
  readonly jobs: JobService;
  readonly events: EventService;
  readonly logger: Logger;
}

/** How to stop an array. `confirm` must be its name; `force` stops it under attached clients. */
export interface StopOrder {
  readonly confirm: string | null;
  readonly force: boolean;
  /** Also drop it from the list; its superblocks stay, it can be imported again. */
  readonly forget: boolean;
  /** Why its exports close; clients that ask for one are told. */
  readonly reason?: string;
}

/** How to start an array. */
export interface StartOrder {
  readonly readOnly: boolean;
  /** Although the devices that are there may not hold the newest copy. */
  readonly run: boolean;
}

/** How a start goes about it: where from, and what follows once the array runs. */
export interface StartSteps {
  readonly paths: () => Promise<readonly string[]>;
  readonly afterStart?: () => Promise<void>;
}

const outcomeOf = (uuid: string): JobOutcome => ({
  result: { array_id: uuid },
  subject: subjectOf("array", uuid),
});

const memberReasonsOf = (details: unknown): StartProblem["members"] => {
  const members = (details as { members?: unknown }).members;
  return Array.isArray(members) ? (members as { path: string; reason: string }[]) : [];
};

/** An engine's refusal to start as a problem to show. */
const startProblemOf = (error: unknown): StartProblem =>
  error instanceof CodedError
    ? {
        code: error.code,
        message: error.message,
        remedy: error.remedy,
        members: memberReasonsOf(error.details),
      }
    : {
        code: "CONTROL_INTERNAL",
        message: error instanceof Error ? error.message : String(error),
        remedy: "report it with the daemon's log",
        members: [],
      };

const STARTS: StartProblem = {
  code: "CONTROL_ARRAY_INCOMPLETE",
  message: "its raid devices are there, and it is being started",
  remedy: "wait",
  members: [],
};

const MEETS_BOARDS: StartProblem = {
  ...STARTS,
  message: "its raid devices are there, and it waits for the other boards of its cluster",
};

/** Create, assemble, stop. */
export class ArrayCommands {
  readonly #options: ArrayCommandsOptions;

  constructor(options: ArrayCommandsOptions) {
    this.#options = options;
  }

  /** What `order` would make, on devices read anew. Errors: CONTROL_NAME_TAKEN, of planCreate. */
  async plan(order: CreateOrder): Promise<ArrayPlan> {
    const { arrays, devices, engine } = this.#options;
    if (arrays.list().some((view) => view.record.name === order.name)) {
      throw new CodedError("CONTROL_NAME_TAKEN", `there is an array ${order.name} already`, {
        remedy: "choose another name",
      });
    }
    const positions = order.devices.map((key) =>
      key === MISSING ? MISSING : devices.find(key).record.path,
    );
    const paths = positions.filter((path) => path !== MISSING);
    // Tells at once what another verb is taking; create itself takes them.
    devices.reserve(paths)();
    await devices.readAll(paths);
    const plan = planCreate(
      { ...order, clusterName: order.clusterName ?? engine.cluster },
      positions.map((path): OrderedDevice => (path === MISSING ? MISSING : devices.find(path))),
    );
    if (order.bitmap === "clustered") {
      refuseWithoutCluster(engine.cluster, order.name);
    } else {
      refusePeersDisks(paths);
    }
    return plan;
  }

  /** Creates the array, as a job. Errors: those of `plan`; the job's: the engine's. */
  async create(order: CreateOrder, actor: string): Promise<Job> {
    const plan = await this.plan(order);
    const paths = plan.devices.map(({ view }) => view.record.path);
    const { arrays, devices, exports, events, jobs } = this.#options;
    // Another verb may have come while the devices were read.
    const release = devices.reserve(paths);
    const work = async (): Promise<JobOutcome> => {
      try {
        const running = await this.#make(plan.request, paths);
        for (const path of paths) devices.trustContent(path);
        arrays.adopt(running, { readOnly: false });
        await exports.openAll(running.uuid);
        events.record({
          type: "array.created",
          severity: "info",
          subject: subjectOf("array", running.uuid),
          message: `array ${order.name} created`,
          details: { name: order.name, members: paths },
        });
        return outcomeOf(running.uuid);
      } finally {
        release();
      }
    };
    const fresh = {
      kind: "array.create" as const,
      subject: "/api/v1/arrays",
      createdBy: actor,
    };
    try {
      return jobs.run(fresh, work);
    } catch (error) {
      // No job, no work: nobody else gives them free.
      release();
      throw error;
    }
  }

  /** Starts an array by uuid or name, known or found on devices. */
  async assemble(key: string, order: StartOrder, actor: string): Promise<Job> {
    const uuid = this.#uuidOf(key);
    this.refuseRunning(uuid);
    return this.startAsJob(uuid, order, actor, { paths: () => this.#pathsFor(uuid) });
  }

  /**
   * Starts a known array from its registered members and any device that carries its UUID. On a
   * refusal the array stays listed with the reason. Errors: the engine's, CONTROL_ARRAY_RUNNING,
   * and without `run` CONTROL_NEWEST_COPY_MISSING, CONTROL_COPIES_DISAGREE.
   */
  async start(uuid: string, order: StartOrder, paths?: readonly string[]): Promise<void> {
    const { engine, arrays, exports, events } = this.#options;
    const { readOnly } = order;
    await arrays.exclusively(uuid, "a start", async () => {
      // Whoever asked has looked at devices first, and another start has ended meanwhile: a second
      // thread would be a second node of this board, and nobody would ever stop the first one.
      this.refuseRunning(uuid);
      try {
        const from = paths ?? (await this.#pathsFor(uuid));
        const doubt = order.run ? null : await this.#doubt(uuid, from, readOnly);
        const syncSpeed = arrays.ownSyncSpeed(uuid);
        const { run } = order;
        const running = await engine.assemble(from, { readOnly, syncSpeed, run, doubt });
        const view = arrays.adopt(running, { readOnly });
        await exports.openAll(uuid);
        events.record({
          type: "array.started",
          severity: "info",
          subject: subjectOf("array", uuid),
          message: `array ${view.record.name} started`,
          details: { members: view.record.memberPaths },
        });
      } catch (error) {
        const status = arrays.get(uuid)?.status ?? null;
        arrays.startFailed(uuid, withLackingCopies(startProblemOf(error), status));
        throw error;
      }
    });
  }

  /** As `start`, of an array that is wanted; nothing when it runs already. */
  async startUnlessRunning(uuid: string, readOnly: boolean): Promise<void> {
    if (this.#options.arrays.get(uuid)?.isRunning === true) return;
    await this.start(uuid, { readOnly, run: false });
  }

  /**
   * Starts a wanted array unless a member that the others believe working is not there yet: devices
   * appear one by one, and the first one may be old. False when it waits; nothing is done when it
   * runs, or is wanted no more, by the time they have been read. Errors: those of `start`.
   * Source: mdadm --incremental.
   */
  async startIfComplete(uuid: string, readOnly: boolean): Promise<boolean> {
    const { engine, arrays } = this.#options;
    const paths = await this.#pathsFor(uuid).catch((error: unknown) => {
      arrays.startFailed(uuid, startProblemOf(error));
      throw error;
    });
    const report = await engine.examine(paths);
    const now = arrays.get(uuid);
    if (now === null || now.isRunning || now.record.desiredState !== "started") return true;
    const isOfBoards = engine.peers !== null && report.array?.bitmap.type === "clustered";
    if (report.refusal !== null || report.isComplete || this.#isCut(uuid)) {
      // What was told while devices were awaited holds no more.
      if (now.startProblem?.code === "CONTROL_ARRAY_INCOMPLETE")
        arrays.startFailed(uuid, isOfBoards ? MEETS_BOARDS : STARTS);
      await this.start(uuid, { readOnly, run: false }, paths);
      return true;
    }
    const here = report.members.filter(({ placement }) => placement === "in-sync").length;
    // Why the cluster refused it tells more, and lasts until other members are here.
    if (now.startProblem?.code === "CLUSTER_NEWER_COPY_ELSEWHERE") return false;
    const whose = isOfBoards ? `those of other boards${this.#deafness}` : "the others";
    const problem = {
      code: "CONTROL_ARRAY_INCOMPLETE",
      message: `${here} of ${report.array?.raidDevices ?? 0} raid devices are there so far, it waits for ${whose}`,
      remedy: "wait, bring the others, or assemble it without them",
      members: report.members,
    };
    arrays.startFailed(uuid, withLackingCopies(problem, now.status));
    return false;
  }

  /** Disks of other boards appear only while the cluster's store answers this one. */
  get #deafness(): string {
    const gate = this.#options.engine.peers?.gate();
    return gate === undefined || gate.isOpen
      ? ""
      : `, and hears of none now: ${gate.reason ?? "it is not in its cluster"}`;
  }

  /** A working member is here, and has lost what it held: there is nothing to wait for. */
  #isCut(uuid: string): boolean {
    const { arrays, devices } = this.#options;
    const paths = arrays.get(uuid)?.record.memberPaths ?? [];
    return paths.some((path) => {
      if (devices.idOf(path) === null) return false;
      const { file, record } = devices.find(path);
      return file !== null && record.lostContent !== null;
    });
  }

  /**
   * Why these devices may not hold the newest copy, to be thrown where the array's cluster does not
   * know better. Of any other array it is thrown here.
   */
  async #doubt(
    uuid: string,
    paths: readonly string[],
    readOnly: boolean,
  ): Promise<PlainError | null> {
    const { arrays, engine } = this.#options;
    const report = await engine.examine(paths);
    const problem = newestCopyProblem(arrays.get(uuid)?.status ?? null, report);
    if (problem === null) return null;
    const { code, message, remedy, members } = problem;
    const doubt = { code, message, remedy, details: { members } };
    const isClustered = report.array?.bitmap.type === "clustered";
    if (isClustered && !readOnly && engine.peers !== null) return doubt;
    throw fromPlainError(doubt);
  }

  /** Stops an array, as a job. Errors: CONTROL_CONFIRMATION_REQUIRED, CONTROL_ARRAY_EXPORTED. */
  stop(key: string, order: StopOrder, actor: string): Job {
    const { arrays, exports, jobs } = this.#options;
    const { record } = arrays.find(key);
    if (order.confirm !== record.name) {
      const message = `stopping array ${record.name} takes it away from its clients`;
      throw new CodedError("CONTROL_CONFIRMATION_REQUIRED", message, {
        remedy: `send {"confirm": "${record.name}"}`,
        details: { confirm: record.name },
      });
    }
    const clients = exports.clientsOf(record.uuid);
    if (clients.length > 0 && !order.force) {
      const message = `clients are attached to exports of ${record.name}: ${clients.length}`;
      throw new CodedError("CONTROL_ARRAY_EXPORTED", message, {
        remedy: "detach them, or ask with force (--force)",
        details: { clients: clients.map(({ exportName, peer }) => ({ export: exportName, peer })) },
      });
    }
    const fresh = {
      kind: "array.stop" as const,
      subject: subjectOf("array", record.uuid),
      createdBy: actor,
    };
    return jobs.run(fresh, () =>
      arrays.exclusively(record.uuid, "a stop", () => this.#stop(record.uuid, order)),
    );
  }

  /** Arrays that superblocks name, as the devices were read last, and that do not run. */
  foundUuids(): string[] {
    const { arrays, devices } = this.#options;
    const uuids = new Set(devices.list().flatMap((view) => view.probe?.md?.arrayUuid ?? []));
    return [...uuids].filter((uuid) => arrays.get(uuid)?.isRunning !== true);
  }

  /** Starts an array as a job. Errors of the job: those of `start` and of the steps. */
  startAsJob(uuid: string, order: StartOrder, actor: string, steps: StartSteps): Job {
    const fresh = {
      kind: "array.assemble" as const,
      subject: subjectOf("array", uuid),
      createdBy: actor,
    };
    return this.#options.jobs.run(fresh, async () => {
      await this.start(uuid, order, await steps.paths());
      await steps.afterStart?.();
      return outcomeOf(uuid);
    });
  }

  /** Errors: CONTROL_ARRAY_RUNNING. */
  refuseRunning(uuid: string): void {
    const view = this.#options.arrays.get(uuid);
    if (view?.isRunning) {
      throw new CodedError("CONTROL_ARRAY_RUNNING", `array ${view.record.name} runs already`, {
        remedy: "nothing to do",
      });
    }
  }

  /** Recorded first: on a full disk nothing is written to the devices. */
  async #make(request: CreateArrayRequest, paths: readonly string[]): Promise<RunningArray> {
    const { engine, arrays } = this.#options;
    const uuid = uuidToKernelText(new Uint8Array(randomBytes(16)));
    arrays.enlist({ uuid, name: request.name, memberPaths: [...paths] });
    try {
      return await engine.create(request, uuid);
    } catch (error) {
      arrays.strike(uuid);
      throw error;
    }
  }

  async #stop(uuid: string, { forget, reason }: StopOrder): Promise<JobOutcome> {
    const { arrays, exports, events } = this.#options;
    const view = arrays.find(uuid);
    if (view.isRunning) {
      const { running } = arrays.findRunning(uuid);
      await exports.closeAll(uuid, reason ?? `array ${view.record.name} is stopped`);
      try {
        await running.stop();
      } catch (error) {
        await exports.openAll(uuid);
        throw error;
      }
    }
    arrays.stopped(uuid);
    events.record({
      type: "array.stopped",
      severity: "info",
      subject: subjectOf("array", uuid),
      message: `array ${view.record.name} stopped`,
    });
    if (forget) {
      exports.forgetAll(uuid);
      arrays.forget(uuid);
    }
    return { result: { array_id: uuid, forgotten: forget } };
  }

  #uuidOf(key: string): string {
    const found = this.foundUuids();
    const lower = key.toLowerCase();
    if (found.includes(lower)) {
      return lower;
    }
    const { devices } = this.#options;
    const named = found.filter((uuid) => devices.carriersOf(uuid)[0]?.probe?.md?.name === key);
    const [only] = named;
    if (only !== undefined && named.length === 1) {
      return only;
    }
    return this.#options.arrays.find(key).record.uuid;
  }

  /** Paths to start the array from: every device whose superblock names it, freshly read. */
  async #pathsFor(uuid: string): Promise<readonly string[]> {
    const { arrays, devices } = this.#options;
    const view = arrays.get(uuid);
    const registered = view?.record.memberPaths ?? [];
    await devices.lookAtPeers();
    await devices.readAll(
      [
        ...new Set([...registered, ...devices.carriersOf(uuid).map((found) => found.record.path)]),
      ].filter((path) => devices.idOf(path) !== null),
    );
    const carriers = devices.carriersOf(uuid);
    // Its superblock may say in sync, but the others hold what it lost; alone it beats nothing.
    const whole = carriers.filter((found) => found.record.lostContent === null);
    const paths = (whole.length > 0 ? whole : carriers).map((found) => found.record.path);
    if (paths.length === 0) {
      const name = view?.record.name ?? uuid;
      throw new CodedError("CONTROL_NO_MEMBERS", `no device holds a member of array ${name}`, {
        remedy: "bring its devices back, then assemble it",
        details: {
          members: registered.map((path) => ({ path, reason: this.#whyNot(path) })),
        },
      });
    }
    return paths;
  }

  #whyNot(path: string): string {
    const { devices } = this.#options;
    if (devices.idOf(path) === null) {
      return "it is not among the board's devices any more";
    }
    const { file, probe } = devices.find(path);
    if (file === null) {
      return "nothing is at this path";
    }
    return probe?.problem?.message ?? "it holds no superblock of this array";
  }
}
