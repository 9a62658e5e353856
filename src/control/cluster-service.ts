/**
 * Arrays of the board's cluster, as control looks after them: an array that its cluster goes on
 * without is taken from its clients and joins again as soon as it can, as does one that lacks a
 * member which other boards may do without by now; a device that another board adds is looked for
 * among this board's.
 */

import type { ClusterView } from "../cluster/node/cluster-view.ts";
import { bareUuid } from "../common/bare-uuid.ts";
import type { Logger } from "../common/log.ts";
import { parsePeerPath } from "../hal/peer-path.ts";
import { goneError, isGoneError } from "../raid/gone-status.ts";
import type { WriteHoldFigures } from "../raid/hold-status.ts";
import type { ArrayCommands } from "./array-commands.ts";
import type { ArrayService } from "./array-service.ts";
import type { ArrayView, StartProblem } from "./array-view.ts";
import type { DeviceService } from "./device-service.ts";
import type { StorageEngine } from "./engine.ts";
import type { EventService } from "./event-service.ts";
import type { ExportService } from "./export-service.ts";
import { subjectOf } from "./subject.ts";

/** What the service needs. */
export interface ClusterServiceOptions {
  readonly engine: StorageEngine;
  readonly arrays: ArrayService;
  readonly devices: DeviceService;
  readonly exports: ExportService;
  readonly commands: ArrayCommands;
  readonly events: EventService;
  /** An array of boards that share their disks waits for members that should be there. */
  readonly onIncomplete: (uuid: string) => void;
  readonly now: () => number;
  readonly logger: Logger;
}

/** What one array's node tells. */
export interface ClusterReport {
  readonly array: ArrayView;
  readonly view: ClusterView;
  readonly holds: WriteHoldFigures;
}

/** A clustered array that this board does not run in its cluster now. */
export interface ClusterAbsence {
  readonly array: ArrayView;
  /** Why; null: it was stopped by request, or is being started. */
  readonly problem: Pick<StartProblem, "code" | "message" | "remedy"> | null;
  /** The board joins by itself once it can. */
  readonly triesAgain: boolean;
}

/** What the arrays of the cluster tell. */
export interface ClusterReports {
  readonly present: readonly ClusterReport[];
  readonly absent: readonly ClusterAbsence[];
}

/** Pauses between attempts to join again, milliseconds. */
const PAUSE_MIN_MS = 1000;
const PAUSE_MAX_MS = 30_000;

/** A key of the cluster store holds something else. */
const DAMAGE: ReadonlySet<string> = new Set(["CLUSTER_BAD_CHANNEL", "DLM_BAD_RESOURCE"]);

/** What is missing may come with another board. */
const COPY_AWAY: ReadonlySet<string> = new Set([
  "CONTROL_ARRAY_INCOMPLETE",
  "CONTROL_NEWEST_COPY_MISSING",
  "CONTROL_NO_MEMBERS",
  "RAID_NO_MEMBERS",
  "RAID_NOT_ENOUGH_MEMBERS",
]);

/**
 * The copies that the array broke for want of may be on disks of other boards, which come back: the
 * last one of anything stays in sync, whatever has become of it.
 */
const isBrokenByOthers = (status: ArrayView["status"]): boolean =>
  status?.members.some(
    ({ path, states }) =>
      states.includes("in_sync") && path !== null && parsePeerPath(path) !== null,
  ) ?? false;

interface Attempt {
  pauseMs: number;
  nextAt: number;
  isRunning: boolean;
}

/**
 * The problem may end without this board: other nodes let it join, or record the member that it
 * lacks as faulty, or bring it back; somebody puts a damaged key right. A start from what is there
 * is refused for as long as they have not.
 */
export const mayPass = ({ startProblem, status }: ArrayView): boolean => {
  const code = startProblem?.code ?? "";
  const isClustered = status?.bitmap.type === "clustered";
  if (DAMAGE.has(code)) return true;
  if (code === "RAID_ARRAY_BROKEN") return isBrokenByOthers(status);
  return code.startsWith("CLUSTER_") || (COPY_AWAY.has(code) && isClustered);
};

const absenceOf = (array: ArrayView): ClusterAbsence => ({
  array,
  problem: array.startProblem,
  triesAgain: array.record.desiredState === "started" && mayPass(array),
});

/** The arrays of the board's cluster. */
export class ClusterService {
  readonly #options: ClusterServiceOptions;
  readonly #attempts = new Map<string, Attempt>();

  constructor(options: ClusterServiceOptions) {
    this.#options = options;
  }

  /** Listens to the engine. */
  load(): void {
    const { engine, logger } = this.#options;
    engine.setDeviceFinder((uuid) => this.#findDevice(uuid));
    engine.onExpelled((uuid, reason, isBroken) => {
      this.#expelled(uuid, reason, isBroken).catch((error: unknown) =>
        logger.error({ array: uuid, error }, "expelled-array-not-closed"),
      );
    });
  }

  /** Tries again what could not join, each array after a pause that grows. */
  async tick(): Promise<void> {
    const now = this.#options.now();
    for (const view of this.#options.arrays.list()) {
      const { uuid, desiredState } = view.record;
      if (desiredState !== "started" || view.isRunning || !mayPass(view)) {
        this.#forget(uuid, view.isRunning);
        continue;
      }
      const attempt = this.#attemptOf(uuid, now);
      if (!attempt.isRunning && now >= attempt.nextAt) void this.#join(view, attempt);
    }
  }

  /** Of every array that runs in the cluster, or is clustered and does not. */
  async reports(): Promise<ClusterReports> {
    const present: ClusterReport[] = [];
    const absent: ClusterAbsence[] = [];
    for (const array of this.#options.arrays.list()) {
      if (!array.isRunning) {
        if (array.status?.bitmap.type === "clustered") absent.push(absenceOf(array));
        continue;
      }
      const { running } = this.#options.arrays.findRunning(array.record.uuid);
      try {
        const view = await running.clusterView();
        if (view !== null) present.push({ array, view, holds: running.writeHolds });
      } catch (error) {
        // Its cluster has just gone on without this board.
        if (!isGoneError(error)) throw error;
        absent.push({ array, problem: error, triesAgain: error.code === "CLUSTER_EXPELLED" });
      }
    }
    return { present, absent };
  }

  /** Of one that runs only after a while: what ends again at once is tried ever more seldom. */
  #forget(uuid: string, isRunning: boolean): void {
    const attempt = this.#attempts.get(uuid);
    if (attempt === undefined || attempt.isRunning) return;
    const isYoung = this.#options.now() < attempt.nextAt + PAUSE_MAX_MS;
    if (!(isRunning && isYoung)) this.#attempts.delete(uuid);
  }

  #attemptOf(uuid: string, now: number): Attempt {
    const known = this.#attempts.get(uuid);
    if (known !== undefined) return known;
    const attempt = { pauseMs: PAUSE_MIN_MS, nextAt: now + PAUSE_MIN_MS, isRunning: false };
    this.#attempts.set(uuid, attempt);
    return attempt;
  }

  async #join({ record, startProblem }: ArrayView, attempt: Attempt): Promise<void> {
    const { logger, now } = this.#options;
    attempt.isRunning = true;
    try {
      await this.#start(record);
    } catch (error) {
      logger.warn({ array: record.uuid, error }, "join-failed");
      this.#tellDamage(record, startProblem?.code);
      await this.#giveUp(record.uuid);
    } finally {
      attempt.isRunning = false;
      attempt.pauseMs = Math.min(2 * attempt.pauseMs, PAUSE_MAX_MS);
      attempt.nextAt = now() + attempt.pauseMs;
    }
  }

  /**
   * Disks of boards that share them come and go with their boards: those that should be there are
   * waited for, as when the board starts.
   */
  async #start({ uuid, readOnly }: ArrayView["record"]): Promise<void> {
    const { commands, engine, onIncomplete } = this.#options;
    if (engine.peers === null) return await commands.startUnlessRunning(uuid, readOnly);
    if (!(await commands.startIfComplete(uuid, readOnly))) onIncomplete(uuid);
  }

  /** Clients who wait for its exports are told when it does not start again by itself. */
  async #giveUp(uuid: string): Promise<void> {
    const { arrays, exports } = this.#options;
    const view = arrays.get(uuid);
    if (view !== null && !mayPass(view)) await exports.giveUp(uuid);
  }

  /** Once: nobody else is told of what keeps this board out, and only a person can put it right. */
  #tellDamage({ uuid, name }: ArrayView["record"], before: string | undefined): void {
    const { arrays, events } = this.#options;
    const problem = arrays.get(uuid)?.startProblem;
    if (problem == null || problem.code === before || !DAMAGE.has(problem.code)) return;
    events.record({
      type: "array.start-failed",
      severity: "critical",
      subject: subjectOf("array", uuid),
      message: `array ${name} could not start: ${problem.message}`,
    });
  }

  /** An array that broke on this board's own disks is not joined again: it would break anew. */
  async #expelled(uuid: string, reason: string, isBroken: boolean): Promise<void> {
    const { arrays, exports } = this.#options;
    const { code, message, remedy } = goneError(reason, isBroken);
    arrays.ended(uuid, { code, message, remedy, members: [] });
    const view = arrays.get(uuid);
    await exports.closeAll(uuid, message, view !== null && mayPass(view));
  }

  /** Devices that no running array has in use, read anew. */
  async #findDevice(uuid: string): Promise<string | null> {
    const { devices } = this.#options;
    await devices.discover();
    const free = devices.list().filter(({ membership }) => {
      const isFaulty = membership?.member?.states.includes("faulty") ?? false;
      return membership?.running == null || isFaulty;
    });
    for (const { record } of free) {
      const { probe } = await devices.read(record.path);
      const found = probe?.md?.deviceUuid;
      if (found !== undefined && bareUuid(found) === bareUuid(uuid)) return record.path;
    }
    return null;
  }
}
