/**
 * The arrays of the board: those that run, and those of the registry that do not. Takes in what the
 * engine tells, keeps the registry in step, and gives the one view that API, CLI and health read.
 * The verbs that start and stop arrays are in array-commands.ts.
 */

import { CodedError } from "../common/errors.ts";
import type { Logger } from "../common/log.ts";
import type { ArrayHappening, ArrayStatus, MemberStatus } from "../raid/array-status.ts";
import type { ArrayRecord, ArrayRegistry } from "../store/array-registry.ts";
import { type ArrayView, judge, ReasonTimes, type StartProblem, withLosses } from "./array-view.ts";
import type { RunningArray, StorageEngine, SyncSpeed } from "./engine.ts";
import type { EventService } from "./event-service.ts";
import { storedStatus } from "./stored-status.ts";
import { subjectOf } from "./subject.ts";
import type { SyncCounts, SyncJobs, SyncOutcome } from "./sync-jobs.ts";

/** What the service needs. */
export interface ArrayServiceOptions {
  readonly registry: ArrayRegistry;
  readonly engine: StorageEngine;
  readonly events: EventService;
  readonly syncJobs: SyncJobs;
  readonly now: () => number;
  readonly logger: Logger;
}

/** Where a device stands in an array. `member` is null when the array does not run. */
export interface Membership {
  readonly uuid: string;
  readonly name: string;
  readonly running: RunningArray | null;
  readonly member: MemberStatus | null;
}

interface Entry {
  record: ArrayRecord;
  running: RunningArray | null;
  status: ArrayStatus | null;
  startProblem: StartProblem | null;
  /** Verb under way, for the message that refuses a second one. */
  busyWith: string | null;
  /** What the registry holds of the status, to store it only when it changes. */
  storedKey: string;
  readonly times: ReasonTimes;
  /** Members that the array goes on with though they are gone from their paths: why, by path. */
  readonly lost: Map<string, string>;
  view: ArrayView;
}

/** Member paths of a status, each once. */
const pathsOf = (status: ArrayStatus): string[] => [
  ...new Set(status.members.flatMap((member) => (member.path === null ? [] : [member.path]))),
];

/** Time of a clustered array to end with the daemon: an election takes less. Choice. */
const CLOSE_MS = 12_000;

/** What of a status is worth storing: not the progress, not the counters. */
const storedKey = (status: ArrayStatus): string =>
  JSON.stringify([
    status.name,
    status.members.map((member) => [member.path, member.raidSlot, member.states]),
    status.raidDevices,
    status.sizeBytes,
    status.bitmap.type,
    status.bitmap.chunkBytes,
    status.bitmap.nodes,
    status.bitmap.clusterName,
    status.syncSpeedMin,
    status.syncSpeedMax,
  ]);

const outcomeOf = (happening: ArrayHappening): SyncOutcome => {
  const outcome = happening.details["outcome"];
  return outcome === "cancelled" || outcome === "failed" || outcome === "interrupted"
    ? outcome
    : "done";
};

const countsOf = ({ details }: ArrayHappening): SyncCounts | null => {
  const { copied_bytes: copiedBytes, skipped_bytes: skippedBytes } = details;
  return typeof copiedBytes === "number" && typeof skippedBytes === "number"
    ? { copiedBytes, skippedBytes }
    : null;
};

/** The arrays. */
export class ArrayService {
  readonly #registry: ArrayRegistry;
  readonly #engine: StorageEngine;
  readonly #events: EventService;
  readonly #syncJobs: SyncJobs;
  readonly #now: () => number;
  readonly #logger: Logger;
  readonly #entries = new Map<string, Entry>();
  #onMembersChanged: (paths: readonly string[]) => void = () => undefined;

  constructor(options: ArrayServiceOptions) {
    this.#registry = options.registry;
    this.#engine = options.engine;
    this.#events = options.events;
    this.#syncJobs = options.syncJobs;
    this.#now = options.now;
    this.#logger = options.logger;
  }

  /** Reads the registry and listens to the engine; nothing is started. */
  load(): void {
    for (const record of this.#registry.list()) {
      const status = storedStatus(record.lastStatus);
      this.#entries.set(record.uuid, this.#entry(record, status));
      if (status?.bitmap.type === "clustered") this.#syncJobs.leaveToOthers(record.uuid);
    }
    this.#engine.onStatus((uuid, status) => this.#onStatus(uuid, status));
    this.#engine.onHappening((uuid, happening) => this.#onHappening(uuid, happening));
  }

  /** Sets the one listener told of paths that joined, left or changed state in an array. */
  onMembersChanged(listener: (paths: readonly string[]) => void): void {
    this.#onMembersChanged = listener;
  }

  /** Every array, in order of creation. */
  list(): ArrayView[] {
    return [...this.#entries.values()].map((entry) => entry.view);
  }

  /** The array of that uuid, or null. */
  get(uuid: string): ArrayView | null {
    return this.#entries.get(uuid)?.view ?? null;
  }

  /** The array by uuid or unique name. Errors: CONTROL_ARRAY_NOT_FOUND, CONTROL_NAME_AMBIGUOUS. */
  find(key: string): ArrayView {
    const byUuid = this.#entries.get(key.toLowerCase());
    if (byUuid !== undefined) {
      return byUuid.view;
    }
    const named = this.list().filter((view) => view.record.name === key);
    const [first] = named;
    if (first === undefined) {
      throw new CodedError("CONTROL_ARRAY_NOT_FOUND", `there is no array ${key}`, {
        remedy: "list the arrays and the candidates for assembly",
      });
    }
    if (named.length > 1) {
      throw new CodedError("CONTROL_NAME_AMBIGUOUS", `${named.length} arrays are named ${key}`, {
        remedy: "give the array's UUID",
        details: { uuids: named.map((view) => view.record.uuid) },
      });
    }
    return first;
  }

  /** True when several arrays have the name: only a uuid tells them apart. */
  isAmbiguous(name: string): boolean {
    return this.list().filter((view) => view.record.name === name).length > 1;
  }

  /** The running array by uuid or name. Errors: as `find`, CONTROL_ARRAY_NOT_RUNNING. */
  findRunning(key: string): { readonly view: ArrayView; readonly running: RunningArray } {
    const view = this.find(key);
    const running = this.#entries.get(view.record.uuid)?.running ?? null;
    if (running === null) {
      throw new CodedError("CONTROL_ARRAY_NOT_RUNNING", `array ${view.record.name} does not run`, {
        remedy: "assemble it first",
      });
    }
    return { view, running };
  }

  /** Where the device at `path` stands: a running array first, else one of the registry. */
  membershipOf(path: string): Membership | null {
    let stopped: Membership | null = null;
    for (const { record, running, status } of this.#entries.values()) {
      const name = record.name;
      const member = status?.members.find((candidate) => candidate.path === path) ?? null;
      if (running !== null && member !== null) {
        return { uuid: record.uuid, name, running, member };
      }
      if (running === null && record.memberPaths.includes(path)) {
        stopped ??= { uuid: record.uuid, name, running: null, member: null };
      }
    }
    return stopped;
  }

  /**
   * Runs one verb on an array at a time. Errors: CONTROL_ARRAY_BUSY, and those of `work`.
   * An array not in the registry yet is not guarded: the engine refuses to start it twice.
   */
  async exclusively<Result>(
    uuid: string,
    verb: string,
    work: () => Promise<Result>,
  ): Promise<Result> {
    const entry = this.#entries.get(uuid);
    if (entry === undefined) {
      return await work();
    }
    if (entry.busyWith !== null) {
      const message = `${entry.busyWith} is under way on array ${entry.record.name}`;
      throw new CodedError("CONTROL_ARRAY_BUSY", message, {
        remedy: "ask again when it has ended",
      });
    }
    entry.busyWith = verb;
    try {
      return await work();
    } finally {
      entry.busyWith = null;
    }
  }

  /**
   * Records an array BEFORE it is made: what cannot be recorded is not made. It is listed once it
   * runs. Errors: STORE_*.
   */
  enlist(array: Pick<ArrayRecord, "uuid" | "name" | "memberPaths">): void {
    const now = this.#now();
    this.#registry.put({
      ...array,
      desiredState: "started",
      readOnly: false,
      lastStatus: null,
      syncSpeedMin: null,
      syncSpeedMax: null,
      createdAt: now,
      updatedAt: now,
    });
  }

  /** Takes the record of an array back that was not made. */
  strike(uuid: string): void {
    try {
      this.#registry.remove(uuid);
    } catch (error) {
      this.#logger.error({ array: uuid, error }, "array-record-write-failed");
    }
  }

  /**
   * Takes over an array the engine has started: registers it as wanted. A database that refuses
   * does not keep an array from its clients: the failure is logged, and the next change of the
   * array stores it.
   */
  adopt(running: RunningArray, options: { readonly readOnly: boolean }): ArrayView {
    const status = running.status;
    const known = this.#entries.get(running.uuid);
    const now = this.#now();
    const record: ArrayRecord = {
      uuid: running.uuid,
      name: status.name,
      desiredState: "started",
      readOnly: options.readOnly,
      memberPaths: pathsOf(status),
      lastStatus: JSON.stringify(status),
      syncSpeedMin: known?.record.syncSpeedMin ?? null,
      syncSpeedMax: known?.record.syncSpeedMax ?? null,
      createdAt: known?.record.createdAt ?? status.createdAt,
      updatedAt: now,
    };
    const entry = known ?? this.#entry(record, status);
    this.#entries.set(running.uuid, entry);
    Object.assign(entry, { record, running, startProblem: null });
    entry.lost.clear();
    entry.storedKey = this.#put(record) ? storedKey(status) : "";
    this.#onStatus(running.uuid, status);
    this.#onMembersChanged(record.memberPaths);
    return entry.view;
  }

  /**
   * Notes that the array goes on with a member which is gone from its path, and why; null: it is
   * there again. Shown until the array fails the member or is stopped.
   */
  noteLoss(uuid: string, path: string, reason: string | null): void {
    const entry = this.#entries.get(uuid);
    if (entry === undefined || entry.lost.get(path) === (reason ?? undefined)) {
      return;
    }
    if (reason === null) {
      entry.lost.delete(path);
    } else {
      entry.lost.set(path, reason);
    }
    this.#show(entry);
  }

  /** Notes that the array of `uuid` could not be started. */
  startFailed(uuid: string, problem: StartProblem): void {
    const entry = this.#entries.get(uuid);
    if (entry !== undefined) {
      entry.startProblem = problem;
      this.#show(entry);
    }
  }

  /** Notes that the array ended unasked; it stays wanted. */
  ended(uuid: string, problem: StartProblem): void {
    const entry = this.#entries.get(uuid);
    if (entry === undefined) {
      return;
    }
    this.#syncJobs.finished(uuid, "interrupted");
    entry.running = null;
    entry.startProblem = problem;
    this.#show(entry);
    this.#onMembersChanged(entry.record.memberPaths);
  }

  /** Notes that the array was stopped by request; it stays listed. */
  stopped(uuid: string): void {
    const entry = this.#entries.get(uuid);
    if (entry === undefined) {
      return;
    }
    this.#syncJobs.finished(uuid, "interrupted");
    entry.running = null;
    entry.lost.clear();
    entry.startProblem = null;
    this.#store(entry, { desiredState: "stopped" });
    this.#show(entry);
    this.#onMembersChanged(entry.record.memberPaths);
  }

  /** Forgets a stopped array and its exports; the superblocks of its members stay. */
  forget(uuid: string): void {
    const entry = this.#entries.get(uuid);
    if (entry !== undefined) {
      this.#registry.remove(uuid);
      this.#entries.delete(uuid);
      this.#events.changed("array", uuid, true);
      this.#events.changed("system", "system");
      this.#onMembersChanged(entry.record.memberPaths);
    }
  }

  /** The speed limits that the array was given; null: it has none of its own. */
  ownSyncSpeed(uuid: string): SyncSpeed | null {
    const { syncSpeedMin: min = null, syncSpeedMax: max = null } = this.get(uuid)?.record ?? {};
    return min === null || max === null ? null : { min, max };
  }

  /**
   * Sets the speed limits, now and for every later start; what is absent stays.
   * Errors: as `findRunning`, CONTROL_SPEED_ORDER, the engine's.
   */
  async setSyncSpeed(key: string, limits: Partial<SyncSpeed>): Promise<void> {
    const { view, running } = this.findRunning(key);
    const { min = running.status.syncSpeedMin, max = running.status.syncSpeedMax } = limits;
    if (min > max) {
      const message = `sync_speed_min ${min} is above sync_speed_max ${max}`;
      throw new CodedError("CONTROL_SPEED_ORDER", message, {
        remedy: "set both, the smaller one as sync_speed_min",
      });
    }
    await running.setSyncSpeed({ min, max });
    const entry = this.#entries.get(view.record.uuid);
    if (entry !== undefined) {
      this.#store(entry, { syncSpeedMin: min, syncSpeedMax: max });
      this.#show(entry);
    }
  }

  /**
   * Stops every running array, marking it clean; they stay wanted for the next start. An etcd that
   * does not answer keeps none of them for long.
   */
  async close(): Promise<void> {
    const running = [...this.#entries.values()].flatMap((entry) => entry.running ?? []);
    const results = await Promise.allSettled(running.map((array) => array.stop(CLOSE_MS)));
    for (const [index, result] of results.entries()) {
      if (result.status === "rejected") {
        const array = running[index]?.uuid;
        this.#logger.error({ array, error: result.reason }, "array-stop-failed");
      }
    }
  }

  #entry(record: ArrayRecord, status: ArrayStatus | null): Entry {
    const times = new ReasonTimes();
    const { health, reasons } = judge(record, status, false, null);
    return {
      record,
      running: null,
      status,
      startProblem: null,
      busyWith: null,
      storedKey: status === null ? "" : storedKey(status),
      times,
      lost: new Map(),
      view: {
        record,
        isRunning: false,
        status,
        startProblem: null,
        health,
        reasons: times.stamp(reasons, this.#now()),
      },
    };
  }

  #onStatus(uuid: string, status: ArrayStatus): void {
    const entry = this.#entries.get(uuid);
    if (entry === undefined || entry.running === null) {
      return;
    }
    entry.status = status;
    this.#syncJobs.observe(uuid, status);
    const key = storedKey(status);
    if (key !== entry.storedKey) {
      const before = entry.record.memberPaths;
      entry.storedKey = key;
      this.#store(entry, {
        name: status.name,
        memberPaths: pathsOf(status),
        lastStatus: JSON.stringify(status),
      });
      this.#onMembersChanged([...new Set([...before, ...entry.record.memberPaths])]);
    }
    this.#show(entry);
  }

  #onHappening(uuid: string, happening: ArrayHappening): void {
    this.#events.record({
      type: happening.type,
      severity: happening.severity,
      subject: subjectOf("array", uuid),
      message: happening.message,
      details: happening.details,
      time: happening.time,
    });
    if (happening.type === "sync.finished") {
      this.#syncJobs.finished(uuid, outcomeOf(happening), countsOf(happening));
    }
  }

  #show(entry: Entry): void {
    const isRunning = entry.running !== null;
    const status = entry.status === null ? null : withLosses(entry.status, entry.lost);
    const { health, reasons } = judge(entry.record, status, isRunning, entry.startProblem);
    entry.view = {
      record: entry.record,
      isRunning,
      status,
      startProblem: entry.startProblem,
      health,
      reasons: entry.times.stamp(reasons, this.#now()),
    };
    this.#events.changed("array", entry.record.uuid);
    this.#events.changed("system", "system");
  }

  /** Keeps a change of the record; a database that refuses is logged, the array goes on. */
  #store(entry: Entry, change: Partial<ArrayRecord>): void {
    entry.record = { ...entry.record, ...change, updatedAt: this.#now() };
    if (!this.#put(entry.record)) {
      entry.storedKey = "";
    }
  }

  /** Stores a record; false when it could not be, after logging why. */
  #put(record: ArrayRecord): boolean {
    try {
      this.#registry.put(record);
      return true;
    } catch (error) {
      this.#logger.error({ array: record.uuid, error }, "array-record-write-failed");
      return false;
    }
  }
}
